"""`inspector watch`: give a verdict for each picture that appears in a folder."""

from __future__ import annotations

import io
import select
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inspector.commands import exits
from inspector.commands.options import ModelOption, ThreadsOption, settings_for
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.commands.output import Writer
    from inspector.errors import InspectorError
    from inspector.scoring.detector import Detector
    from inspector.scoring.records import ScoredImage
    from inspector.scoring.registry import ModelRegistry
    from inspector.types import Verdict
    from inspector.watch.arrivals import Arrivals
    from inspector.watch.journal import Journal, Printout, WatchedImage
    from inspector.watch.sorter import Sorter

EXAMPLE = """
inspector watch incoming/
inspector watch incoming/ --model tiles --output /var/log/tiles.jsonl --move sorted/
inspector watch incoming/ --output - | jq -r 'select(.verdict == "fail").path'
"""

STDOUT = Path("-")
RESULTS = "inspections.jsonl"
MINUTE_SECONDS = 60.0


def watch(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder in which pictures appear; folders below are watched."),
    ],
    model: ModelOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"JSON lines with the results; - is stdout.  [default: DIR/{RESULTS}]"
        ),
    ] = None,
    move: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Move each picture to pass/, review/, fail/ or invalid/ in this folder.  "
            "[default: pictures stay]",
        ),
    ] = None,
    heatmaps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a heatmap of each picture to this folder.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Score the pictures that are there, and end.")] = False,
    settle: Annotated[
        float,
        typer.Option(
            min=0,
            max=3600,
            metavar="SECONDS",
            help="Score a picture once it has not changed for this many seconds.",
        ),
    ] = 1.0,
    interval: Annotated[
        float,
        typer.Option(
            min=0.05,
            max=3600,
            metavar="SECONDS",
            help="Seconds between two looks for new pictures and a new model.",
        ),
    ] = 0.5,
    format_: Annotated[
        Literal["table", "jsonl"] | None,
        typer.Option(
            "--format",
            help="Form of the output with --output -; a file has JSON lines.  "
            "[default: table on a terminal, jsonl in a pipe]",
        ),
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Score each picture that appears in a folder, until SIGTERM or Ctrl-C.

    Each picture that arrives gets one JSON line in the results.  A restart reads the results and continues.
    If another version of the model is promoted meanwhile, the watch changes to it; it never changes to a
    model of another name.  With --once the exit code is that of score.
    """
    from inspector.watch.arrival import TICK_SECONDS

    settle = max(settle, TICK_SECONDS)
    with _asked_to_stop() as asked:
        if format_ == "table" and output != STDOUT:
            raise UsageError("--format table belongs to --output -", hint="a file has JSON lines")
        sorter, arrivals = _places(folder, output, move, heatmaps, settle)
        registry = _registry(model, threads)
        _name_links(arrivals.folder)
        with (
            _talk(arrivals.folder, status=output != STDOUT or not sys.stdout.isatty()) as talk,
            _results(arrivals.folder, output, format_, registry) as results,
        ):
            from inspector.watch.loop import Watch

            stop = _or_raise_without_reader(asked) if output == STDOUT else asked
            maps = None if heatmaps is None else heatmaps.absolute()
            watching = Watch(arrivals, results, sorter, _follow(registry, interval), talk, maps)
            if not once:
                watching.run(interval, stop)
            elif left := watching.once(settle, stop):
                _say(f"{left} still being written; left for the next run")
    if once:
        raise typer.Exit(exits.verdict_code(watching.verdicts))


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Give a function that returns whether the watch shall end: after SIGTERM, Ctrl-C, or its terminal's end.

    A second SIGTERM or Ctrl-C has its usual effect.
    """
    from inspector.process.hangup import hangups

    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # a shell ignores Ctrl-C for jobs in the background
            signal.signal(number, note)

    def close() -> None:
        nonlocal asked
        asked = True

    try:
        # A watch follows its model by itself, so a request to reload has nothing to do.
        with hangups(closed=close, asked=lambda: None):
            yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _or_raise_without_reader(stop: Callable[[], bool]) -> Callable[[], bool]:
    """Return `stop`, which now raises BrokenPipeError once nobody reads stdout.

    Without it a watch would notice only with the next picture, which may never come.  A stdout without
    a descriptor, as in a program that calls the command line, has no reader that could end.
    """
    try:
        descriptor = sys.stdout.fileno()
    except io.UnsupportedOperation:
        return stop
    poll = select.poll()
    poll.register(descriptor, 0)

    def asked() -> bool:
        if any(event & (select.POLLERR | select.POLLHUP) for _descriptor, event in poll.poll(0)):
            raise BrokenPipeError
        return stop()

    return asked


def _places(
    folder: Path, output: Path | None, move: Path | None, heatmaps: Path | None, settle: float
) -> tuple[Sorter, Arrivals]:
    """Make the folders that results go to, and exclude them from the watch."""
    from inspector.bundle.atomic import storage_errors
    from inspector.imaging.files import printable
    from inspector.watch.arrivals import Arrivals
    from inspector.watch.sorter import Sorter

    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(f"{printable(folder)} {what}", hint="name the folder that pictures appear in")
    if heatmaps is not None:
        if heatmaps.resolve() == folder.resolve():
            raise UsageError(
                f"--heatmaps {printable(heatmaps)} is the folder that is watched", hint="choose another one"
            )
        with storage_errors(heatmaps):
            heatmaps.mkdir(parents=True, exist_ok=True)
    arrivals = Arrivals(folder, settle)
    sorter = Sorter(arrivals.folder, None if move is None else move.absolute())
    sorter.make()
    others = [path for path in (heatmaps, output) if path not in (None, STDOUT)]
    arrivals.leave_out([*sorter.folders, *filter(None, others)])
    return sorter, arrivals


def _registry(model: str | None, threads: int | None) -> ModelRegistry:
    """Open and verify the model; report later models that cannot be used."""
    from inspector.bundle.store import Store
    from inspector.scoring.registry import ModelRegistry

    settings = settings_for(threads)
    Store(settings.store).resolve(model)  # raises an error with a hint if there is no such model

    def told(_result: str, _detector: Detector | None, error: InspectorError | None) -> None:
        if error is not None and (before := registry.default) is not None:
            name = before.model.reference
            _say(f"a new model cannot be used, {name} goes on: {error.message}")

    registry = ModelRegistry(settings, model, listener=told)
    registry.refresh()
    if registry.default is None and registry.problem is not None:
        raise registry.problem
    return registry


def _follow(registry: ModelRegistry, seconds: float) -> Callable[[], Detector]:
    """Return a function that gives the model in use; it checks the store every `seconds`."""
    looked = time.monotonic()

    def current() -> Detector:
        nonlocal looked
        if time.monotonic() - looked >= seconds:
            registry.refresh()
            looked = time.monotonic()
        return registry.default or registry.get()

    return current


@contextmanager
def _results(
    folder: Path, output: Path | None, asked: str | None, registry: ModelRegistry
) -> Iterator[Journal | Printout]:
    """Open the results: a file of JSON lines, or stdout."""
    from inspector.commands.output import choose_format, writer
    from inspector.watch.journal import Journal, Printout

    if output == STDOUT:
        chosen = choose_format(asked, piped="jsonl")
        with writer(chosen, (), lambda: len(registry.get().calibration.heldout_scores)) as write:
            yield Printout(_naming_models(write) if chosen == "table" else write)
        return
    journal = Journal((output or folder / RESULTS).absolute(), _say)
    journal.open()
    with closing(journal):
        yield journal


def _naming_models(write: Writer) -> Writer:
    """Return `write`, which now names the model on stderr before the first row that it judged."""
    named = ""

    def write_row(row: ScoredImage) -> None:
        nonlocal named
        if named != row.model.reference:
            named = row.model.reference
            _say(f"model {named}")
        write(row)

    return write_row


# --- messages on stderr ----------------------------------------------------------------------


def _say(line: str) -> None:
    from inspector.imaging.files import printable

    typer.echo(printable(line), err=True)


def _name_links(folder: Path) -> None:
    """Say that links to folders are not followed, if the folder holds any."""
    try:
        links = sorted(entry.name for entry in folder.iterdir() if entry.is_symlink() and entry.is_dir())
    except OSError:  # the watch itself tells what is wrong with the folder
        return
    if links:
        number = "a link to a folder is" if len(links) == 1 else f"{len(links)} links to folders are"
        _say(f"{number} not followed: {links[0]}; to watch such a folder, name it itself")


@contextmanager
def _talk(folder: Path, *, status: bool) -> Iterator[Talk]:
    """Give the object that reports problems and, on a terminal, keeps a status line."""
    if not status or not sys.stderr.isatty():
        yield Talk(folder, lambda _line: None)
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
        talk = Talk(folder, lambda text: line.update(task, description=text))
        talk.round_ended()
        yield talk
    typer.echo(tally(talk.verdicts), err=True)


class Talk:
    """Reports each problem in one line, and keeps a status line."""

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
        _say(f"error: {error.message}; trying again")

    def recovered(self) -> None:
        """Report that the problem is over."""
        _say(f"{self._folder} is watched again, and all is well")

    def round_ended(self) -> None:
        """Update the status line."""
        from inspector.commands.output import tally
        from inspector.imaging.files import printable

        now = time.monotonic()
        while self._moments and now - self._moments[0] > MINUTE_SECONDS:
            self._moments.popleft()
        rate = f"{len(self._moments)} in the last minute"
        self._show(printable(f"{self._folder.name}: {tally(self.verdicts)}, {rate}{self._last}"))
