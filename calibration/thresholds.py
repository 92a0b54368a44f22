"""Held-out scores become the numbers that a bundle decides with, and the promise in words."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.conformal import ConformalThreshold, TooFewNormalsWarning, exact_rate, images_needed
from calibration.standardise import ScoreFusion
from inspector.bundle.records import Calibration, Column
from inspector.errors import UsageError

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
) -> Calibration:
    """Standardise on training pictures, and set thresholds on held-out ones.

    Parameters
    ----------
    training_statistics : array (n_images, n_columns)
        Raw statistics of the pictures that the networks learned from, by the exported graph.
    heldout_statistics : array (m_images, n_columns)
        Of normal pictures that neither training nor standardisation saw.
    heldout_map_peaks : array (m_images,)
        The largest value of each held-out picture's anomaly map.
    columns : sequence of Column
        What each column is.
    fused : sequence of str
        The components that enter the score.
    weights : sequence of float
        The weight of each of them.
    floor : float, optional
        A component below this value counts as this value.
    disturbed_statistics : array (d_images, n_columns), optional
        Of training pictures to which something harmless was done: they widen the spread, and leave the centre
        where it is.
    max_false_reject : float
        The rate of good pictures that may fail.
    max_review : float, optional
        The rate of good pictures that may be sent to review beside them; without it none are.
    source : str
        Where the held-out pictures come from, for people.

    Returns
    -------
    Calibration
        `images_missing` counts pictures of a whole fit: of those that are added only a part is held out.

    Raises
    ------
    UsageError
        A rate is out of its range.
    """
    check_rates(max_false_reject, max_review)
    names = tuple(column.component for column in columns)
    fusion = ScoreFusion(names, tuple(fused), weights=tuple(weights), floor=floor)
    fusion.fit(training_statistics, disturbed=disturbed_statistics)
    calibration = set_thresholds(
        fusion.fuse(heldout_statistics),
        heldout_map_peaks,
        max_false_reject=max_false_reject,
        max_review=max_review,
        source=source,
        center=tuple(fusion.center_.tolist()),
        scale=tuple(fusion.scale_.tolist()),
        fused=tuple(fused),
        weights=tuple(weights),
        floor=floor,
    )
    if calibration.promise_kept:
        return calibration
    images = len(training_statistics) + len(heldout_statistics)
    missing = max(calibration.images_missing, images_needed(max_false_reject) - images)
    return calibration.model_copy(update={"images_missing": missing})


def set_thresholds(
    heldout_scores: NDArray[np.floating],
    heldout_map_peaks: NDArray[np.floating],
    *,
    max_false_reject: float,
    max_review: float | None,
    source: str,
    **standardisation: Any,
) -> Calibration:
    """Set every threshold from the scores and map peaks of held-out normals.

    Parameters
    ----------
    heldout_scores, heldout_map_peaks : array (m_images,)
        Final scores, and the largest value of each anomaly map; both rise with anomaly.
    max_false_reject, max_review, source
        As for `make_calibration`.
    **standardisation
        The fields `center`, `scale`, `fused`, `weights` and `floor` of the record, which made the scores.

    Returns
    -------
    Calibration
        `images_missing` counts held-out pictures.
    """
    check_rates(max_false_reject, max_review)
    score_limit = _conformal(heldout_scores, max_false_reject)
    map_limit = _conformal(heldout_map_peaks, max_false_reject).threshold_
    review_threshold = None
    if max_review is not None:
        total = exact_rate(score_limit.promised_rate_) + exact_rate(max_review)
        review_threshold = score_limit.threshold_at(float(min(total, Fraction(1) - exact_rate(1e-9))))
    return Calibration(
        threshold=score_limit.threshold_,
        review_threshold=review_threshold,
        map_limit=map_limit,
        map_ceiling=_ceiling(map_limit, float(np.median(heldout_map_peaks))),
        asked_false_reject_rate=max_false_reject,
        promised_false_reject_rate=score_limit.promised_rate_,
        promise_kept=score_limit.images_missing_ == 0,
        images_missing=score_limit.images_missing_,
        heldout_scores=tuple(score_limit.heldout_scores_.tolist()),
        source=source,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **standardisation,
    )


def check_rates(max_false_reject: float, max_review: float | None) -> None:
    """Raise `UsageError` unless both rates, and their sum, lie strictly between 0 and 1."""
    if not 0 < max_false_reject < 1:
        raise UsageError(
            f"--max-false-reject is {max_false_reject:g}; it must lie between 0 and 1",
            hint="0.05 lets at most 5 of 100 good parts fail",
        )
    if max_review is not None and not 0 < max_review < 1 - max_false_reject:
        raise UsageError(
            f"--max-review is {max_review:g}; with --max-false-reject {max_false_reject:g} it must lie "
            f"between 0 and {1 - max_false_reject:g}",
            hint="0.1 sends at most another 10 of 100 good parts to review",
        )


def promise(calibration: Calibration) -> str:
    """Say in one or two sentences what the threshold promises, or what it cannot promise yet.

    Parameters
    ----------
    calibration : Calibration

    Returns
    -------
    str
        For people who know no statistics.
    """
    heldout = len(calibration.heldout_scores)
    shown = "picture" if heldout == 1 else "pictures"
    promised, asked = map(
        _percent, (calibration.promised_false_reject_rate, calibration.asked_false_reject_rate)
    )
    if calibration.promise_kept:
        return (
            f"At most {promised} of good parts like these are rejected, on average; "
            f"{heldout} held-out {shown} vouch for it."
        )
    missing = calibration.images_missing
    return (
        f"At most {promised} of good parts like these are rejected, on average: the nearest promise that "
        f"{heldout} held-out {shown} can keep. The {asked} that was asked for "
        f"needs {missing} more good {'picture' if missing == 1 else 'pictures'}."
    )


def _conformal(values: NDArray[np.floating], rate: float) -> ConformalThreshold:
    """Calibrate one column; that there are too few rows is told by the record, not by a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TooFewNormalsWarning)
        return ConformalThreshold(rate).fit(values.reshape(-1, 1))


def _ceiling(limit: float, median: float) -> float:
    """Return the top of the colour scale: three times as far over the limit as the limit is over the median.

    Good pictures thus stay in the lower quarter.  Where their peaks hardly differ, a tenth of the limit
    stands in for the distance, so that the scale has a length.
    """
    spread = max(limit - median, SMALLEST_RELATIVE_SPREAD * abs(limit), 1e-6)
    return limit + CEILING_SPREADS * spread


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"
