"""Reads a folder of normal pictures into one memory-mapped array."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector.errors import BadImagesError, ImageError, InvalidReason
from inspector.imaging import depth
from inspector.imaging.colour import WHITE, Colour
from inspector.imaging.decode import Picture, decode
from inspector.imaging.depth import DEEP, FAR, Depth
from inspector.imaging.files import printable, read_picture
from inspector.imaging.good_images import list_good_images
from inspector.imaging.resize import fit_to
from inspector.imaging.unusable import too_few
from models.types import Progress

MIN_IMAGES = 8
THUMBNAIL = 32  # px; enough to recognise a near-duplicate, too coarse for noise to matter


@dataclass(frozen=True)
class Skipped:
    """A file that a fit does not use.

    Attributes
    ----------
    name : str
        Path relative to the folder.
    invalid : InvalidReason or None
        The fault of the picture; None for an exact copy of another file.
    """

    name: str
    invalid: InvalidReason | None

    @property
    def reason(self) -> str:
        """The reason in one word or two, for messages and reports."""
        return "exact copy" if self.invalid is None else self.invalid


@dataclass(frozen=True)
class PictureSet:
    """Prepared pictures, with name, digest and thumbnail of each.

    Attributes
    ----------
    pixels : uint8 (N, H, W, 3)
        Memory-mapped, so that the memory does not grow with the number of pictures.
    names : tuple of str
        Paths relative to the folder.
    digests : tuple of str
        sha256 of each file, hex.
    thumbnails : float32 (N, 1024)
        Grey, 32 x 32 px.
    skipped : tuple of Skipped
        Files that are not in the set.
    bits : tuple of int
        8, 16 or both: bits of each sample; 16 stands for more than 8.
    full_scale : int
        White in pictures with more than 8 bits that do not state it; see `depth.learn`.
    smallest, largest : (width, height)
        Of the pictures with the fewest and with the most pixels, as they were read.
    remarks : tuple of str
        Sentences about an odd brightness scale, for people.
    """

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    thumbnails: NDArray[np.float32]
    skipped: tuple[Skipped, ...]
    bits: tuple[Literal[8, 16], ...]
    full_scale: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    remarks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def digest(self) -> str:
        """sha256 of the sorted digests: the same for the same pictures under any names."""
        return hashlib.sha256("\n".join(sorted(self.digests)).encode()).hexdigest()


def read_folder(
    folder: Path,
    cache: Path,
    size: int,
    *,
    strict: bool = False,
    max_pixels: int = 80_000_000,
    max_bytes: int = 100_000_000,
    background: Colour = WHITE,
    recursive_anyway: bool = False,
    progress: Progress | None = None,
) -> PictureSet:
    """Decode every picture of a folder once, into a memory-mapped file in `cache`.

    The first of several exact copies is used.  Pictures with more than 8 bits are decoded a second time where
    all pictures together show another full scale than 65535.

    Parameters
    ----------
    folder : Path
        Searched recursively.
    cache : Path
        An existing folder for the array; the caller removes it.
    size : int
        Side of the prepared pictures, px.
    strict : bool
        Refuse the folder if a picture is damaged, instead of skipping the picture.
    max_pixels, max_bytes : int
        Larger pictures and files are skipped as damaged.
    background : (red, green, blue)
        Laid under transparent pictures.
    recursive_anyway : bool
        Take every picture, even from a labelled set.
    progress : callable, optional
        Called as `progress("reading pictures", done, total)`.

    Raises
    ------
    DatasetError
    """
    paths = list_good_images(folder, anyway=recursive_anyway)
    target = cache / "pictures.npy"
    pixels = _reserve(target, (len(paths), size, size, 3))
    as_asked = partial(
        decode, max_pixels=max_pixels, max_bytes=max_bytes, reduce_to=(size, size), background=background
    )
    found = _Found(pixels)
    for index, path in enumerate(paths):
        name = path.relative_to(folder).as_posix()
        try:
            data = read_picture(path, max_bytes)
            picture = as_asked(data)
        except ImageError as error:
            found.skipped.append(Skipped(name, error.reason))
            found.problem = found.problem or error
        else:
            found.add(name, data, picture)
        if progress is not None:
            progress("reading pictures", index + 1, len(paths))
    _check(folder, found, strict)
    full_scale = depth.learn(list(found.depths.values()))
    changed = [row for row, known in found.depths.items() if not known.stated] if full_scale != DEEP else []
    for done, row in enumerate(changed, 1):
        found.put(row, as_asked(folder / found.files[row], full_scale=full_scale))
        if progress is not None:
            progress("reading 16-bit pictures again", done, len(changed))
    pixels.flush()
    return PictureSet(
        np.load(target, mmap_mode="r", allow_pickle=False)[: len(found.files)],
        tuple(found.files),
        tuple(found.digests),
        np.stack([found.thumbnails[row] for row in range(len(found.files))]),
        tuple(found.skipped),
        bits=tuple(sorted(found.bits)),
        full_scale=full_scale,
        smallest=min(found.sizes, key=math.prod),
        largest=max(found.sizes, key=math.prod),
        remarks=found.remarks(full_scale),
    )


@dataclass
class _Found:
    """The pictures that were read so far; `pixels` has one row for each."""

    pixels: NDArray[np.uint8]
    files: list[str] = field(default_factory=list)  # of each row: its path relative to the folder
    digests: dict[str, None] = field(default_factory=dict)  # of each row, in their order
    thumbnails: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # of each row, like the next one
    depths: dict[int, Depth] = field(default_factory=dict)  # only with more than 8 bits
    bits: set[Literal[8, 16]] = field(default_factory=set)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    skipped: list[Skipped] = field(default_factory=list)
    problem: ImageError | None = None  # of the first damaged picture

    def add(self, name: str, data: bytes, picture: Picture) -> None:
        """Put a picture into the next row, unless it is a copy of an earlier one."""
        digest = hashlib.sha256(data).hexdigest()
        if digest in self.digests:
            self.skipped.append(Skipped(name, None))
            return
        row = len(self.files)
        self.files.append(name)
        self.digests[digest] = None
        self.bits.add(picture.bits)
        self.sizes.add((picture.width, picture.height))
        if picture.depth is not None:
            self.depths[row] = picture.depth
        self.put(row, picture)

    def put(self, row: int, picture: Picture) -> None:
        """Resize a picture into its row, and make its thumbnail."""
        self.pixels[row] = fit_to(picture.pixels, *self.pixels.shape[1:3])
        grey = fit_to(picture.pixels, THUMBNAIL, THUMBNAIL).astype(np.float32).mean(2)
        self.thumbnails[row] = grey.ravel()

    def remarks(self, full_scale: int) -> tuple[str, ...]:
        """Say why all pictures are dark at this full scale, or all but a few; name these."""
        greatest = max((known.greatest for known in self.depths.values()), default=full_scale)
        if full_scale > FAR * greatest:
            return (
                f"white is {full_scale}, but no sample is over {greatest}, so the pictures are dark. If the "
                "files state a full scale that the camera does not have, save them without it",
            )
        few, others = depth.deciding_alone(list(self.depths.values()), full_scale)
        if not few:
            return ()
        first = printable(self.files[tuple(self.depths)[few[0]]])
        alone = f"{first} alone sets" if len(few) == 1 else f"{first} and {len(few) - 1} more alone set"
        return (
            f"{alone} white to {full_scale}; the other {len(self.depths) - len(few)} 16-bit pictures have no "
            f"sample over {others}, so they become dark. Leave out what another camera took",
        )


def _reserve(target: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """Make a memory-mapped array and reserve its space, so that a full disk fails here."""
    pixels: np.memmap[tuple[int, ...], np.dtype[np.uint8]] = np.lib.format.open_memmap(
        target, mode="w+", dtype=np.uint8, shape=shape
    )
    with target.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, target.stat().st_size)
    return pixels


def _check(folder: Path, found: _Found, strict: bool) -> None:
    damaged = [file for file in found.skipped if file.invalid is not None]
    if strict and damaged:
        listed = ", ".join(f"{printable(file.name)} ({file.reason})" for file in damaged[:5])
        more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
        raise BadImagesError(
            f"{len(damaged)} pictures in '{printable(folder)}' cannot be used: {listed}{more}",
            hint="repair or remove them, or leave --strict out to skip them",
        )
    if len(found.files) < MIN_IMAGES:
        left_out = [(file.name, file.reason) for file in found.skipped]
        hint = "50 to 500 different pictures of good parts make a good model"
        raise too_few(folder, len(found.files), left_out, MIN_IMAGES, hint, found.problem)
