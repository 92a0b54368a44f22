"""Thresholds, limits of the map, and the promise in words."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.conformal import heldout_count
from calibration.thresholds import changes, check_rates, make_calibration, promise, set_thresholds
from inspector.bundle.records import Calibration, CalibrationMethod, Column, Fusion
from inspector.errors import UsageError
from inspector.scoring import decision

Floats = NDArray[np.float32]
FUSION: dict[str, Any] = {
    "fused": ("head", "latent_mmd", "latent_mmd_coarse", "context"),
    "weights": (0.3, 0.25, 0.05, 0.4),
    "floor": -0.5,
}
SHARES = (0.0007, 0.005, 0.03)
COLUMNS = tuple(
    Column(component=name, share=share)
    for name in ("reconstruction", "latent_mmd", "latent_mmd_coarse", "head", "context")
    for share in SHARES
)


def statistics(n: int, seed: int) -> Floats:
    """Raw statistics (n, 15) like those of a graph: float32, non-negative, columns of different size."""
    rng = np.random.default_rng(seed)
    return (rng.gamma(2.0, size=(n, 15)) * 10.0 ** np.arange(-7, 8)).astype(np.float32)


def calibrated(
    n: int = 100,
    m: int = 59,
    seed: int = 0,
    *,
    max_false_reject: float = 0.05,
    max_review: float | None = None,
) -> Calibration:
    """A calibration from n training and m held-out pictures."""
    return make_calibration(
        statistics(n, seed),
        statistics(m, seed + 1),
        np.random.default_rng(seed + 2).gamma(5.0, size=m),
        COLUMNS,
        **FUSION,
        max_false_reject=max_false_reject,
        max_review=max_review,
        source="a test",
    )


def test_held_out_scores_are_those_of_the_product() -> None:
    """The stored scores equal those of `inspector.scoring.decision` to the last bit."""
    calibration = calibrated(seed=4)
    scores = decision.score(statistics(59, 5), COLUMNS, calibration)
    assert calibration.heldout_scores == tuple(np.sort(scores).tolist())
    flagged = [decision.is_flagged(float(score), calibration.threshold) for score in scores]
    assert sum(flagged) == 59 - 57  # the 57th smallest, ceil(60 x 0.95), is the threshold


def test_calibration_survives_json() -> None:
    """A calibration that was written as JSON and read again gives the same scores."""
    calibration = calibrated()
    read = Calibration.model_validate_json(calibration.model_dump_json())
    assert read == calibration
    np.testing.assert_array_equal(
        decision.score(statistics(9, 9), COLUMNS, read),
        decision.score(statistics(9, 9), COLUMNS, calibration),
    )


def test_standardisation_comes_from_training_pictures_alone() -> None:
    """Other held-out pictures change the threshold, but not centre and scale."""
    first, second = (
        make_calibration(
            statistics(100, 0),
            statistics(59, seed),
            np.ones(59),
            COLUMNS,
            **FUSION,
            max_false_reject=0.05,
            source="",
        )
        for seed in (1, 2)
    )
    assert (first.center, first.scale) == (second.center, second.scale)
    assert first.threshold != second.threshold


def test_components_outside_the_score_do_not_matter() -> None:
    """A column of a component that is not fused may take any value without moving the threshold."""
    heldout = statistics(59, 1)
    wild = heldout.copy()
    wild[:, :3] *= 1000  # reconstruction
    thresholds = [
        make_calibration(
            statistics(100, 0), each, np.ones(59), COLUMNS, **FUSION, max_false_reject=0.05, source=""
        ).threshold
        for each in (heldout, wild)
    ]
    assert thresholds[0] == thresholds[1]


def test_what_light_moves_counts_less() -> None:
    """A column that other light moves a hundredfold gets a larger scale; relit pictures are not counted."""
    relit = statistics(100, 5)
    relit[:, -1] *= 100
    plain, lit = (
        make_calibration(
            statistics(100, 0),
            statistics(5, 1),
            np.ones(5),
            COLUMNS,
            **FUSION,
            disturbed_statistics=rows,
            max_false_reject=0.05,
            source="",
        )
        for rows in (None, relit)
    )
    assert lit.scale[-1] > 5 * plain.scale[-1]
    assert lit.images_missing == plain.images_missing


def test_other_components_can_be_fused() -> None:
    """The given components enter the score, and are recorded."""
    heldout = statistics(59, 1)
    calibration = make_calibration(
        statistics(100, 0),
        heldout,
        np.ones(59),
        COLUMNS,
        max_false_reject=0.05,
        fused=("reconstruction",),
        weights=(1.0,),
        source="",
    )
    assert calibration.fused == ("reconstruction",)
    expected = decision.component_scores(heldout, COLUMNS, calibration)["reconstruction"]
    assert calibration.heldout_scores == tuple(np.sort(expected).tolist())


def test_false_rejects_are_as_promised() -> None:
    """Over many drawn calibrations at most the promised share of fresh normals is flagged."""
    rates = []
    for seed in range(0, 900, 3):
        calibration = calibrated(30, 39, seed)
        fresh = decision.score(statistics(100, seed + 7_000), COLUMNS, calibration)
        rates.append(np.mean(fresh > calibration.threshold))
    error = 4 * np.std(rates) / np.sqrt(len(rates))
    assert np.mean(rates) == pytest.approx(0.05, abs=error)


def test_map_limit_and_ceiling() -> None:
    """The map's limit is conformal at the same rate; the ceiling lies three times its distance above it."""
    peaks = np.arange(1.0, 60.0)
    calibration = set_thresholds(
        np.arange(59.0),
        peaks,
        Fusion(center=(0.0,), scale=(1.0,), fused=("head",), weights=(1.0,)),
        max_false_reject=0.05,
        max_review=None,
        source="",
    )
    assert calibration.map_limit == 57.0
    assert calibration.map_ceiling == pytest.approx(57.0 + 3 * (57.0 - 30.0))


