"""A bar on stderr while a command works through many pictures; nothing where stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_count(description: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function of (done, total) that moves the bar, or None where nobody would see it.

    Parameters
    ----------
    description : str
        What is being done, such as `evaluating`.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
