"""The training loop: seeded, resumable, held to a plan of steps, and ignorant of what it trains."""

from __future__ import annotations

import copy
import io
import math
import os
import signal
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from types import FrameType
from typing import Any, Protocol

import torch

from inspector.bundle.atomic import write_bytes
from inspector.errors import BudgetError, DivergedError, ResumeError

TIMING_STEPS = 8  # the pace with a number of threads is read from these, the first two left out
WORTH = 1.3  # more threads must be so much faster: where cores are shared, they wait for each other
SLOWED = 2.0  # when steps take so much longer than planned, one thread goes on
RECENT_STEPS = 12
MIN_STEPS = 30  # fewer teach nothing
CHECKPOINT_SECONDS = 20.0

Progress = Callable[[str, int, int], None]
Draw = Callable[[int], Any]
Watch = Callable[[int, int, dict[str, float]], None]


class Learner(Protocol):
    """What the loop trains.  Its losses have a `total`; a deep copy of it learns without touching it."""

    def learn(self, batch: Any, step: int, planned: int | None) -> dict[str, float]:
        """Take one step, and return its losses; all draws depend on the learner's seed and the step."""

    def state(self) -> dict[str, Any]:
        """Return all that another learner of the same options needs to go on."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take that back."""


@dataclass
class Plan:
    """How many steps; fixed once, recorded, and kept in the checkpoint."""

    steps: int | None = None
    seconds: float | None = None
    grace_seconds: float = math.inf  # how far the machine may fall behind before a training ends early


@dataclass
class Course:
    """How far a training is, and how it went.

    Attributes
    ----------
    step : int
        Steps that were taken.
    planned : int or None
        Steps that are to be taken; not known before the timing.
    seconds : float
        What they took, timing and interrupted runs included.
    curves : dict of str to list of (step, value)
        Each loss at each step.
    threads : int
        Threads that compute together.
    one_thread_from : int or None
        The step from which one thread went on, because others took the cores.
    """

    step: int = 0
    planned: int | None = None
    seconds: float = 0.0
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    threads: int = 1
    one_thread_from: int | None = None


