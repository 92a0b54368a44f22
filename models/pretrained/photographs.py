"""Photographs for the pretraining: a folder of pictures as one array in a file that is mapped into memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.errors import NoImagesError
from inspector.imaging.decode import decode
from inspector.imaging.files import IMAGE_SUFFIXES, MAX_BYTES, list_images, printable, read_picture
from inspector.imaging.resize import fit_to
from models.types import Progress

SIDE = 224  # px


class Photographs(NamedTuple):
    """The photographs of a folder."""

    files: list[Path]  # in the order of their paths relative to the folder
    digest: str  # SHA-256 of the SHA-256 of each file's content, in this order


def find_photographs(folder: Path) -> Photographs:
    """List the photographs of a folder and of the folders below it.

    Raises
    ------
    NoImagesError
        The folder does not exist, or holds no picture.
    DatasetError, ImageError
        The folder or a file cannot be read.
    """
    files = list_images(folder)
    if not files:
        raise NoImagesError(
            f"{printable(folder)} holds no picture",
            hint=f"formats that are read: {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(read_picture(file, MAX_BYTES)).digest())
    return Photographs(files, digest.hexdigest())


def photograph_bank(photographs: Photographs, path: Path, progress: Progress) -> NDArray[np.uint8]:
    """Write the middle square of each photograph into a file, and map the file into memory.

    A file that was made from the same photographs is used as it is: `PATH.sha256` beside it has their digest.

    Parameters
    ----------
    photographs : Photographs
    path : Path
    progress : callable
        Called as `progress("photographs", read, all)`.

    Returns
    -------
    uint8 (N, SIDE, SIDE, 3)
        In the order of the files.

    Raises
    ------
    ImageError
        A photograph cannot be read.
    """
    made_from = path.with_suffix(".sha256")
    if not (path.exists() and made_from.exists() and made_from.read_text() == photographs.digest):
        made_from.unlink(missing_ok=True)
        _write(photographs.files, path, progress)
        made_from.write_text(photographs.digest)
    bank: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return bank


def _write(files: list[Path], path: Path, progress: Progress) -> None:
    shape = (len(files), SIDE, SIDE, 3)
    bank = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for row, file in enumerate(files):
        progress("photographs", row, len(files))
        bank[row] = _middle_square(decode(file).pixels)
    progress("photographs", len(files), len(files))
    bank.flush()


def _middle_square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the largest square from the middle of a picture, and bring it to `SIDE`."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return fit_to(pixels[top : top + side, left : left + side], SIDE, SIDE)
