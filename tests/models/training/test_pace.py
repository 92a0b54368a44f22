"""The number of threads and steps of a training."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path

import pytest
import torch

from inspector.errors import BudgetError
from models.training.course import Course, Plan
from models.training.loop import run
from models.training.pace import MIN_STEPS, RECENT_STEPS, affordable_steps, kept_threads, measure, slowed
from tests.models.training.conftest import TinyLearner, draw


def test_the_pace_is_measured_on_a_copy() -> None:
    """Each number of threads gets the seconds of a step, and the learner learns nothing."""
    learner = TinyLearner(step_seconds=0.002)
    before = learner.layer.weight.detach().clone()
    with kept_threads(0):
        paces = measure(learner, draw, Course(), threads=0)
    assert 1 in paces
    assert all(seconds >= 0.002 for seconds in paces.values())
    assert learner.layer.weight.equal(before)


def test_the_number_of_threads_is_restored() -> None:
    """Other code of the process computes with as many threads as before."""
    before = torch.get_num_threads()
    with kept_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_steps_fill_the_time_that_is_left() -> None:
    """Steps of an interrupted run count, and at least thirty are needed."""
    assert affordable_steps(0, 10.0, 0.1) == 100
    assert affordable_steps(50, 10.0, 0.1) == 150
    assert affordable_steps(0, 10.0, 10.0 / MIN_STEPS) == MIN_STEPS
    with pytest.raises(BudgetError):
        affordable_steps(0, 10.0, 10.0 / (MIN_STEPS - 1))


def test_a_budget_too_short_is_refused(tmp_path: Path) -> None:
    """The error says how many steps fit, and the hint how much more time is needed."""
    with pytest.raises(BudgetError, match="at least 30") as refused:
        run(TinyLearner(step_seconds=0.01), draw, Plan(seconds=0.1), tmp_path / "checkpoint.pt")
    more = re.match(r"give at least (\d+) s more, or --steps", refused.value.hint)
    assert more
    assert int(more[1]) >= 1


def test_threads_that_wait_for_each_other_are_given_up() -> None:
    """Twelve steps in a row that take twice as long as planned end the work of several threads."""
    paces = {1: 0.2, 2: 0.1}

    def given_up(threads: int, seconds: list[float], one_thread_from: int | None = None) -> bool:
        course = Course(threads=threads, one_thread_from=one_thread_from)
        return slowed(course, deque(seconds, maxlen=RECENT_STEPS), paces)

    assert given_up(2, [0.25] * 12)
    assert not given_up(2, [0.25] * 11)
    assert not given_up(2, [0.15] * 7 + [0.9] * 5)
    assert not given_up(2, [0.25] * 12, one_thread_from=40)
    assert not given_up(1, [0.9] * 12)
