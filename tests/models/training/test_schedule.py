"""The learning rate over a training."""

from __future__ import annotations

import pytest

from models.training.schedule import warm_up_cosine


def test_the_rate_rises_and_falls() -> None:
    """It rises linearly to the full rate, then falls to 0 at the planned step and stays there."""
    rates = [warm_up_cosine(step, 200, 50, falls_from=50) for step in range(300)]
    assert rates[:50] == [(step + 1) / 50 for step in range(50)]
    assert rates[50:200] == sorted(set(rates[50:200]), reverse=True)
    assert rates[125] == pytest.approx(0.5)
    assert rates[200:] == [0.0] * 100


def test_without_a_plan_the_rate_does_not_fall() -> None:
    """The steps that are timed before a training do not know its end."""
    assert [warm_up_cosine(step, None, 10) for step in (0, 9, 1000)] == [0.1, 1.0, 1.0]


def test_a_training_shorter_than_the_warm_up_only_rises() -> None:
    """Ten steps of a warm-up of fifty end at a fifth of the rate."""
    assert warm_up_cosine(9, 10, 50, falls_from=50) == pytest.approx(0.2)
