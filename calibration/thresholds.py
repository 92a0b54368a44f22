"""Sets the thresholds of a model from held-out scores, and puts the model's promise into words."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from calibration.conformal import ConformalThreshold, TooFewNormalsWarning, exact_rate, images_needed
from calibration.standardiser import Standardiser
from inspector.bundle.records import Calibration, CalibrationMethod, Column, Fusion
from inspector.rate import rate_error, show_rate
from inspector.scoring import decision

CEILING_SPREADS = 3.0
SMALLEST_RELATIVE_SPREAD = 0.1


def make_calibration(
    training_statistics: NDArray[np.floating],
    heldout_statistics: NDArray[np.floating],
    heldout_map_peaks: NDArray[np.floating],
    columns: Sequence[Column],
    *,
    fused: Sequence[str],
    weights: Sequence[float],
    floor: float | None = None,
    disturbed_statistics: NDArray[np.floating] | None = None,
    max_false_reject: float,
    max_review: float | None = None,
    source: str,
    method: CalibrationMethod = CalibrationMethod.HELD_OUT,
) -> Calibration:
    """Standardise on training pictures, and set thresholds on held-out or cross-fitted pictures.

    Parameters
    ----------
    training_statistics : array (n_images, n_columns)
        Raw statistics of the pictures that the networks were trained on, each without itself.
    heldout_statistics : array (m_images, n_columns)
        Raw statistics of the good pictures that set the thresholds: pictures that neither training nor
        standardisation used, or by cross-fitting the same as `training_statistics`.
    heldout_map_peaks : array (m_images,)
        The largest value of each held-out picture's anomaly map.
    columns : sequence of Column
        The column of each statistic: its component, and the share of the map that it averages.
    fused : sequence of str
        The components that enter the score.
    weights : sequence of float
        The weight of each fused component.
    floor : float, optional
        A component score below this value counts as this value.
    disturbed_statistics : array (d_images, n_columns), optional
        Raw statistics of training pictures after a harmless change, such as other light.  They widen the
        spread and leave the centre where it is.
    max_false_reject : float
        The rate of good pictures that may fail.
    max_review : float, optional
        The rate of good pictures that may be sent to review, beside those that fail; without it no picture
        is sent to review.
    source : str
        Origin of the held-out pictures, in words.
    method : CalibrationMethod
        How the held-out pictures were scored.

    Returns
    -------
    Calibration
        If too few pictures were held out, `images_missing` is the number of good pictures to add to the
        folder.  A fit that holds out only a share of the pictures can need more of them than
        `set_thresholds` counts.

    Raises
    ------
    UsageError
        A rate is out of its range.
    """
    standardiser = Standardiser().fit(training_statistics, disturbed=disturbed_statistics)
    fusion = Fusion(
        center=tuple(standardiser.center_.tolist()),
        scale=tuple(standardiser.scale_.tolist()),
        fused=tuple(fused),
        weights=tuple(weights),
        floor=floor,
    )
    calibration = set_thresholds(
        decision.score(heldout_statistics, columns, fusion),
        heldout_map_peaks,
        fusion,
        max_false_reject=max_false_reject,
        max_review=max_review,
        source=source,
        method=method,
    )
    if calibration.promise_kept or calibration.is_cross_fitted:
        return calibration
    images = len(training_statistics) + len(heldout_statistics)
    missing = max(calibration.images_missing, images_needed(max_false_reject) - images)
    return calibration.model_copy(update={"images_missing": missing})


def set_thresholds(
    heldout_scores: NDArray[np.floating],
    heldout_map_peaks: NDArray[np.floating],
    fusion: Fusion,
    *,
    max_false_reject: float,
    max_review: float | None,
    source: str,
    method: CalibrationMethod = CalibrationMethod.HELD_OUT,
) -> Calibration:
    """Set every threshold from the scores and map peaks of held-out good pictures.

    Parameters
    ----------
    heldout_scores, heldout_map_peaks : array (m_images,)
        Final scores, and the largest value of each anomaly map; higher is more anomalous.
    fusion : Fusion
        The numbers that the scores were computed with; a `Calibration` has them, too.
    max_false_reject, max_review, source, method
        As for `make_calibration`.

    Returns
    -------
    Calibration
        If there are too few held-out pictures, `images_missing` is the number of those to add.
    """
    check_rates(max_false_reject, max_review)
    score_limit = _conformal(heldout_scores, max_false_reject)
    map_limit = _conformal(heldout_map_peaks, max_false_reject).threshold_
    return Calibration(
        **{name: getattr(fusion, name) for name in Fusion.model_fields},
        threshold=score_limit.threshold_,
        review_threshold=None if max_review is None else _review_threshold(score_limit, max_review),
        map_limit=map_limit,
        map_ceiling=_ceiling(map_limit, float(np.median(heldout_map_peaks))),
        asked_false_reject_rate=max_false_reject,
        promised_false_reject_rate=score_limit.promised_rate_,
        promise_kept=score_limit.images_missing_ == 0,
        images_missing=score_limit.images_missing_,
        heldout_scores=tuple(score_limit.heldout_scores_.tolist()),
        method=method,
        source=source,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check_rates(max_false_reject: float, max_review: float | None) -> None:
    """Raise `UsageError` unless both rates, and their sum, lie strictly between 0 and 1."""
    if not 0 < max_false_reject < 1:
        raise rate_error("--max-false-reject", max_false_reject, "above 0 and below 1", 0.99)
    rest = 1 - max_false_reject
    if max_review is not None and not 0 < max_review < rest:
        allowed = f"above 0 and below {rest:g}, with --max-false-reject {max_false_reject:g}"
        raise rate_error("--max-review", max_review, allowed, rest - 0.01)


def promise(calibration: Calibration) -> str:
    """Say in two sentences how many good parts the threshold may reject, and by which pictures it was set.

    The second sentence counts the pictures that set the threshold and lie over it.  It also says if more
    pictures are needed to promise less.

    Parameters
    ----------
    calibration : Calibration

    Returns
    -------
    str
        For readers who know no statistics.
    """
    promised, asked = map(
        show_rate, (calibration.promised_false_reject_rate, calibration.asked_false_reject_rate)
    )
    most = "About" if calibration.is_cross_fitted else "At most"
    first = f"{most} {promised} of good parts like these are rejected, on average."
    number, pictures = len(calibration.heldout_scores), calibration.pictures_in_words()
    if not calibration.promise_kept:
        missing = calibration.images_missing
        return (
            f"{first} {pictures} cannot promise less; the {asked} that was asked for needs {missing} more "
            f"good {'picture' if missing == 1 else 'pictures'}."
        )
    over = sum(decision.is_flagged(score, calibration.threshold) for score in calibration.heldout_scores)
    scores = "scores" if over < 2 else "score"
    floor = f", and {number} cannot promise less" if calibration.is_smallest else ""
    return f"{first} The threshold was set with {pictures}: {over or 'none'} of them {scores} higher{floor}."


def changes(before: Calibration, after: Calibration) -> list[str]:
    """List the differences between two calibrations of a model: the reasons why its threshold changed.

    Parameters
    ----------
    before, after : Calibration
        Of the same networks.

    Returns
    -------
    list of str
        One fact for each difference; empty without any.
    """
    found = []
    if before.heldout_scores != after.heldout_scores:
        found.append(f"other pictures: {after.source} instead of {before.source}")
    if before.asked_false_reject_rate != after.asked_false_reject_rate:
        rates = show_rate(after.asked_false_reject_rate), show_rate(before.asked_false_reject_rate)
        found.append("another rate: at most {} of good parts may fail instead of {}".format(*rates))
    for when, one in (("now", after), ("before", before)):
        if not one.promise_kept:
            least = show_rate(one.promised_false_reject_rate)
            found.append(f"too few pictures {when}: {one.pictures_in_words()} promise {least} at best")
    return found


def _conformal(values: NDArray[np.floating], rate: float) -> ConformalThreshold:
    """Fit a threshold to values (m_images,) without a warning: `images_missing` says if they are too few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TooFewNormalsWarning)
        return ConformalThreshold(rate).fit(values.reshape(-1, 1))


def _review_threshold(score_limit: ConformalThreshold, max_review: float) -> float:
    """Return the threshold that good pictures exceed at the sum of both rates: they fail or go to review."""
    total = exact_rate(score_limit.promised_rate_) + exact_rate(max_review)
    return score_limit.threshold_at(float(min(total, Fraction(1) - exact_rate(1e-9))))


def _ceiling(limit: float, median: float) -> float:
    """Return the top of the heatmap's colour scale, `limit + 3 (limit - median)`.

    `median` is the median of the good pictures' peaks, so that a typical good picture stays below the limit,
    and the limit is a quarter of the way from the median to the ceiling.  If the peaks hardly differ, a tenth
    of the limit takes the place of `limit - median`, so that the ceiling lies above the limit.
    """
    spread = max(limit - median, SMALLEST_RELATIVE_SPREAD * abs(limit), 1e-6)
    return limit + CEILING_SPREADS * spread
