"""`inspector score`: a verdict for each picture."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.commands import exits
from inspector.commands.output import Format
from inspector.commands.shared import ModelOption

if TYPE_CHECKING:
    from inspector.commands.output import Writer
    from inspector.commands.source import Source
    from inspector.detector import Detector, Inspection
    from inspector.records import Verdict

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
        int | None, typer.Option(min=0, max=1024, help="Threads to compute with; 0 is one for each core.")
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
        detector = inspector.open_model(model, threads=threads)
    components = list(dict.fromkeys(column.component for column in detector.manifest.columns))
    started = perf_counter()
    with writer(chosen, components) as write:
        verdicts = _score_all(detector, sources, write, folder)
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


def _score_all(
    detector: Detector, sources: Sequence[Source], write: Writer, folder: HeatmapFolder | None
) -> Counter[Verdict]:
    verdicts: Counter[Verdict] = Counter()
    with _progress(sources) as shown:
        for source in shown:
            inspection = detector.score(source.read(detector.settings.max_bytes))
            write(inspection.record().model_copy(update={"path": source.name}))
            verdicts[inspection.verdict] += 1
            if folder is not None:
                folder.write(source.stem, inspection, detector)
    return verdicts


class HeatmapFolder:
    """A folder that takes one heatmap for each picture, under a name that no other one has."""

    def __init__(self, path: Path) -> None:
        from inspector.storage import storage_errors

        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._taken: set[str] = set()

    def write(self, stem: str, inspection: Inspection, detector: Detector) -> None:
        """Write what was found in a picture over the picture; nothing for one that is invalid."""
        from inspector import images
        from inspector.storage import write_bytes

        drawn = detector.draw(inspection)
        if drawn is None:
            return
        write_bytes(self.path / self._name(stem), images.encode_png(drawn), durable=False)

    def _name(self, stem: str) -> str:
        """`STEM_heatmap.png`, or `STEM_2_heatmap.png` where an earlier picture has that name."""
        from inspector.files import shortened

        stem, number = shortened(stem), 1
        name = f"{stem}_heatmap.png"
        while name.casefold() in self._taken:  # some disks do not tell capitals apart
            number += 1
            name = f"{stem}_{number}_heatmap.png"
        self._taken.add(name.casefold())
        return name


@contextmanager
def _progress(sources: Sequence[Source]) -> Iterator[Iterable[Source]]:
    """Show a bar on stderr for many pictures, unless the rows themselves appear on the terminal."""
    if len(sources) <= _PROGRESS_FROM_IMAGES or not sys.stderr.isatty() or sys.stdout.isatty():
        yield sources
        return
    from rich.console import Console
    from rich.progress import Progress

    # Left to itself, rich would take over stdout, and the rows with it.
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield progress.track(sources, description="scoring")
