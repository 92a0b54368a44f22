"""`inspector watch`: give a verdict for each picture that appears in a folder."""

from __future__ import annotations

import io
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inspector.commands import exits
from inspector.commands.options import ModelOption, ThreadsOption, settings_for
from inspector.commands.watch_messages import name_links, naming_models, say, shown_messages
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.errors import InspectorError
    from inspector.scoring.detector import Detector
    from inspector.scoring.registry import ModelRegistry
    from inspector.watch.arrivals import Arrivals
    from inspector.watch.journal import Journal, Printout
    from inspector.watch.sorter import Sorter

EXAMPLE = """
inspector watch incoming/
inspector watch incoming/ --model tiles --output /var/log/tiles.jsonl --move sorted/
inspector watch incoming/ --output - | jq -r 'select(.verdict == "fail").path'
"""

STDOUT = Path("-")
RESULTS = "inspections.jsonl"


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

    settle = max(settle, TICK_SECONDS)  # changes within it may have the same time
    with _asked_to_stop() as asked:
        if format_ == "table" and output != STDOUT:
            raise UsageError("--format table belongs to --output -", hint="a file has JSON lines")
        sorter, arrivals = _places(folder, output, move, heatmaps, settle)
        registry = _registry(model, threads)
        name_links(arrivals.folder)
        with (
            shown_messages(arrivals.folder, status=output != STDOUT or not sys.stdout.isatty()) as messages,
            _results(arrivals.folder, output, format_, registry) as results,
        ):
            from inspector.watch.loop import Watch

            stop = _or_raise_without_reader(asked) if output == STDOUT else asked
            maps = None if heatmaps is None else heatmaps.absolute()
            watching = Watch(arrivals, results, sorter, _follow(registry, interval), messages, maps)
            if not once:
                watching.run(interval, stop)
            elif left := watching.once(settle, stop):
                say(f"{left} still being written; left for the next run")
    if once:
        raise typer.Exit(exits.verdict_code(watching.verdicts))


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Give a function that returns whether SIGTERM, Ctrl-C or a closed terminal asked the watch to end.

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
    """Return a function that does as `stop` does, and raises BrokenPipeError once nobody reads stdout.

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
            say(f"a new model cannot be used, {name} goes on: {error.message}")

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
            yield Printout(naming_models(write) if chosen == "table" else write)
        return
    journal = Journal((output or folder / RESULTS).absolute(), say)
    journal.open()
    with closing(journal):
        yield journal
