"""What `inspector evaluate --report` writes: the figures of a test folder, and its worst mistakes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from calibration.evaluation import Evaluation, LabelledScore
from calibration.labelled import GOOD
from calibration.report.page import show_component, show_count, show_number, show_percent
from inspector.bundle.atomic import write_bytes
from inspector.imaging.encode import encode_jpeg
from inspector.imaging.files import printable
from inspector.imaging.resize import fit_to

if TYPE_CHECKING:
    from inspector.scoring.detector import Detector

SHOWN_MISTAKES = 6
LONGEST_SIDE_PIXELS = 300
QUALITY = 80


def _rate(rate: float | None) -> str:
    return "–" if rate is None else show_percent(rate)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"


FILTERS: dict[str, Callable[..., str]] = {
    "number": show_number,
    "rate": _rate,
    "share": _share,
    "count": show_count,
    "component": show_component,
    "name": printable,
}


def write_evaluation(path: Path, evaluation: Evaluation, detector: Detector) -> None:
    """Write one self-contained page, in one piece.

    Parameters
    ----------
    path : Path
        Is replaced if it exists; its folder must exist.
    evaluation : Evaluation
        As `measure` returned it.
    detector : Detector
        The model that was measured; it inspects the shown pictures once more.

    Raises
    ------
    StorageError
        The page cannot be written there.
    """
    write_bytes(path, render_evaluation(evaluation, detector).encode())


def render_evaluation(evaluation: Evaluation, detector: Detector) -> str:
    """Return the page as HTML; it loads nothing and needs no script."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    rejected = sorted((s for s in evaluation.good if s.flagged), key=lambda s: -s.score)
    missed = sorted((s for s in evaluation.defective if not s.flagged), key=lambda s: s.score)
    return environment.get_template("evaluation.html.j2").render(
        figures=evaluation.figures(),
        calibration=detector.calibration,
        good=len(evaluation.good),
        mistakes=[
            ("Good pictures that were rejected", "rejected", len(rejected), _shown(rejected, detector)),
            ("Defects that were missed", "missed", len(missed), _shown(missed, detector)),
        ],
    )


def _shown(scores: Iterable[LabelledScore], detector: Detector) -> list[dict[str, Any]]:
    return [_mistake(score, detector) for score in list(scores)[:SHOWN_MISTAKES]]


def _mistake(score: LabelledScore, detector: Detector) -> dict[str, Any]:
    inspection = detector.score(score.path)
    label = score.path.name if score.kind == GOOD else f"{score.kind}/{score.path.name}"
    shown: dict[str, Any] = {
        "label": label,
        "score": score.score,
        "reason": inspection.record().reason,
        "images": [],
    }
    drawn = detector.draw(inspection)
    if inspection.picture is not None and drawn is not None:
        shown["images"] = [_data_address(inspection.picture), _data_address(drawn)]
    return shown


def _data_address(pixels: NDArray[np.uint8]) -> str:
    height, width = pixels.shape[:2]
    factor = min(1.0, LONGEST_SIDE_PIXELS / max(height, width))
    small = fit_to(pixels, max(1, round(height * factor)), max(1, round(width * factor)))
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(small, QUALITY)).decode('ascii')}"
