"""Times training steps, and chooses by these times how many threads and steps a training takes."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from inspector.errors import BudgetError
from inspector.process.concurrency import cores
from models.training.course import Course
from models.training.learner import Learner

TIMING_STEPS, WARM_STEPS = 8, 2  # steps that are timed, and how many of them do not count
OVERHEAD = 1.03  # drawing the batches is not wholly hidden behind the steps
WORTHWHILE = 1.3  # more threads must be this much faster: on shared cores they wait for each other
SLOWED = 2.0  # one thread goes on when steps take this many times as long as planned
RECENT_STEPS = 12
MIN_STEPS = 30  # fewer teach the network nothing

# torch's own number ignores the quota of a container; a smaller number that was asked for stays.
torch.set_num_threads(min(torch.get_num_threads(), cores()))

Paces = dict[int, float]  # seconds of a step for each number of threads


@contextmanager
def kept_threads(count: int) -> Iterator[None]:
    """Compute with `count` threads (0: one for each core), then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(learner: Learner, draw: Callable[[int], Any], course: Course, threads: int) -> Paces:
    """Time a few steps of a copy of the learner.

    Parameters
    ----------
    learner : Learner
    draw : callable
        Returns the batch of a step.
    course : Course
    threads : int
        Measure this number of threads only; 0 measures one thread, half of the cores, and all cores.
    """
    counts = [threads] if threads else sorted({1, max(1, cores() // 2), cores()})
    scratch = copy.deepcopy(learner)
    return {count: _seconds_of_a_step(scratch, draw, course, count) for count in counts}


def _seconds_of_a_step(scratch: Learner, draw: Callable[[int], Any], course: Course, threads: int) -> float:
    torch.set_num_threads(threads)
    seconds = []
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(draw, 0)
        for step in range(TIMING_STEPS):
            batch, upcoming = upcoming.result(), pool.submit(draw, step + 1)
            tick = time.monotonic()
            scratch.learn(batch, course.step + step, course.planned)
            seconds.append(time.monotonic() - tick)
    return statistics.median(seconds[WARM_STEPS:]) * OVERHEAD


def worthwhile_threads(paces: Paces) -> int:
    """Return the number of threads to train with: more only where they are clearly faster.

    Examples
    --------
    >>> worthwhile_threads({1: 0.20, 2: 0.13}), worthwhile_threads({1: 0.20, 2: 0.17})
    (2, 1)
    """
    best = min(paces)
    for count in sorted(paces):
        if paces[count] * WORTHWHILE < paces[best]:
            best = count
    return best


def affordable_steps(done: int, seconds_left: float, pace: float) -> int:
    """Return the steps of the whole training that fit into the time that is left.

    Parameters
    ----------
    done : int
        Steps that were taken before.
    seconds_left : float
    pace : float
        Seconds of a step.

    Raises
    ------
    BudgetError
        They are fewer than 30.
    """
    steps = done + int(seconds_left / pace)
    if steps < MIN_STEPS:
        raise BudgetError(
            f"the time budget leaves {max(seconds_left, 0):.0f} s for training, enough for {max(steps, 0)} "
            f"steps at {pace:.2f} s each; at least {MIN_STEPS} are needed",
            hint=f"give at least {math.ceil(MIN_STEPS * pace - seconds_left)} s more, or --steps",
        )
    return steps


def slowed(course: Course, recent: deque[float], paces: Paces) -> bool:
    """Return True if recent steps were so slow that the threads must be waiting for each other.

    Parameters
    ----------
    course : Course
    recent : deque of float
        Seconds of the last `RECENT_STEPS` steps.
    paces : dict
        Seconds of a step as measured before the training.
    """
    if 1 not in paces or course.threads == 1 or course.one_thread_from is not None:
        return False
    return len(recent) == RECENT_STEPS and statistics.median(recent) > SLOWED * paces[course.threads]