@pytest.mark.parametrize("peak", [0.0, 1e-9, 2.0, -3.0])
def test_the_colour_scale_always_has_a_length(peak: float) -> None:
    """If all held-out maps have the same peak, the ceiling is still above the limit."""
    calibration = set_thresholds(
        np.arange(59.0),
        np.full(59, peak),
        Fusion(center=(0.0,), scale=(1.0,), fused=("head",), weights=(1.0,)),
        max_false_reject=0.05,
        max_review=None,
        source="",
    )
    assert calibration.map_ceiling > calibration.map_limit == peak


def test_review_is_off_by_default() -> None:
    """Without a rate of reviews there is no review threshold."""
    assert calibrated().review_threshold is None


def test_review_lies_under_the_threshold() -> None:
    """The rates of fails and reviews together are at most the sum of both."""
    calibration = calibrated(m=59, max_review=0.1)
    assert calibration.review_threshold is not None
    assert calibration.review_threshold < calibration.threshold
    over = np.asarray(calibration.heldout_scores) > calibration.review_threshold
    assert over.sum() == 59 - 51  # ceil(60 x 0.85) = 51


@given(
    m=st.integers(1, 60),
    fail=st.sampled_from([0.01, 0.05, 0.2, 0.6]),
    review=st.sampled_from([0.01, 0.1, 0.39]),
)
def test_review_never_lies_over_the_threshold(m: int, fail: float, review: float) -> None:
    """For any number of pictures, the review threshold is at most the threshold."""
    calibration = calibrated(20, m, max_false_reject=fail, max_review=review)
    assert calibration.review_threshold is not None
    assert calibration.review_threshold <= calibration.threshold


def test_too_few_pictures_are_recorded_not_warned_of() -> None:
    """The record says what can be promised, and how many more pictures a fit needs; no warning is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calibration = calibrated(21, 14)
    assert not calibration.promise_kept
    assert calibration.asked_false_reject_rate == 0.05
    assert calibration.promised_false_reject_rate == pytest.approx(1 / 15)
    assert calibration.threshold == calibration.heldout_scores[-1]
    assert calibration.images_missing == 13
    assert heldout_count(35 + 13, 0.05) >= 19 > heldout_count(35 + 12, 0.05)


def test_a_promise_that_is_kept_misses_nothing() -> None:
    """With enough held-out pictures the asked rate is the promised one."""
    calibration = calibrated(30, 19)
    assert calibration.promise_kept
    assert calibration.promised_false_reject_rate == 0.05
    assert calibration.images_missing == 0


@pytest.mark.parametrize(
    ("fail", "review"), [(0.0, None), (1.0, None), (-0.1, None), (0.05, 0.0), (0.5, 0.5), (0.05, 0.95)]
)
def test_rates_out_of_range(fail: float, review: float | None) -> None:
    """Rates out of range are refused with option, value, range and hint."""
    with pytest.raises(UsageError, match=r"--max-(false-reject|review) is .*; allowed: above 0") as caught:
        check_rates(fail, review)
    assert caught.value.hint


def test_promise_in_words() -> None:
    """The sentences name the rate, the number of held-out pictures, and the number of missing ones."""
    assert promise(calibrated(30, 19)) == (
        "At most 5 % of good parts like these are rejected, on average. "
        "The threshold was set with 19 held-out good pictures: none of them scores higher, and 19 cannot "
        "promise less."
    )
    assert promise(calibrated(30, 59)).endswith("59 held-out good pictures: 2 of them score higher.")
    assert promise(calibrated(21, 14)) == (
        "At most 6.67 % of good parts like these are rejected, on average. "
        "14 held-out good pictures cannot promise less; the 5 % that was asked for needs 13 more good "
        "pictures."
    )
    assert "1 held-out good picture cannot promise less" in promise(calibrated(5, 1))


def test_a_calibration_with_new_pictures_calls_them_new() -> None:
    """After `calibrate` nothing is called held out: the pictures that set the threshold are new."""
    fitted = calibrated(30, 19)
    assert fitted.method == CalibrationMethod.HELD_OUT
    later = fitted.model_copy(update={"method": CalibrationMethod.NEW})
    assert later.pictures_in_words() == "19 new good pictures"
    assert "The threshold was set with 19 new good pictures" in promise(later)


def test_changes_of_a_calibration_are_facts() -> None:
    """Other pictures, another rate and too few pictures are named; the same calibration has no change."""
    before = calibrated(30, 19)
    assert changes(before, before) == []
    stricter = calibrated(30, 19, max_false_reject=0.1)
    assert changes(before, stricter) == ["another rate: at most 10 % of good parts may fail instead of 5 %"]
    others = calibrated(30, 14).model_copy(update={"source": "14 new good pictures from b"})
    assert changes(before, others) == [
        f"other pictures: 14 new good pictures from b instead of {before.source}",
        "too few pictures now: 14 held-out good pictures promise 6.67 % at best",
    ]
    assert changes(others, before)[1].startswith("too few pictures before: ")
