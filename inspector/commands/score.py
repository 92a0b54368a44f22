"""`inspector score`: a verdict for each picture."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from inspector.commands import exits
from inspector.commands.options import ModelOption
from inspector.commands.output import Format

if TYPE_CHECKING:
    from inspector.commands.output import Writer
    from inspector.commands.source import Source
    from inspector.scoring.detector import Detector
    from inspector.scoring.records import ScoredImage
    from inspector.types import Verdict

EXAMPLE = """
inspector score part.png
inspector score 'line-3/*.jpg' --model tiles@2 --heatmaps heatmaps/
inspector score incoming/ --format csv > verdicts.csv
curl -s http://camera/still.jpg | inspector score -
"""

_PROGRESS_FROM_IMAGES = 20


def score(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files, folders, globs, or - for one on stdin.")
    ],
    model: ModelOption = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="How to print; table on a terminal, jsonl when piped."),
    ] = None,
    heatmaps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write NAME_heatmap.png for each picture there.")
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 even if a picture failed.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=0, max=1024, help="Cores to use; 0 is all of them. Several pictures take one each."),
    ] = None,
) -> None:
    """Give a verdict for each picture.

    Exits with 0 if all passed, 1 if one failed, 3 if none failed but one could not be read.
    """
    with _quick_start():
        import inspector
        from inspector.commands.output import default_format, summary, writer
        from inspector.commands.source import find_sources

        sources = find_sources(paths)
        chosen = format_ or default_format()
        folder = None if heatmaps is None else HeatmapFolder(heatmaps)
        at_once, each = _share_cores(sources, threads)
        detector = inspector.open_model(model, threads=each)
    components = list(dict.fromkeys(column.component for column in detector.manifest.columns))
    started = perf_counter()
    with writer(chosen, components) as write:
        verdicts = score_all(detector, sources, at_once, write, folder)
    if chosen is Format.TABLE:
        typer.echo(summary(verdicts, (perf_counter() - started) * 1e3), err=True)
    raise typer.Exit(exits.verdict_code(verdicts, exit_zero=exit_zero))


@contextmanager
def _quick_start() -> Iterator[None]:
    """Keep what loading makes out of Python's search for garbage, now and when the process ends.

    All of it stays, and looking through it would take as long as scoring several pictures.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _share_cores(sources: Sequence[Source], threads: int | None) -> tuple[int, int]:
    """Return how many pictures are scored at once, and with how many threads each of them.

    Many pictures take a core each; a single one takes them all.  Stdin may keep us waiting, and what is
    named before it must not wait along, so nothing is scored beside it.
    """
    from inspector.commands.source import STDIN
    from inspector.concurrency import cores
    from inspector.settings import Settings

    allowed = Settings.from_environment().threads if threads is None else threads
    if len(sources) == 1 or any(source.name == STDIN for source in sources):
        return 1, allowed
    return allowed or cores(), 1


class _Scored(NamedTuple):
    """What is kept of a picture until it is its turn to be printed."""

    row: ScoredImage
    heatmap: bytes | None


def score_all(
    detector: Detector, sources: Sequence[Source], at_once: int, write: Writer, folder: HeatmapFolder | None
) -> Counter[Verdict]:
    """Score pictures, some at once, and write their rows in the order in which they were named.

    Parameters
    ----------
    detector : Detector
    sources : sequence of Source
    at_once : int
        So many threads take a picture each.
    write : Writer
        Gets the rows.
    folder : HeatmapFolder, optional
        Gets the heatmaps.

    Returns
    -------
    Counter
        How often each verdict was given.
    """
    from inspector.concurrency import in_order

    verdicts: Counter[Verdict] = Counter()
    job = partial(_score_one, detector, with_heatmap=folder is not None)
    with closing(in_order(job, sources, at_once)) as results, _progress(results, len(sources)) as shown:
        for source, scored in zip(sources, shown, strict=True):
            write(scored.row)
            verdicts[scored.row.verdict] += 1
            if folder is not None and scored.heatmap is not None:
                folder.write(source.stem, scored.heatmap)
    return verdicts


def _score_one(detector: Detector, source: Source, *, with_heatmap: bool) -> _Scored:
    """Score a picture, and let go of its pixels; a heatmap is drawn unless the picture is invalid."""
    from inspector.imaging.encode import encode_png

    inspection = detector.score(source.read(detector.settings.max_bytes), source.name)
    drawn = detector.draw(inspection) if with_heatmap else None
    return _Scored(inspection.record(), None if drawn is None else encode_png(drawn))


class HeatmapFolder:
    """A folder that takes one heatmap for each picture, under a name that no other one has."""

    def __init__(self, path: Path) -> None:
        from inspector.bundle.atomic import storage_errors

        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._taken: set[str] = set()

    def write(self, stem: str, heatmap: bytes) -> None:
        """Write the heatmap of a picture, a PNG."""
        from inspector.bundle.atomic import write_bytes

        write_bytes(self.path / self._name(stem), heatmap, durable=False)

    def _name(self, stem: str) -> str:
        """`STEM_heatmap.png`, or `STEM_2_heatmap.png` where an earlier picture has that name."""
        from inspector.imaging.files import shortened

        stem, number = shortened(stem), 1
        name = f"{stem}_heatmap.png"
        while name.casefold() in self._taken:  # some disks do not tell capitals apart
            number += 1
            name = f"{stem}_{number}_heatmap.png"
        self._taken.add(name.casefold())
        return name


@contextmanager
def _progress(results: Iterable[_Scored], total: int) -> Iterator[Iterable[_Scored]]:
    """Show a bar on stderr for many pictures, unless the rows themselves appear on the terminal."""
    if total <= _PROGRESS_FROM_IMAGES or not sys.stderr.isatty() or sys.stdout.isatty():
        yield results
        return
    from rich.console import Console
    from rich.progress import Progress

    # Left to itself, rich would take over stdout, and the rows with it.
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield progress.track(results, total=total, description="scoring")
