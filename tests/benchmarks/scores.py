"""The component scores of one fit's pictures, from which the figures of any other fusion can be computed.

`SCORES/EFFORT/SET-SEED.npz` holds them; a variant's files are in the folder `SCORES/EFFORT/VARIANT`.  They
are not published with the results: they are large, and say little to a reader.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from calibration.evaluation import LabelledScore
from calibration.labelled import GOOD
from inspector.bundle.atomic import write_bytes
from inspector.bundle.records import Calibration, Fusion
from inspector.errors import InspectorError
from inspector.scoring import decision
from tests.benchmarks.result import Content

Floats = NDArray[np.float64]
Parts = dict[str, Floats]  # the scores of each component


@dataclass(frozen=True)
class ComponentScores:
    """The standardised component scores of a fit's test pictures, and of those that set its threshold.

    Attributes
    ----------
    components : tuple of str
        Their names, in the order of the manifest.
    pictures : tuple of str
        Test pictures as `KIND/NAME`, length n; those of the kind `good` are good.
    test : float64 (n, c)
        Infinity for an invalid picture.
    normal : float64 (m, c)
        The good pictures that set the threshold.
    fusion : Fusion
        The model's own rule; its `center` and `scale` are empty.
    rate : float
        The rate of false rejects that was asked for.
    request : dict
        What was measured, as in the result file.
    """

    components: tuple[str, ...]
    pictures: tuple[str, ...]
    test: Floats
    normal: Floats
    fusion: Fusion
    rate: float
    request: Content

    @property
    def defective(self) -> NDArray[np.bool_]:
        """True for pictures of defects, (n,)."""
        return np.array([name.partition("/")[0] != GOOD for name in self.pictures])

    @property
    def weights(self) -> dict[str, float]:
        """The model's own weight of each component that counts."""
        equal = (1.0,) * len(self.fusion.fused)
        return dict(zip(self.fusion.fused, self.fusion.weights or equal, strict=True))

    def fused(self, weights: dict[str, float]) -> tuple[Floats, Floats]:
        """Return the scores that other weights give: of the test pictures (n,), and of the normal ones (m,).

        Parameters
        ----------
        weights : dict
            The weight of each component that counts; the others are left out.
        """
        rule = self.fusion.model_copy(update={"fused": tuple(weights), "weights": tuple(weights.values())})
        test, normal = (
            decision.fuse(dict(zip(self.components, values.T, strict=True)), rule)
            for values in (self.test, self.normal)
        )
        return np.where(np.isinf(self.test).any(axis=1), np.inf, test), normal


def of_fit(
    scores: Sequence[LabelledScore], seen: Sequence[Parts], calibration: Calibration
) -> ComponentScores:
    """Collect the scores of one fit; `request` is left empty.

    Parameters
    ----------
    scores : sequence of LabelledScore
        Of the test pictures.
    seen : sequence of dict
        The component scores that were recorded during the fit.
    calibration : Calibration
        Of the fitted model.

    Raises
    ------
    InspectorError
        As for `normal_scores`.
    """
    normal = normal_scores(seen, calibration)
    names, unneeded = tuple(normal), {"center": (), "scale": ()}
    return ComponentScores(
        components=names,
        pictures=tuple(f"{one.kind}/{one.path.name}" for one in scores),
        test=np.array([[one.components.get(name, np.inf) for name in names] for one in scores]),
        normal=np.column_stack([normal[name] for name in names]),
        fusion=Fusion(**{name: getattr(calibration, name) for name in Fusion.model_fields} | unneeded),
        rate=calibration.asked_false_reject_rate,
        request={},
    )


@contextmanager
def watched() -> Iterator[list[Parts]]:
    """Record the component scores of all pictures that are scored inside the block.

    A bundle keeps only the fused scores of the pictures that set its threshold: see `normal_scores`.
    """
    seen: list[Parts] = []
    compute = decision.component_scores

    def record(*arguments: Any) -> Parts:
        found = compute(*arguments)
        seen.append(found)
        return found

    with mock.patch.object(decision, "component_scores", record):
        yield seen


def normal_scores(seen: Sequence[Parts], calibration: Calibration) -> Parts:
    """Return the component scores of the pictures that set a threshold, out of all that were recorded.

    They are those whose fused scores the calibration holds.

    Raises
    ------
    InspectorError
        None of the records is theirs.
    """
    for found in reversed(seen):
        if np.array_equal(np.sort(decision.fuse(found, calibration)), np.sort(calibration.heldout_scores)):
            return found
    raise InspectorError("the fit did not score the pictures that set its threshold in one call")


def write_scores(path: Path, scores: ComponentScores) -> None:
    """Write the scores into a compressed file; equal scores give equal bytes."""
    facts = {"fusion": scores.fusion.model_dump(), "rate": scores.rate, "request": scores.request}
    content = BytesIO()
    np.savez_compressed(
        content,
        components=np.array(scores.components),
        pictures=np.array(scores.pictures),
        test=scores.test,
        normal=scores.normal,
        facts=np.array(json.dumps(facts, sort_keys=True)),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())


def read_scores(path: Path) -> ComponentScores | None:
    """Return the scores in a file; None if the file does not exist."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        facts = json.loads(str(file["facts"]))
        return ComponentScores(
            components=tuple(file["components"].tolist()),
            pictures=tuple(file["pictures"].tolist()),
            test=file["test"],
            normal=file["normal"],
            fusion=Fusion.model_validate_json(json.dumps(facts["fusion"])),
            rate=facts["rate"],
            request=facts["request"],
        )


def read_all(folder: Path) -> list[ComponentScores]:
    """Return the scores of every fit without a variant in a folder, sorted by path."""
    found = [read_scores(path) for path in sorted(folder.glob("*/*.npz"))]
    return [scores for scores in found if scores is not None]
