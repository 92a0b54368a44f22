"""Writes rendered photographs as a data set in the layout of MVTec AD."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inspector.bundle.atomic import storage_errors
from inspector.demo.photograph import KINDS, check_arguments, render
from inspector.errors import UsageError
from inspector.imaging.encode import encode_png
from inspector.types import Pixels

SEED_STRIDE = 1_000_000  # between the seeds of two data sets
NOTE = "rendered-parts.txt"  # marks a folder that may be replaced
NOTE_TEXT = "Rendered by inspector. The folders beside this file are replaced when it renders again.\n"


def write_dataset(
    folder: Path,
    *,
    train: int = 120,
    good: int = 40,
    per_kind: int = 12,
    size: int = 320,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a data set in the layout of MVTec AD: every picture shows another part.

    The pictures are `train/good/000.png`, `test/good/000.png` and `test/KIND/000.png` for each of
    `KINDS`, with `ground_truth/KIND/000_mask.png`, 255 inside the mask.  A data set that this function wrote
    before is replaced; a folder with other files is refused.

    Parameters
    ----------
    folder : Path
        Folder of the data set; made if needed.
    train, good, per_kind : int
        Number of good parts to train on, of good parts to test on, and of defective parts per kind.
    size : int
        Side of the pictures in pixels.
    seed : int
        A different seed gives different parts.
    progress : callable, optional
        Called as `progress(written, total)`.

    Raises
    ------
    UsageError
        An argument is out of its range, or the folder holds other files.
    StorageError
        The folder cannot be written.
    """
    check_arguments(seed, None, size)
    for name, count in (("train", train), ("good", good), ("per_kind", per_kind)):
        if not 0 <= count < SEED_STRIDE // 10:
            raise UsageError(
                f"{name} is {count}, allowed is 0 to {SEED_STRIDE // 10 - 1}",
                hint="ask for fewer pictures",
            )
    jobs: list[tuple[str, str | None]] = [("train", None) for _ in range(train)]
    jobs += [("test", None) for _ in range(good)]
    jobs += [("test", kind) for kind in KINDS for _ in range(per_kind)]
    with storage_errors(folder):
        _clear(folder)
        _write_all(folder, jobs, size=size, seed=seed, progress=progress)


def _clear(folder: Path) -> None:
    """Remove the data set that was written before; refuse a folder with other files."""
    note = folder / NOTE
    if folder.exists() and any(folder.iterdir()) and not note.is_file():
        raise UsageError(
            f"{folder} holds files that were not rendered here",
            hint="choose an empty or a new folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(NOTE_TEXT, encoding="utf-8")
    for name in ("train", "test", "ground_truth"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _write_all(
    folder: Path,
    jobs: list[tuple[str, str | None]],
    *,
    size: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    written: dict[Path, int] = {}
    for done, (split, kind) in enumerate(jobs):
        part = render(seed * SEED_STRIDE + done, kind=kind, size=size)
        target = folder / split / (kind or "good")
        number = written.setdefault(target, 0)
        written[target] += 1
        _write_png(target / f"{number:03d}.png", part.picture)
        if kind is not None:
            truth = folder / "ground_truth" / kind / f"{number:03d}_mask.png"
            _write_png(truth, part.mask.astype(np.uint8) * 255)
        if progress is not None:
            progress(done + 1, len(jobs))


def _write_png(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))
