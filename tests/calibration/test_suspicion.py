"""Which of the good pictures may not be good."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.suspicion import FENCE, AboveBefore, outlyingness


@pytest.mark.parametrize("count", [8, 14, 60, 500])
def test_one_bad_picture(count: int) -> None:
    """One score far above the others is suspicious, and the first of all."""
    scores = np.append(np.random.default_rng(count).gamma(4, 0.3, count), 8.0)
    found = outlyingness(scores)
    assert found[-1] > FENCE
    assert found.argmax() == count


def test_many_bad_pictures_do_not_hide_each_other() -> None:
    """Up to a quarter of the pictures may be bad."""
    scores = np.append(np.random.default_rng(0).normal(0, 1, 80), np.full(20, 9.0))
    assert (outlyingness(scores)[80:] > FENCE).all()


def test_few_good_pictures_are_suspicious() -> None:
    """Of skewed scores of good pictures, a few in a hundred are."""
    scores = np.random.default_rng(1).gamma(4, 0.3, 5000)
    assert 0 < (outlyingness(scores) > FENCE).mean() < 0.04


@pytest.mark.parametrize("scores", [[], [1.0], [2.0] * 20, (1e-9 * np.arange(20)).tolist()])
def test_equal_scores(scores: list[float]) -> None:
    """Where scores do not differ by more than rounding, none is suspicious."""
    found = outlyingness(scores)
    assert found.shape == (len(scores),)
    assert not (found > FENCE).any()


@pytest.mark.parametrize(
    ("above", "too_many"), [(0, False), (1, False), (11, False), (12, True), (100, True)]
)
def test_more_above_the_threshold_than_the_promise_explains(above: int, *, too_many: bool) -> None:
    """Of 100 pictures, 5 % may score above: 11 or more do so by chance in 1.1 % of all cases, 12 in 0.4 %."""
    scores = [3.0 + i for i in range(above)] + [1.0] * (100 - above)
    found = AboveBefore.of(scores, [f"{i}.png" for i in range(100)], 2.0, 0.05)
    assert len(found.names) == above
    assert found.too_many is too_many
    assert bool(found.in_words()) is too_many
    assert found.names[:1] == ((f"{above - 1}.png",) if above else ())


def test_a_score_at_the_threshold_passes() -> None:
    """As the verdict does, the count takes only scores above the threshold."""
    assert AboveBefore.of([2.0, 2.5], ["a", "b"], 2.0, 0.05).names == ("b",)
