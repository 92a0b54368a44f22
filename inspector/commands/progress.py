"""Long work on stderr: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

Progress = Callable[[str, int, int], None]

LINE_SECONDS = 15.0


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Give the function that long work calls as `progress(stage, done, total)`; 0 is an unknown total."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report


class _Lines:
    """At most one line every 15 seconds, and one when a stage begins."""

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
