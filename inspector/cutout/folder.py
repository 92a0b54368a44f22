"""Cuts out the pictures of a folder; each cut-out is written whole or not at all, and none is made twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from inspector.bundle.atomic import locked, remove_temporaries, storage_errors, write_bytes
from inspector.cutout import contact_sheet
from inspector.cutout.picture import Options, cut_out
from inspector.cutout.segmentation import one_thread
from inspector.errors import DatasetError, ImageError, NoImagesError, UsageError
from inspector.imaging.decode import decode, straight_rgba
from inspector.imaging.depth import DEEP, learn
from inspector.imaging.files import list_images, printable, read_picture
from inspector.imaging.header import may_be_deep
from inspector.imaging.png_text import encode_png_with_text, read_png_text
from inspector.process.concurrency import in_order
from inspector.settings import Settings
from inspector.types import Pixels

SHEET_FINGERPRINT = "contact sheet"
PNG_KEY = "inspector cutout"
LOCK = ".lock"


@dataclass(frozen=True)
class Job:
    """A picture file, and the path of its cut-out."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """The outcome for one picture.

    Attributes
    ----------
    job : Job
        The picture.
    status : str
        `cut`; `kept_alpha` for a picture that had transparent pixels; `done` by an earlier run with these
        options; or `skipped`.
    reason : str
        One line that says why the picture was skipped, else empty.
    fault : str
        The reason in a word or two; the command counts skipped pictures by it.
    """

    job: Job
    status: Literal["cut", "kept_alpha", "done", "skipped"]
    reason: str = ""
    fault: str = ""


def plan(folder: Path, output: Path) -> list[Job]:
    """List the pictures to cut out, and refuse unusable folders before anything is written.

    Folders below `folder` are searched, and repeated below `output`.

    Raises
    ------
    UsageError
        `output` is `folder`, lies in it, is a file, or holds other files of the same names.
    NoImagesError
        The folder holds no picture.
    DatasetError
        Two pictures would get the same name.
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
        other = taken.setdefault(str(job.target).casefold(), job)  # some disks ignore case
        if other is not job:
            raise DatasetError(
                f"{printable(other.source)} and {printable(job.source)} would both become "
                f"{printable(job.target)}",
                hint="rename one of them, or move it into a folder of its own",
            )


def fingerprint_of(path: Path) -> str | None:
    """Read the fingerprint in the PNG at `path`; None if it is damaged or not written by `inspector cutout`.

    Raises
    ------
    StorageError
        The file cannot be read.
    """
    with storage_errors(path):
        return read_png_text(path.read_bytes(), PNG_KEY)


def check_own(path: Path) -> None:
    """Refuse to replace a file that `inspector cutout` did not write.

    Raises
    ------
    UsageError
        There is such a file.
    """
    if path.is_dir() or (path.exists() and fingerprint_of(path) is None):
        raise UsageError(
            f"{printable(path)} exists, and is not a cut-out that 'inspector cutout' wrote",
            hint="move it away, or name a new or an empty folder",
        )


@contextmanager
def claimed(output: Path, jobs: Sequence[Job]) -> Iterator[None]:
    """Make the folder, lock it against other runs, and remove half-written files of runs that were killed.

    Raises
    ------
    StoreBusyError
        Another run writes into the folder.
    StorageError
        The disk is full, read-only or not permitted.
    """
    with locked(output / LOCK, printable(output), seconds=2):
        for folder in {job.target.parent for job in jobs}:
            remove_temporaries(folder)
        yield


def learn_full_scale(jobs: Sequence[Job], settings: Settings) -> int:
    """Return the full scale of pictures with more than 8 bits, learned from all of them; see `depth.learn`.

    Pictures at fault do not count.
    """
    depths = []
    for job in jobs:
        with suppress(ImageError):
            data = read_picture(job.source, settings.max_bytes)
            if may_be_deep(data):
                depths.append(decode(data, max_pixels=settings.max_pixels, max_bytes=len(data)).depth)
    return learn([depth for depth in depths if depth is not None])


def cut_all(
    jobs: list[Job],
    options: Options,
    settings: Settings,
    threads: int,
) -> Iterator[Outcome]:
    """Cut pictures out, several at once, and yield their outcomes in the order of the jobs.

    Parameters
    ----------
    jobs : list of Job
        As `plan` returned them.
    options : Options
        How to cut.
    settings : Settings
        Limits on pictures.
    threads : int
        Number of pictures worked on at once.

    Raises
    ------
    StorageError
        A cut-out cannot be written; earlier ones stay.
    """
    work = partial(_cut, options=options, settings=settings)
    with one_thread(), closing(in_order(work, jobs, threads)) as outcomes:
        yield from outcomes


def _cut(job: Job, options: Options, settings: Settings) -> Outcome:
    try:
        data = read_picture(job.source, settings.max_bytes)
    except ImageError as exc:
        return _skipped(job, exc.message, exc.reason)
    fingerprint = options.fingerprint(data)
    if job.target.exists() and fingerprint_of(job.target) == fingerprint:
        return Outcome(job, "done")
    try:
        found = cut_out(data, options, max_pixels=settings.max_pixels)
    except ImageError as exc:
        return _skipped(job, f"{printable(job.source)}: {exc.message}", exc.reason)
    if found is None:
        reason = f"{printable(job.source)}: nothing in it stands out from its border"
        return _skipped(job, reason, "without an object")
    with storage_errors(job.target):
        job.target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(job.target, encode_png_with_text(found.rgba, PNG_KEY, fingerprint))
    return Outcome(job, "kept_alpha" if found.had_alpha else "cut")


def _skipped(job: Job, reason: str, fault: str) -> Outcome:
    stays = "; an earlier cut-out of it stays" if job.target.exists() else ""
    return Outcome(job, "skipped", reason + stays, fault)


def write_sheet(path: Path, outcomes: list[Outcome], settings: Settings, full_scale: int = DEEP) -> bool:
    """Write a contact sheet of all cut-outs, those of earlier runs included; False if there are none."""
    shown = [outcome.job for outcome in outcomes if outcome.status != "skipped"]
    if not shown:
        return False
    pairs = [_pair(shown[number], settings, full_scale) for number in contact_sheet.choose_shown(len(shown))]
    page = contact_sheet.lay_out_pairs(pairs)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, encode_png_with_text(page, PNG_KEY, SHEET_FINGERPRINT))
    return True


def _pair(job: Job, settings: Settings, full_scale: int) -> Pixels:
    """Draw a picture beside its cut-out, which is opaque if it was laid over a colour."""
    picture = decode(
        job.source, max_pixels=settings.max_pixels, max_bytes=settings.max_bytes, full_scale=full_scale
    ).pixels
    data = job.target.read_bytes()
    cut = straight_rgba(data)
    return contact_sheet.draw_pair(picture, decode(data).pixels if cut is None else cut, job.target.stem)
