"""Progress of long work on stderr: bars on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import typer

Progress = Callable[[str, int, int], None]
Count = Callable[[int, int], None]

LINE_SECONDS = 15.0


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Give the function that long work calls as `progress(stage, done, total)`; total 0 is unknown."""
    if sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _Lines()


@contextmanager
def shown_count(stage: str) -> Iterator[Count]:
    """Give the function that one stage calls as `count(done, total)`; it is silent without a terminal.

    Parameters
    ----------
    stage : str
        Its name, such as `evaluating`.
    """
    if sys.stderr.isatty():
        with _bars() as progress:
            yield partial(progress, stage)
    else:
        yield lambda _done, _total: None


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<16}", markup=False),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
    )
    # Left to itself, rich would send stdout to stderr as well, and the results with it.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bars:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report


class _Lines:
    """One line when a stage begins, and at most one every 15 seconds."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = self._said = 0.0
        self._first = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._said, self._first = stage, now, now, done
            typer.echo(stage, err=True)
        elif total and done > self._first and now - self._said >= LINE_SECONDS:
            self._said = now
            left = (now - self._began) / (done - self._first) * (total - done)
            typer.echo(f"{stage} {done}/{total}, about {_duration(left)} left", err=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
