"""Measures a model on labelled pictures: its scores, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.image_metrics import auroc, auroc_interval, average_precision, proportion_interval
from calibration.labelled import GOOD, LabelledFolder, LabelledPicture, labelled_folder
from calibration.mask_report import MaskReport
from calibration.masks import read_masks
from calibration.pixel_metrics import PixelScores
from inspector.bundle.reference import count_used, used_in_words
from inspector.errors import DatasetError, InvalidReason
from inspector.imaging.unusable import LeftOut, too_few
from inspector.scoring.detector import Detector
from inspector.scoring.inspection import Inspection
from inspector.scoring.preparation import ScaleTally
from inspector.settings import Settings
from inspector.types import ModelId, Verdict

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

FLAGGED = frozenset({"fail", "invalid"})


@dataclass(frozen=True)
class LabelledScore:
    """The model's answer for one labelled picture; an invalid picture has the score infinity."""

    path: Path
    kind: str
    verdict: Verdict
    score: float
    components: dict[str, float]
    invalid: InvalidReason | None = None

    @property
    def flagged(self) -> bool:
        """True if the picture was rejected: `fail` or `invalid`; `review` counts as a pass."""
        return self.verdict in FLAGGED


@dataclass
class Evaluation:
    """The scores of a test folder, and the figures that follow from them.

    Attributes
    ----------
    model : ModelId
        The model that was measured.
    threshold : float
        The threshold in use.
    scores : list of LabelledScore
        One for each picture.
    pixels : PixelScores
        Pixels of good pictures, and of defective pictures with a mask.
    masks : MaskReport
        How many pictures of defects have a mask, and which masks are odd.
    seconds : float
        Time of all inspections, decoding included.
    scale : ScaleTally, optional
        Pictures whose brightness scale is odd for the model.
    used : int
        Number of pictures that the fit or its calibration used.
    """

    model: ModelId
    threshold: float
    scores: list[LabelledScore] = field(default_factory=list)
    pixels: PixelScores = field(default_factory=PixelScores)
    masks: MaskReport = field(default_factory=MaskReport)
    seconds: float = 0.0
    scale: ScaleTally | None = None
    used: int = 0

    def figures(self) -> dict[str, Any]:
        """Return the object that `inspector evaluate --format json` prints.

        `pixel` is None unless a mask marks something, and `masks` is None without any mask.  A figure that
        needs defective pictures is None without them.  An invalid picture counts as flagged, with the highest
        score.
        """
        return {
            "model": self.model.model_dump(),
            "images": len(self.scores),
            "image": self._image(),
            "pixel": self._pixel(),
            "masks": self.masks.as_dict(),
            "kinds": {kind: self._kind(kind) for kind in self.kinds},
            "components": {name: {"auroc": self._component(name)} for name in self._component_names()},
            "milliseconds_per_image": 1e3 * self.seconds / max(1, len(self.scores)),
            "clipped_images": self.scale.clipped if self.scale else 0,
            "used_in_fit": self.used,
            "remarks": [
                *used_in_words(self.used, len(self.scores)),
                *(self.scale.in_words() if self.scale else []),
            ],
        }

    @property
    def good(self) -> list[LabelledScore]:
        """The good pictures."""
        return [score for score in self.scores if score.kind == GOOD]

    @property
    def defective(self) -> list[LabelledScore]:
        """The pictures of every kind of defect."""
        return [score for score in self.scores if score.kind != GOOD]

    @property
    def kinds(self) -> list[str]:
        """The kinds of defect, sorted by name."""
        return sorted({score.kind for score in self.defective})

    def _image(self) -> dict[str, Any]:
        good, defective = _values(self.good), _values(self.defective)
        rejected, found = _flagged(self.good), _flagged(self.defective)
        selected = 2 * found + rejected + (defective.size - found)
        return {
            "auroc": auroc(good, defective),
            "auroc_interval": auroc_interval(good, defective),
            "ap": average_precision(good, defective),
            "f1": 2 * found / selected if defective.size else None,
            "threshold": self.threshold,
            "false_reject_rate": rejected / good.size if good.size else None,
            "false_reject_interval": proportion_interval(rejected, good.size),
            "miss_rate": _miss_rate(self.defective),
        }

    def _pixel(self) -> dict[str, Any] | None:
        value = self.pixels.auroc()
        if value is None:
            return None
        return {"auroc": value, "aupro": self.pixels.aupro(), "masks": self.masks.counted}

    def _kind(self, kind: str) -> dict[str, Any]:
        scores = [score for score in self.defective if score.kind == kind]
        return {
            "images": len(scores),
            "auroc": auroc(_values(self.good), _values(scores)),
            "miss_rate": _miss_rate(scores),
        }

    def _component_names(self) -> list[str]:
        return list(dict.fromkeys(name for score in self.scores for name in score.components))

    def _component(self, name: str) -> float | None:
        return auroc(_values(self.good, name), _values(self.defective, name))