def run(
    learner: Learner,
    draw: Draw,
    plan: Plan,
    checkpoint: Path,
    *,
    threads: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Course:
    """Train.

    Parameters
    ----------
    learner : Learner
    draw : callable
        The batch of a step, which depends on the step alone; called in a thread of its own.
    plan : Plan
        A number of steps, or seconds from which it is worked out after a short timing.  The timing also
        chooses the number of threads, unless it is given, and steps that become twice as slow later go
        on with one thread: threads that share their cores with other programs wait for each other.
    checkpoint : Path
        Written every 20 seconds, on interruption and at the end, atomically.
    threads : int
        0 lets the timing choose.
    resume : bool
        Go on from the checkpoint.
    progress : callable, optional
        Called as `progress("training", step, steps)` after each step.
    watch : callable, optional
        Called as `watch(step, steps, losses)` after each step; must leave the learner as it was.

    Returns
    -------
    Course

    Raises
    ------
    BudgetError, DivergedError, ResumeError
    """
    course = Course(threads=threads or os.cpu_count() or 1)
    with kept_threads(course.threads):
        if resume:
            _load(learner, course, checkpoint)
        course.planned = course.planned or plan.steps
        with _deferred_interrupt() as asked_to_stop:
            _Loop(learner, draw, plan, checkpoint, course, threads, progress, watch).run(asked_to_stop)
        _save(learner, course, checkpoint)
    return course


@contextmanager
def kept_threads(count: int) -> Iterator[None]:
    """Compute with so many threads, 0 for one on each core, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Let Ctrl-C wait for the end of the step, so that the checkpoint is of one; a second one does not."""
    asked = threading.Event()
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # a shell does so for jobs in the background
    if ignored or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class _Loop:
    """What one call of `run` is about."""

    learner: Learner
    draw: Draw
    plan: Plan
    checkpoint: Path
    course: Course
    fixed_threads: int
    progress: Progress | None
    watch: Watch | None

    def run(self, asked_to_stop: threading.Event) -> None:
        """Run the remaining steps; the next batch is drawn while this one is learned."""
        course, plan = self.course, self.plan
        started = saved = time.monotonic()
        before = course.seconds
        paces = self._plan_by_time() if plan.seconds is not None else {}
        assert course.planned is not None
        recent: deque[float] = deque(maxlen=RECENT_STEPS)
        with ThreadPoolExecutor(1) as pool:
            upcoming: Future[Any] = pool.submit(self.draw, course.step)
            while course.step < course.planned:
                batch = upcoming.result()
                upcoming = pool.submit(self.draw, course.step + 1)
                tick = time.monotonic()
                losses = self._step(batch)
                recent.append(time.monotonic() - tick)
                self._tell(losses)
                now = time.monotonic()
                course.seconds = before + now - started
                if slowed(course, recent, paces):
                    self._go_on_with_one_thread(paces[1])
                if asked_to_stop.is_set():
                    _save(self.learner, course, self.checkpoint)
                    raise KeyboardInterrupt
                if plan.seconds is not None and now - started > plan.seconds + plan.grace_seconds:
                    break  # the machine became slower than it was during the timing
                if now - saved > CHECKPOINT_SECONDS:
                    _save(self.learner, course, self.checkpoint)
                    saved = now

    def _step(self, batch: Any) -> dict[str, float]:
        course = self.course
        losses = self.learner.learn(batch, course.step, course.planned)
        if not math.isfinite(losses["total"]):
            raise DivergedError(
                f"the loss became {losses['total']} at step {course.step}",
                hint="fit again with another --seed, or report this with the options used",
            )
        for name, value in losses.items():
            course.curves.setdefault(name, []).append((course.step, value))
        course.step += 1
        return losses

    def _tell(self, losses: dict[str, float]) -> None:
        course = self.course
        assert course.planned is not None
        if self.watch is not None:
            self.watch(course.step, course.planned, losses)
        if self.progress is not None:
            self.progress("training", course.step, course.planned)

    def _plan_by_time(self) -> dict[int, float]:
        """Choose threads and steps by a timing; what it takes is part of the time."""
        course, started = self.course, time.monotonic()
        paces = self._timing()
        course.threads = _worthwhile(paces)
        torch.set_num_threads(course.threads)
        spent = course.seconds + time.monotonic() - started
        course.planned = course.planned or _planned_steps(course, self.plan, paces[course.threads], spent)
        return paces

    def _timing(self) -> dict[int, float]:
        """Measure the seconds of a step with several numbers of threads, on a copy of the learner."""
        cores = os.cpu_count() or 1
        counts = [self.fixed_threads] if self.fixed_threads else sorted({1, max(1, cores // 2), cores})
        scratch, first = copy.deepcopy(self.learner), self.course.step
        paces = {}
        for count in counts:
            torch.set_num_threads(count)
            seconds = []
            with ThreadPoolExecutor(1) as pool:
                upcoming = pool.submit(self.draw, 0)
                for step in range(TIMING_STEPS):
                    batch, upcoming = upcoming.result(), pool.submit(self.draw, step + 1)
                    tick = time.monotonic()
                    scratch.learn(batch, first + step, self.course.planned)
                    seconds.append(time.monotonic() - tick)
            paces[count] = (
                statistics.median(seconds[2:]) * 1.03
            )  # the drawing of batches is not wholly hidden
        return paces

    def _go_on_with_one_thread(self, pace: float) -> None:
        course = self.course
        assert course.planned is not None
        course.one_thread_from = course.step
        torch.set_num_threads(1)
        left = self.plan.seconds - course.seconds if self.plan.seconds else 0.0
        course.planned = min(course.planned, course.step + max(1, int(left / pace)))


def _worthwhile(paces: dict[int, float]) -> int:
    """Return the number of threads to train with: more only where they are clearly faster.

    Examples
    --------
    >>> _worthwhile({1: 0.20, 2: 0.13}), _worthwhile({1: 0.20, 2: 0.17}), _worthwhile({1: 0.2, 2: 1.1})
    (2, 1, 1)
    """
    best = min(paces)
    for count in sorted(paces):
        if paces[count] * WORTH < paces[best]:
            best = count
    return best


def slowed(course: Course, recent: deque[float], paces: dict[int, float]) -> bool:
    """Whether the steps have become so slow that the threads must be waiting for each other."""
    if 1 not in paces or course.threads == 1 or course.one_thread_from is not None:
        return False
    return len(recent) == RECENT_STEPS and statistics.median(recent) > SLOWED * paces[course.threads]


def _planned_steps(course: Course, plan: Plan, pace: float, spent: float) -> int:
    """Return the steps that fit into the budget at the pace of the timing steps."""
    assert plan.seconds is not None
    left = plan.seconds - spent
    steps = course.step + int(left / pace)
    if steps < MIN_STEPS:
        raise BudgetError(
            f"the time budget leaves {max(left, 0):.0f} s for training, enough for {max(steps, 0)} "
            f"steps at {pace:.2f} s each; at least {MIN_STEPS} are needed",
            hint=f"give at least {math.ceil(MIN_STEPS * pace - left)} s more, or --steps",
        )
    return steps


def _save(learner: Learner, course: Course, checkpoint: Path) -> None:
    content = {
        "learner": learner.state(),
        "step": course.step,
        "planned": course.planned,
        "seconds": course.seconds,
        "curves": course.curves,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(checkpoint, buffer.getvalue(), durable=False)


def _load(learner: Learner, course: Course, checkpoint: Path) -> None:
    try:
        content = torch.load(checkpoint, weights_only=True, map_location="cpu")
        learner.restore(content["learner"])
        course.step = content["step"]
        course.planned = content["planned"]
        course.seconds = content["seconds"]
        course.curves = {
            name: [(int(step), float(value)) for step, value in points]
            for name, points in content["curves"].items()
        }
    except FileNotFoundError as exc:
        raise ResumeError(f"there is no checkpoint at '{checkpoint}'", hint="fit without --resume") from exc
    except (EOFError, KeyError, RuntimeError, UnpicklingError, ValueError) as exc:
        raise ResumeError(
            f"the checkpoint '{checkpoint}' is damaged, or of another version ({type(exc).__name__})",
            hint="leave --resume out to start anew, or remove that file",
        ) from exc
