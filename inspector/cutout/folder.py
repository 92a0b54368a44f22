"""A folder of pictures cut out: each written whole or not at all, and none done twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from inspector.bundle.atomic import locked, remove_temporaries, storage_errors, write_bytes
from inspector.concurrency import in_order
from inspector.cutout import sheet as contact
from inspector.cutout.picture import Options, cut_out
from inspector.cutout.segmentation import one_thread
from inspector.cutout.stamp import stamp_of, stamped
from inspector.errors import DatasetError, ImageError, NoImagesError, UsageError
from inspector.imaging.decode import decode, straight_rgba
from inspector.imaging.encode import encode_png
from inspector.imaging.files import list_images, printable, read_picture
from inspector.settings import Settings
from inspector.types import Pixels

SHEET_STAMP = "contact sheet"
LOCK = ".lock"


@dataclass(frozen=True)
class Job:
    """A picture, and where its cut-out goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a picture.

    Attributes
    ----------
    job : Job
        Which picture.
    what : str
        `cut`; `kept_alpha`, it had transparent pixels; `done`, by an earlier run with these options; or
        `skipped`.
    reason : str
        One line, where it was skipped.
    """

    job: Job
    what: Literal["cut", "kept_alpha", "done", "skipped"]
    reason: str = ""


def plan(folder: Path, output: Path) -> list[Job]:
    """List what is to be done, and refuse what could not end well before anything is written.

    Folders below `folder` are searched, and come again below `output`.

    Raises
    ------
    UsageError
        `output` is `folder`, lies in it, is a file, or holds other files of the same names.
    NoImagesError
        There is no picture.
    DatasetError
        Two pictures would have one name.
    """
    sources = list_images(folder)
    _check_place(folder, output)
    if not sources:
        raise NoImagesError(
            f"{printable(folder)} holds no picture", hint="PNG, JPEG, WebP, BMP and TIFF files are looked for"
        )
    jobs = [Job(source, output / source.relative_to(folder).with_suffix(".png")) for source in sources]
    _check_names(jobs)
    for job in jobs:
        check_own(job.target)
    return jobs


def _check_place(folder: Path, output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {printable(output)} is a file, not a folder", hint="name a new folder")
    place, origin = output.resolve(), folder.resolve()
    if place == origin:
        raise UsageError(
            f"--output {printable(output)} is the folder of the pictures themselves",
            hint="name another folder",
        )
    if origin in place.parents:
        raise UsageError(
            f"--output {printable(output)} lies inside {printable(folder)}, "
            "whose pictures would then include the cut-outs",
            hint="name a folder beside it",
        )


def _check_names(jobs: list[Job]) -> None:
    taken: dict[str, Job] = {}
    for job in jobs:
        other = taken.setdefault(str(job.target).casefold(), job)  # some disks do not tell capitals apart
        if other is not job:
            raise DatasetError(
                f"{printable(other.source)} and {printable(job.source)} would both become "
                f"{printable(job.target)}",
                hint="rename one of them, or move it into a folder of its own",
            )


def check_own(path: Path) -> None:
    """Refuse to replace a file that no run of ours wrote.

    Raises
    ------
    UsageError
        There is such a file.
    """
    if path.is_dir() or (path.exists() and stamp_of(path) is None):
        raise UsageError(
            f"{printable(path)} exists, and is not a cut-out that 'inspector cutout' wrote",
            hint="move it away, or name a new or an empty folder",
        )


@contextmanager
def claimed(output: Path, jobs: Sequence[Job]) -> Iterator[None]:
    """Make the folder and hold it against other runs; what one that was killed left half of these jobs goes.

    Raises
    ------
    StoreBusyError
        Another run writes into it.
    StorageError
        The disk is full, read-only or not permitted.
    """
    with locked(output / LOCK, printable(output), seconds=2):
        for folder in {job.target.parent for job in jobs}:
            remove_temporaries(folder)
        yield


def cut_all(
    jobs: list[Job],
    options: Options,
    settings: Settings,
    threads: int,
) -> Iterator[Outcome]:
    """Cut pictures out, several at once, and give what became of them in their order.

    Parameters
    ----------
    jobs : list of Job
        From `plan`.
    options : Options
        How to cut.
    settings : Settings
        Limits on pictures.
    threads : int
        So many pictures at once.

    Raises
    ------
    StorageError
        A cut-out cannot be written; those before it stay.
    """
    work = partial(_cut, options=options, settings=settings)
    with one_thread(), closing(in_order(work, jobs, threads)) as outcomes:
        yield from outcomes


def _cut(job: Job, options: Options, settings: Settings) -> Outcome:
    try:
        data = read_picture(job.source, settings.max_bytes)
    except ImageError as exc:
        return _skipped(job, exc.message)
    stamp = options.stamp(data)
    if job.target.exists() and stamp_of(job.target) == stamp:
        return Outcome(job, "done")
    try:
        found = cut_out(data, options, max_pixels=settings.max_pixels)
    except ImageError as exc:
        return _skipped(job, f"{printable(job.source)}: {exc.message}")
    if found is None:
        return _skipped(job, f"{printable(job.source)}: nothing in it stands out from its border")
    with storage_errors(job.target):
        job.target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(job.target, stamped(encode_png(found.rgba), stamp))
    return Outcome(job, "kept_alpha" if found.had_alpha else "cut")


def _skipped(job: Job, reason: str) -> Outcome:
    return Outcome(
        job, "skipped", reason + ("; an earlier cut-out of it stays" if job.target.exists() else "")
    )


def write_sheet(path: Path, outcomes: list[Outcome], settings: Settings) -> bool:
    """Write a contact sheet of what was cut out, now and before; False where that is nothing."""
    shown = [outcome.job for outcome in outcomes if outcome.what != "skipped"]
    if not shown:
        return False
    pairs = [_pair(shown[place], settings) for place in contact.chosen(len(shown))]
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, stamped(encode_png(contact.sheet(pairs)), SHEET_STAMP))
    return True


def _pair(job: Job, settings: Settings) -> Pixels:
    picture = decode(job.source, max_pixels=settings.max_pixels, max_bytes=settings.max_bytes).pixels
    cut = job.target.read_bytes()
    shown = straight_rgba(cut)
    if shown is None:  # it was laid onto a colour
        shown = decode(cut).pixels
    return contact.pair(picture, shown, job.target.stem)
