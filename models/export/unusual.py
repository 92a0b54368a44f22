"""The good pictures that look least like the others: ranked, drawn, and recorded for the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.report.fit_page import UnusualPicture
from calibration.suspicion import FENCE, outlyingness
from inspector.bundle.records import Calibration, Column, ImageContract, UnusualImage
from inspector.errors import ImageError
from inspector.imaging.files import printable
from inspector.imaging.resize import fit_to
from inspector.scoring import decision, heatmap
from inspector.scoring.preparation import read
from inspector.settings import Settings
from inspector.types import RawScores
from models.dataset import PictureSet

NAMED = 3  # pictures in the manifest
SHOWN_SIDE = 1024  # pixels, about twice the size in the report, so that fine lines of a heatmap stay


@dataclass(frozen=True)
class Scores:
    """The scores of pictures that were held out of everything, or those of all others.

    Attributes
    ----------
    held_out : bool
    rows : int (n,)
        The pictures among all.
    maps : float32 (n, h, w)
    components : dict of str to (n,)
    total, outlyingness : float64 (n,)
        The scores, and how far each lies above the others.
    of_one_colour : bool (n,)
        True for pictures that show nothing.
    """

    held_out: bool
    rows: NDArray[np.intp]
    maps: NDArray[np.float32]
    components: dict[str, NDArray[np.float64]]
    total: NDArray[np.float64]
    outlyingness: NDArray[np.float64]
    of_one_colour: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        raw: RawScores,
        rows: NDArray[np.intp],
        columns: Sequence[Column],
        calibration: Calibration,
        *,
        held_out: bool,
        of_one_colour: NDArray[np.bool_],
    ) -> Scores:
        """Compute the scores of pictures."""
        components = decision.component_scores(raw.statistics, columns, calibration)
        total = decision.fuse(components, calibration)
        return cls(held_out, rows, raw.anomaly_map, components, total, outlyingness(total), of_one_colour)

    @property
    def order(self) -> NDArray[np.intp]:
        """The positions of the pictures, the highest score first."""
        return np.argsort(-self.total, kind="stable")

    @property
    def suspicious(self) -> NDArray[np.bool_]:
        """True for each picture of one colour, or whose score lies beyond the fence, (n,)."""
        return (self.outlyingness > FENCE) | self.of_one_colour


def count_suspicious(sides: Sequence[Scores]) -> int:
    """Count the suspicious pictures."""
    return sum(int(side.suspicious.sum()) for side in sides)


def most_unusual(sides: Sequence[Scores], names: Sequence[str]) -> tuple[UnusualImage, ...]:
    """Return the three pictures that lie farthest above the others of their kind, the highest score first."""
    found = [
        UnusualImage(
            name=printable(names[side.rows[i]]),
            held_out=side.held_out,
            score=float(side.total[i]),
            outlyingness=float(side.outlyingness[i]),
            suspicious=bool(side.suspicious[i]),
        )
        for side in sides
        for i in side.order[:NAMED]
    ]
    farthest = sorted(found, key=lambda one: -one.outlyingness)[:NAMED]
    return tuple(sorted(farthest, key=lambda one: -one.score))


def draw(
    side: Scores,
    count: int,
    folder: Path,
    known: PictureSet,
    calibration: Calibration,
    contract: ImageContract,
    settings: Settings,
) -> list[UnusualPicture]:
    """Draw the `count` pictures of the highest scores with their heatmaps, for the report."""
    drawn = []
    for rank, i in enumerate(side.order[:count], start=1):
        name, score = known.names[side.rows[i]], float(side.total[i])
        picture = original(folder / name, known.pixels[side.rows[i]], settings, contract)
        verdict = decision.verdict(score, calibration.threshold, calibration.review_threshold)
        size = (picture.shape[0], picture.shape[1])
        overlay = heatmap.overlay(
            picture,
            side.maps[i],
            limit=calibration.map_limit,
            ceiling=calibration.map_ceiling,
            regions=heatmap.listed_regions(verdict, side.maps[i], size, calibration.map_limit),
        )
        drawn.append(
            UnusualPicture(
                name,
                overlay,
                picture,
                score,
                {component: float(values[i]) for component, values in side.components.items()},
                held_out=side.held_out,
                suspicious=bool(side.suspicious[i]),
                rank=rank,
            )
        )
    return drawn


def original(
    path: Path, prepared: NDArray[np.uint8], settings: Settings, contract: ImageContract
) -> NDArray[np.uint8]:
    """Return a picture in the report's size, uint8 (H, W, 3); the prepared one if its file cannot be read."""
    try:
        picture = read(path, contract, settings)
    except ImageError:
        return prepared
    scale = min(1.0, SHOWN_SIDE / max(picture.height, picture.width))
    height, width = (max(1, round(side * scale)) for side in (picture.height, picture.width))
    return fit_to(picture.pixels, height, width)
