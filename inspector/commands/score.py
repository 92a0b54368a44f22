"""`inspector score`: a verdict for each picture."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from inspector.commands import exits
from inspector.commands.options import ImagesFormatOption, ModelOption
from inspector.process.loading import loading

if TYPE_CHECKING:
    from inspector.commands.output import Writer
    from inspector.commands.progress import Count
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

PROGRESS_FROM_IMAGES = 20


def score(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Files, folders, globs, or - for one picture on stdin."),
    ],
    model: ModelOption = None,
    format_: ImagesFormatOption = None,
    heatmaps: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write NAME_heatmap.png of each picture to this folder."),
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 even if a picture failed.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=1024,
            help="Cores to use; 0 takes every core. Several pictures take one core each.  "
            "[default: INSPECTOR_THREADS, or 0]",
        ),
    ] = None,
) -> None:
    """Give a verdict for each picture.

    Exits with 0 if all passed, 1 if one failed, 3 if none failed but one could not be read.
    """
    with loading():
        import inspector
        from inspector.commands.output import choose_format, summary, writer
        from inspector.commands.source import find_sources

        sources = find_sources(paths)
        chosen = choose_format(format_, piped="jsonl")
        folder = None if heatmaps is None else HeatmapFolder(heatmaps)
        at_once, each = _share_cores(sources, threads)
        detector = inspector.open_model(model, threads=each)
    started = perf_counter()
    sizes: set[tuple[int, int]] = set()
    with writer(chosen, detector.components, lambda: len(detector.calibration.heldout_scores)) as write:
        verdicts = score_all(detector, sources, at_once, _noting_sizes(write, sizes), folder)
    if chosen == "table":
        foot = summary(verdicts, (perf_counter() - started) * 1e3)
        detail = _detail(sizes, detector)
        typer.echo(f"{foot}; model {detector.model.reference}{detail}", err=True)
    raise typer.Exit(exits.verdict_code(verdicts, exit_zero=exit_zero))


def _noting_sizes(write: Writer, sizes: set[tuple[int, int]]) -> Writer:
    """Return a writer that also adds each picture's width and height to `sizes`."""

    def noting(row: ScoredImage) -> None:
        if row.image is not None:
            sizes.add((row.image.width, row.image.height))
        write(row)

    return noting


def _detail(sizes: set[tuple[int, int]], detector: Detector) -> str:
    """Say how many pixels of the pictures one pixel of the model covers."""
    from math import prod

    from inspector.imaging.coverage import in_words

    if not sizes:
        return ""
    model = detector.manifest.image
    return f"; {in_words(min(sizes, key=prod), max(sizes, key=prod), (model.width, model.height))}"


def _share_cores(sources: Sequence[Source], threads: int | None) -> tuple[int, int]:
    """Return how many pictures are scored at once, and how many threads each of them gets.

    Many pictures take a core each; a single one takes them all.  With stdin among them, pictures are
    scored one by one: stdin may keep us waiting, and pictures named before it must not wait with it.
    """
    from inspector.commands.source import STDIN
    from inspector.process.concurrency import cores
    from inspector.settings import Settings

    allowed = Settings.from_environment().threads if threads is None else threads
    if len(sources) == 1 or any(source.name == STDIN for source in sources):
        return 1, allowed
    return allowed or cores(), 1


class _Scored(NamedTuple):
    """A scored picture that waits for its turn to be printed, and its heatmap as a PNG."""

    row: ScoredImage
    heatmap: bytes | None


def score_all(
    detector: Detector, sources: Sequence[Source], at_once: int, write: Writer, folder: HeatmapFolder | None
) -> Counter[Verdict]:
    """Score pictures, several at once, and write their rows in the order in which they were named.

    Parameters
    ----------
    detector : Detector
    sources : sequence of Source
    at_once : int
        Number of threads; each takes one picture at a time.
    write : Writer
        Called with each row.
    folder : HeatmapFolder, optional
        Takes the heatmaps.

    Returns
    -------
    Counter
        Number of pictures by verdict.
    """
    from inspector.process.concurrency import in_order

    verdicts: Counter[Verdict] = Counter()
    job = partial(_score_one, detector, with_heatmap=folder is not None)
    with closing(in_order(job, sources, at_once)) as results, _progress(len(sources)) as progress:
        for done, (source, scored) in enumerate(zip(sources, results, strict=True), 1):
            write(scored.row)
            verdicts[scored.row.verdict] += 1
            if folder is not None and scored.heatmap is not None:
                folder.write(source.stem, scored.heatmap)
            progress(done, len(sources))
    return verdicts


def _score_one(detector: Detector, source: Source, *, with_heatmap: bool) -> _Scored:
    """Score a picture and keep its row and heatmap alone; an invalid picture has no heatmap."""
    from inspector.imaging.encode import encode_png

    inspection = source.inspect(detector)
    drawn = detector.draw(inspection) if with_heatmap else None
    return _Scored(inspection.record(), None if drawn is None else encode_png(drawn))


class HeatmapFolder:
    """A folder that takes the heatmap of each picture under a name of its own."""

    def __init__(self, path: Path) -> None:
        from inspector.bundle.atomic import storage_errors

        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._taken: set[str] = set()

    def write(self, stem: str, heatmap: bytes) -> None:
        """Write the heatmap of a picture: the bytes of a PNG."""
        from inspector.bundle.atomic import write_bytes

        write_bytes(self.path / self._name(stem), heatmap, durable=False)

    def _name(self, stem: str) -> str:
        """Return `STEM_heatmap.png`, or `STEM_2_heatmap.png` if an earlier picture has that name."""
        from inspector.imaging.files import shortened

        stem, number = shortened(stem), 1
        name = f"{stem}_heatmap.png"
        while name.casefold() in self._taken:  # some file systems ignore case
            number += 1
            name = f"{stem}_{number}_heatmap.png"
        self._taken.add(name.casefold())
        return name


@contextmanager
def _progress(total: int) -> Iterator[Count]:
    """Show a bar on stderr for many pictures, unless their rows appear on the terminal anyway."""
    if total <= PROGRESS_FROM_IMAGES or sys.stdout.isatty():
        yield lambda _done, _total: None
        return
    from inspector.commands.progress import shown_count

    with shown_count("scoring") as progress:
        yield progress
