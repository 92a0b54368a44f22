"""The page of `inspector evaluate --report`: the figures of a test folder, and its worst mistakes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from calibration.evaluation import Evaluation, LabelledScore
from calibration.labelled import GOOD
from calibration.report.template import data_address, environment, jpeg
from inspector.bundle.atomic import write_bytes
from inspector.scoring.detector import Detector

SHOWN_MISTAKES = 6
LONGEST_SIDE_PIXELS = 300
QUALITY = 80
REJECTED = "Good pictures that were rejected"
REJECTED_ADVICE = "If one of them shows a defect, move it into a folder of defects and evaluate again."
MISSED = "Defects that were missed"
MISSED_ADVICE = "Check that the defect is visible in the picture at the size that the model works with."


def write_evaluation(path: Path, evaluation: Evaluation, detector: Detector) -> None:
    """Write one self-contained page, in one piece.

    Parameters
    ----------
    path : Path
        Is replaced if it exists; its folder must exist.
    evaluation : Evaluation
        The result of `measure`.
    detector : Detector
        The model that was measured; it scores the shown pictures once more for their maps.

    Raises
    ------
    StorageError
        The page cannot be written there.
    """
    write_bytes(path, render_evaluation(evaluation, detector).encode())


def render_evaluation(evaluation: Evaluation, detector: Detector) -> str:
    """Return the page as HTML; it loads nothing and needs no script."""
    rejected = sorted((s for s in evaluation.good if s.flagged), key=lambda s: -s.score)
    missed = sorted((s for s in evaluation.defective if not s.flagged), key=lambda s: s.score)
    return (
        environment()
        .get_template("evaluation.html.j2")
        .render(
            figures=evaluation.figures(),
            mask_sentences=evaluation.masks.sentences(),
            calibration=detector.calibration,
            good=len(evaluation.good),
            mistakes=[
                (REJECTED, REJECTED_ADVICE, len(rejected), _shown(rejected, detector)),
                (MISSED, MISSED_ADVICE, len(missed), _shown(missed, detector)),
            ],
        )
    )


def _shown(scores: Iterable[LabelledScore], detector: Detector) -> list[dict[str, Any]]:
    return [_mistake(score, detector) for score in list(scores)[:SHOWN_MISTAKES]]


def _mistake(score: LabelledScore, detector: Detector) -> dict[str, Any]:
    """Return the template's values for one picture; `images` is empty if the picture cannot be decoded."""
    inspection = detector.score_file(score.path)
    label = score.path.name if score.kind == GOOD else f"{score.kind}/{score.path.name}"
    pictures = (inspection.picture, detector.draw(inspection))
    files = [jpeg(pixels, LONGEST_SIDE_PIXELS, QUALITY) for pixels in pictures if pixels is not None]
    return {
        "label": label,
        "score": score.score,
        "reason": inspection.message,
        "images": [data_address(file) for file in files],
    }
