"""The messages of `inspector watch` on stderr: single lines, and a status line on a terminal."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from inspector.commands.output import Writer
    from inspector.errors import InspectorError
    from inspector.scoring.records import ScoredImage
    from inspector.types import Verdict
    from inspector.watch.journal import WatchedImage

MINUTE_SECONDS = 60.0


def say(line: str) -> None:
    """Print a message as one line, whatever names of files it holds."""
    from inspector.imaging.files import printable

    typer.echo(printable(line), err=True)


def name_links(folder: Path) -> None:
    """Name the links to folders in a folder, if there are any: the watch does not follow them."""
    try:
        links = sorted(entry.name for entry in folder.iterdir() if entry.is_symlink() and entry.is_dir())
    except OSError:  # the watch itself reports the problem
        return
    if links:
        number = "a link to a folder is" if len(links) == 1 else f"{len(links)} links to folders are"
        say(f"{number} not followed: {links[0]}; to watch such a folder, name it itself")


def naming_models(write: Writer) -> Writer:
    """Return a writer that also names each model before the first row that the model judged."""
    named = ""

    def write_row(row: ScoredImage) -> None:
        nonlocal named
        if named != row.model.reference:
            named = row.model.reference
            say(f"model {named}")
        write(row)

    return write_row


@contextmanager
def shown_messages(folder: Path, *, status: bool) -> Iterator[Messages]:
    """Give the messages of a watch; on a terminal they have a status line, if it is wanted."""
    if not status or not sys.stderr.isatty():
        yield Messages(folder, lambda _line: None)
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn
    from rich.table import Column

    from inspector.commands.output import tally

    column = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    with Progress(
        column, console=Console(stderr=True), transient=True, redirect_stdout=False, refresh_per_second=4
    ) as line:
        task = line.add_task("", total=None)
        messages = Messages(folder, lambda text: line.update(task, description=text))
        messages.round_ended()
        yield messages
    typer.echo(tally(messages.verdicts), err=True)


class Messages:
    """Reports each problem of a watch in one line, and keeps its status line.

    Parameters
    ----------
    folder : Path
        The watched folder.
    show : callable
        Shows a text as the status line.
    """

    def __init__(self, folder: Path, show: Callable[[str], None]) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self._folder, self._show = folder, show
        self._last = ""
        self._moments: deque[float] = deque()  # of the last minute

    def inspected(self, row: WatchedImage) -> None:
        """Count a scored picture."""
        self.verdicts[row.verdict] += 1
        self._last = f"; last {Path(row.path or '').name} {row.verdict} by {row.model.reference}"
        self._moments.append(time.monotonic())
        self.round_ended()

    def problem(self, error: InspectorError) -> None:
        """Report a problem that the watch tries to get over."""
        say(f"error: {error.message}; trying again")

    def recovered(self) -> None:
        """Report that the problem is over."""
        say(f"{self._folder} is watched again, and all is well")

    def round_ended(self) -> None:
        """Update the status line."""
        from inspector.commands.output import tally
        from inspector.imaging.files import printable

        now = time.monotonic()
        while self._moments and now - self._moments[0] > MINUTE_SECONDS:
            self._moments.popleft()
        rate = f"{len(self._moments)} in the last minute"
        self._show(printable(f"{self._folder.name}: {tally(self.verdicts)}, {rate}{self._last}"))
