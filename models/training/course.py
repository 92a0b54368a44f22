"""The plan of a training, and the record of how it went."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """How long to train: a number of steps, or seconds from which the steps are computed.

    Attributes
    ----------
    steps : int, optional
    seconds : float, optional
    most_steps : int, optional
        No more steps are computed from the seconds.
    grace_seconds : float
        A training that runs this much longer than `seconds` ends early.
    """

    steps: int | None = None
    seconds: float | None = None
    most_steps: int | None = None
    grace_seconds: float = math.inf


@dataclass
class Course:
    """How far a training has come.

    Attributes
    ----------
    step : int
        Steps taken so far.
    planned : int, optional
        Steps to take in all; None until the steps of a time budget are computed.
    seconds : float
        Time taken, including the measuring of the pace and interrupted runs.
    curves : dict of str to list of (step, value)
        Each loss at each step.
    threads : int
        Number of threads that the training computes with.
    resumed_at : int
        Steps that the checkpoint held from which the training went on; 0 if it started anew.
    one_thread_from : int, optional
        The step at which the training went on with one thread, because other programs took the cores.
    """

    step: int = 0
    planned: int | None = None
    seconds: float = 0.0
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    threads: int = 1
    resumed_at: int = 0
    one_thread_from: int | None = None

    def record(self, losses: dict[str, float]) -> None:
        """Add the losses of one step."""
        for name, value in losses.items():
            self.curves.setdefault(name, []).append((self.step, value))
        self.step += 1