def invalid(scores: Sequence[LabelledScore]) -> list[LeftOut]:
    """Return name and reason of each invalid picture."""
    return [(score.path.name, score.invalid) for score in scores if score.invalid is not None]


def _values(scores: Sequence[LabelledScore], component: str | None = None) -> Floats:
    if component is None:
        return np.array([score.score for score in scores], dtype=np.float64)
    return np.array([score.components.get(component, np.inf) for score in scores], dtype=np.float64)


def _flagged(scores: Sequence[LabelledScore]) -> int:
    return sum(score.flagged for score in scores)


def _miss_rate(defective: Sequence[LabelledScore]) -> float | None:
    return 1 - _flagged(defective) / len(defective) if defective else None


def measure(detector: Detector, test_dir: Path, *, progress: Progress | None = None) -> Evaluation:
    """Inspect every picture of a test folder, one at a time, without keeping the anomaly maps.

    Parameters
    ----------
    detector : Detector
        The opened model.
    test_dir : Path
        As for `labelled_folder`.
    progress : callable, optional
        Called after each picture with the number of pictures done and the number of all pictures.

    Returns
    -------
    Evaluation

    Raises
    ------
    DatasetError
        The folder cannot be used, or no good picture can be read.
    """
    folder = labelled_folder(test_dir)
    counts_pixels = any(picture.masks for picture in folder.pictures)
    scale = ScaleTally(detector.manifest.image)
    evaluation = Evaluation(
        detector.model, detector.calibration.threshold, masks=_mask_report(folder), scale=scale
    )
    for done, picture in enumerate(folder.pictures, start=1):
        started = perf_counter()
        inspection = detector.score_file(picture.path)
        evaluation.seconds += perf_counter() - started
        evaluation.scores.append(_labelled_score(picture, inspection))
        if inspection.image is not None:
            scale.add(inspection.image.bits, inspection.image.clipped_pixels)
        if counts_pixels and (picture.masks or picture.kind == GOOD):
            _count_pixels(evaluation, picture, inspection, detector.settings)
        if progress:
            progress(done, len(folder.pictures))
    evaluation.used = count_used(detector.bundle, (picture.path for picture in folder.pictures))
    left_out = invalid(evaluation.good)
    if len(left_out) == len(evaluation.good):
        raise too_few(test_dir / GOOD, 0, left_out, 1, "put good pictures there that can be read")
    return evaluation


def _mask_report(folder: LabelledFolder) -> MaskReport:
    """Report which pictures have masks; no mask has been read yet."""
    defective = [picture for picture in folder.pictures if picture.kind != GOOD]
    return MaskReport(
        defective_images=len(defective),
        missing=[picture.name for picture in defective if not picture.masks],
        ambiguous=[picture.name for picture in defective if picture.is_ambiguous],
        unused=list(folder.unused_masks),
    )


def _labelled_score(picture: LabelledPicture, inspection: Inspection) -> LabelledScore:
    score = np.inf if inspection.score is None else inspection.score
    components = inspection.components or {}
    return LabelledScore(picture.path, picture.kind, inspection.verdict, score, components, inspection.reason)


def _count_pixels(
    evaluation: Evaluation, picture: LabelledPicture, inspection: Inspection, settings: Settings
) -> None:
    """Count the pixels of one map; an invalid picture has no map."""
    anomaly_map, report = inspection.anomaly_map, evaluation.masks
    name = picture.name
    if anomaly_map is None:
        report.invalid += [name] if picture.masks else []
        return
    if not picture.masks:
        evaluation.pixels.add(anomaly_map)
        return
    try:
        mask = read_masks(picture.masks, anomaly_map.shape, settings)
    except DatasetError as error:
        report.unusable[name] = error.message
        return
    evaluation.pixels.add(anomaly_map, mask.defect)
    report.counted += 1
    report.empty += [] if mask.defect.any() else [name]
    report.lossy += [name] if mask.halved else []
    report.mostly_defect += [name] if mask.marks_most else []
