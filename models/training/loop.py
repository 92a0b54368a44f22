"""The training loop: seeded, resumable, and independent of the network that it trains."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from inspector.errors import DivergedError
from inspector.process.concurrency import cores
from models.training import pace
from models.training.checkpoint import load_checkpoint, save_checkpoint
from models.training.course import Course, Plan
from models.training.learner import Learner
from models.types import Progress

CHECKPOINT_SECONDS = 20.0

Draw = Callable[[int], Any]
Watch = Callable[[int, int, dict[str, float]], None]


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
    """Train a learner, step by step, and keep a checkpoint.

    With a plan in seconds, a few timed steps decide how many steps are taken, and how many threads compute
    unless `threads` says so.
    If steps become twice as slow later, the training goes on with one thread: threads that share their
    cores with other programs wait for each other.

    Parameters
    ----------
    learner : Learner
    draw : callable
        Returns the batch of a step, which depends on the step alone; called in a thread of its own.
    plan : Plan
    checkpoint : Path
        Written every 20 seconds, after Ctrl-C and at the end.
    threads : int
        0 lets the timed steps decide.
    resume : bool
        Continue from the checkpoint.
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
    course = Course(threads=threads or cores())
    with pace.kept_threads(course.threads):
        if resume:
            load_checkpoint(checkpoint, learner, course)
        course.planned = plan.steps or course.planned
        with _deferred_interrupt() as interrupted:
            _Loop(learner, draw, plan, checkpoint, course, progress, watch).run(threads, interrupted)
        save_checkpoint(checkpoint, learner, course)
    return course


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Let the first Ctrl-C wait for the end of the step, so that the checkpoint is consistent."""
    interrupted = threading.Event()
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as shells set it for background jobs
    if ignored or threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class _Loop:
    """The state of one call of `run`."""

    learner: Learner
    draw: Draw
    plan: Plan
    checkpoint: Path
    course: Course
    progress: Progress | None
    watch: Watch | None
    paces: pace.Paces = field(default_factory=dict)

    def run(self, threads: int, interrupted: threading.Event) -> None:
        """Take the remaining steps; the next batch is drawn while this one is learned."""
        course, plan = self.course, self.plan
        started = saved = time.monotonic()
        before = course.seconds
        if plan.seconds is not None:
            self._plan_by_time(plan.seconds, threads)
        assert course.planned is not None
        recent: deque[float] = deque(maxlen=pace.RECENT_STEPS)
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(self.draw, course.step)
            while course.step < course.planned:
                batch, upcoming = upcoming.result(), pool.submit(self.draw, course.step + 1)
                recent.append(self._step(batch))
                now = time.monotonic()
                course.seconds = before + now - started
                if pace.slowed(course, recent, self.paces):
                    self._continue_with_one_thread()
                if interrupted.is_set():
                    save_checkpoint(self.checkpoint, self.learner, course)
                    raise KeyboardInterrupt
                if plan.seconds is not None and now - started > plan.seconds + plan.grace_seconds:
                    break  # the machine became slower than it was when the steps were timed
                if now - saved > CHECKPOINT_SECONDS:
                    save_checkpoint(self.checkpoint, self.learner, course)
                    saved = now

    def _step(self, batch: Any) -> float:
        """Learn one batch, tell the callbacks, and return the seconds of the learning."""
        course, started = self.course, time.monotonic()
        assert course.planned is not None
        losses = self.learner.learn(batch, course.step, course.planned)
        seconds = time.monotonic() - started
        if not math.isfinite(losses["total"]):
            raise DivergedError(
                f"the loss became {losses['total']} at step {course.step}",
                hint="fit again with another --seed, or report this with the options used",
            )
        course.record(losses)
        if self.watch is not None:
            self.watch(course.step, course.planned, losses)
        if self.progress is not None:
            self.progress("training", course.step, course.planned)
        return seconds

    def _plan_by_time(self, seconds: float, threads: int) -> None:
        """Time a few steps, and choose the number of threads and steps by them."""
        course, started = self.course, time.monotonic()
        self.paces = pace.measure(self.learner, self.draw, course, threads)
        course.threads = pace.worthwhile_threads(self.paces)
        torch.set_num_threads(course.threads)
        if course.planned is None:
            left = seconds - course.seconds - (time.monotonic() - started)
            affordable = pace.affordable_steps(course.step, left, self.paces[course.threads])
            course.planned = min(affordable, self.plan.most_steps or affordable)

    def _continue_with_one_thread(self) -> None:
        """Plan no more steps than one thread can take in the time that is left."""
        course = self.course
        assert course.planned is not None
        assert self.plan.seconds is not None
        course.one_thread_from = course.step
        torch.set_num_threads(1)
        left = self.plan.seconds - course.seconds
        course.planned = min(course.planned, course.step + max(1, int(left / self.paces[1])))
