"""How well a model tells good from defective pictures, in figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from calibration.labelled import GOOD, LabelledPicture, labelled_pictures, read_mask
from calibration.metrics import PixelScores
from inspector.types import ModelId, Verdict

if TYPE_CHECKING:
    from inspector.scoring.detector import Detector
    from inspector.scoring.inspection import Inspection
    from inspector.settings import Settings

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

FLAGGED = frozenset({"fail", "invalid"})
LEVEL = 0.95
RESAMPLES = 1000
WEIGHTS_AT_ONCE = 2_000_000  # numbers; bounds the memory of the bootstrap to some 50 MB


# --- figures of scores alone --------------------------------------------------------------------


def auroc(good: Floats, defective: Floats) -> float | None:
    """Return the chance that a defective picture scores over a good one, ties counting half.

    Parameters
    ----------
    good, defective : array (n,)
        Scores, rising with anomaly; `inf` is allowed.

    Returns
    -------
    float or None
        None where either is empty.
    """
    if good.size == 0 or defective.size == 0:
        return None
    return float(metrics.roc_auc_score(_labels(good, defective), _ranks(good, defective)))


def average_precision(good: Floats, defective: Floats) -> float | None:
    """Return the area under precision over recall, defective being what is looked for."""
    if good.size == 0 or defective.size == 0:
        return None
    return float(metrics.average_precision_score(_labels(good, defective), _ranks(good, defective)))


def auroc_interval(
    good: Floats, defective: Floats, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """Return a 95 % bootstrap interval of the AUROC, resampling good and defective separately.

    A resample is a vector of multiplicities, so that with both sets sorted once its AUROC is
    `sum_j w_j (below_j + below_or_equal_j) / (2 n m)`, the two counts being weighted cumulative sums
    over the good pictures.  All resamples are computed together.

    Parameters
    ----------
    good, defective : array (n,), array (m,)
        Scores, rising with anomaly.
    resamples : int
        Number of bootstrap samples.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    tuple of float, or None
        The 2.5 % and 97.5 % quantiles; None where either set is empty.  A model that separates both
        sets perfectly gets (1, 1): the bootstrap knows no pictures but those it was given.
    """
    n, m = good.size, defective.size
    if n == 0 or m == 0:
        return None
    ordered = np.sort(good)
    left = np.searchsorted(ordered, defective, side="left")
    right = np.searchsorted(ordered, defective, side="right")
    rng = np.random.default_rng(seed)
    chunk = max(1, WEIGHTS_AT_ONCE // (n + m))
    values: list[Floats] = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        good_weights = rng.multinomial(n, np.full(n, 1 / n), size=size)  # (size, n)
        defect_weights = rng.multinomial(m, np.full(m, 1 / m), size=size)  # (size, m)
        below = np.pad(np.cumsum(good_weights, axis=1), ((0, 0), (1, 0)))  # (size, n + 1)
        wins = below[:, left] + below[:, right]  # (size, m)
        values.append((defect_weights * wins).sum(axis=1) / (2 * n * m))
    low, high = np.quantile(np.concatenate(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def proportion_interval(count: int, total: int) -> tuple[float, float] | None:
    """Return the exact (Clopper-Pearson) 95 % interval of `count / total`; None where total is 0."""
    if total == 0:
        return None
    interval = stats.binomtest(count, total).proportion_ci(LEVEL, method="exact")
    return float(interval.low), float(interval.high)


def _labels(good: Floats, defective: Floats) -> NDArray[np.int8]:
    return np.repeat(np.array([0, 1], np.int8), [good.size, defective.size])


def _ranks(good: Floats, defective: Floats) -> Floats:
    """Return finite numbers in the same order as the scores, infinite ones included."""
    return np.asarray(stats.rankdata(np.concatenate([good, defective]), method="dense"), dtype=np.float64)


# --- a model on labelled folders ----------------------------------------------------------------


@dataclass(frozen=True)
class LabelledScore:
    """What the model said of one labelled picture; an invalid one has the highest score there is."""

    path: Path
    kind: str
    verdict: Verdict
    score: float
    components: dict[str, float]

    @property
    def flagged(self) -> bool:
        """Whether it was rejected: `fail` or `invalid`; `review` counts as a pass."""
        return self.verdict in FLAGGED


@dataclass
class Evaluation:
    """The scores of a test folder, and the figures that follow from them.

    Attributes
    ----------
    model : ModelId
        Which model was measured.
    threshold : float
        The shipped one.
    scores : list of LabelledScore
        One for each picture.
    pixels : PixelScores
        Filled from good pictures and from those that have a mask.
    masks : int
        Number of pictures whose mask was counted.
    seconds : float
        Spent inspecting, decoding included.
    """

    model: ModelId
    threshold: float
    scores: list[LabelledScore] = field(default_factory=list)
    pixels: PixelScores = field(default_factory=PixelScores)
    masks: int = 0
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """Return the object that `inspector evaluate --format json` prints."""
        return {
            "model": self.model.model_dump(),
            "images": len(self.scores),
            "image": self._image(),
            "pixel": self._pixel(),
            "kinds": {kind: self._kind(kind) for kind in self.kinds},
            "components": {name: {"auroc": self._component(name)} for name in self._component_names()},
            "milliseconds_per_image": 1e3 * self.seconds / max(1, len(self.scores)),
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
        """Names of the kinds of defect, sorted."""
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
        return {"auroc": value, "aupro": self.pixels.aupro(), "masks": self.masks}

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


def _values(scores: Sequence[LabelledScore], component: str | None = None) -> Floats:
    if component is None:
        return np.array([score.score for score in scores], dtype=np.float64)
    return np.array([score.components.get(component, np.inf) for score in scores], dtype=np.float64)


def _flagged(scores: Sequence[LabelledScore]) -> int:
    return sum(score.flagged for score in scores)


def _miss_rate(defective: Sequence[LabelledScore]) -> float | None:
    return 1 - _flagged(defective) / len(defective) if defective else None


def measure(detector: Detector, test_dir: Path, *, progress: Progress | None = None) -> Evaluation:
    """Inspect every picture of a test folder, one at a time, keeping no map.

    Parameters
    ----------
    detector : Detector
        The opened model.
    test_dir : Path
        As for `labelled_pictures`.
    progress : callable, optional
        Called with the number of pictures done and of all pictures.

    Returns
    -------
    Evaluation

    Raises
    ------
    DatasetError
        The folder or a mask cannot be used.
    """
    pictures = labelled_pictures(test_dir)
    counts_pixels = any(picture.mask for picture in pictures)
    evaluation = Evaluation(detector.model, detector.calibration.threshold)
    for done, picture in enumerate(pictures, start=1):
        started = perf_counter()
        inspection = detector.score(picture.path)
        evaluation.seconds += perf_counter() - started
        evaluation.scores.append(_labelled_score(picture, inspection))
        if counts_pixels and (picture.mask or picture.kind == GOOD):
            _count_pixels(evaluation, picture, inspection, detector.settings)
        if progress:
            progress(done, len(pictures))
    return evaluation


def _labelled_score(picture: LabelledPicture, inspection: Inspection) -> LabelledScore:
    score = np.inf if inspection.score is None else inspection.score
    return LabelledScore(picture.path, picture.kind, inspection.verdict, score, inspection.components or {})


def _count_pixels(
    evaluation: Evaluation, picture: LabelledPicture, inspection: Inspection, settings: Settings
) -> None:
    """Count a map; an invalid picture has none, and a defect without a mask tells nothing of pixels."""
    anomaly_map = inspection.anomaly_map
    if anomaly_map is None:
        return
    mask = None if picture.mask is None else read_mask(picture.mask, anomaly_map.shape, settings)
    evaluation.pixels.add(anomaly_map, mask)
    evaluation.masks += picture.mask is not None


def evaluate(detector: Detector, test_dir: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Return the figures of a model on a test folder; parameters are those of `measure`.

    Returns
    -------
    dict
        The object that `inspector evaluate --format json` prints.  `pixel` is None without masks; what
        needs defective pictures is None where there are none.  An invalid picture counts as flagged,
        with the highest score.
    """
    return measure(detector, test_dir, progress=progress).figures()
