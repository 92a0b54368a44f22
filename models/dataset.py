"""A folder of normal pictures as one memory-mapped array, split into training and held-out ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from inspector.errors import BadImagesError, ImageError, NoImagesError, TooFewImagesError
from inspector.imaging.colour import WHITE, Colour
from inspector.imaging.decode import decode
from inspector.imaging.files import IMAGE_SUFFIXES, list_images, printable, read_picture
from inspector.imaging.resize import fit_to

MIN_IMAGES = 8
THUMBNAIL = 32  # px; enough to recognise a near-duplicate, too coarse for noise to matter
NEAR_DUPLICATE = 0.995  # correlation after the set's mean picture is taken out; less is another part alike
MAX_HELDOUT_SHARE = 0.4
LARGEST_GROUP_SHARE = 0.1  # of the held-out pictures

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PictureSet:
    """Prepared pictures, and what is known of each.

    Attributes
    ----------
    pixels : uint8 (N, H, W, 3)
        Memory-mapped: the set's size on disk is not the process's size in memory.
    names : tuple of str
        Paths relative to the folder.
    digests : tuple of str
        sha256 of each file, hex.
    thumbnails : float32 (N, 1024)
        Grey 32 x 32 px.
    skipped : tuple of (name, reason)
        Files that are no usable pictures.
    """

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    thumbnails: NDArray[np.float32]
    skipped: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def digest(self) -> str:
        """Digest of the set: of its pictures' digests in sorted order."""
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
    report: Report | None = None,
) -> PictureSet:
    """Decode every picture of a folder once, into a memory-mapped file in `cache`.

    Exact copies of one file count once.

    Parameters
    ----------
    folder : Path
        Searched recursively.
    cache : Path
        An existing folder for the array; the caller removes it.
    size : int
        Side of the prepared pictures, px.
    strict : bool
        Refuse the folder if one picture is damaged, instead of leaving it out.
    background : (red, green, blue)
        What shows where a picture is transparent.
    report : callable, optional
        Called as `report("reading pictures", done, total)`.

    Raises
    ------
    NoImagesError, TooFewImagesError, BadImagesError
    """
    paths = _paths(folder)
    target = cache / "pictures.npy"
    pixels = _reserve(target, (len(paths), size, size, 3))
    names: list[str] = []
    digests: list[str] = []
    skipped: list[tuple[str, str]] = []
    thumbnails = np.empty((len(paths), THUMBNAIL * THUMBNAIL), np.float32)
    seen: set[str] = set()
    for index, path in enumerate(paths):
        name = path.relative_to(folder).as_posix()
        try:
            data = read_picture(path, max_bytes)
            picture = decode(
                data,
                max_pixels=max_pixels,
                max_bytes=max_bytes,
                reduce_to=(size, size),
                background=background,
            )
        except ImageError as error:
            skipped.append((name, error.reason))
            continue
        finally:
            if report is not None:
                report("reading pictures", index + 1, len(paths))
        digest = hashlib.sha256(data).hexdigest()
        if digest in seen:
            skipped.append((name, "exact copy"))
            continue
        seen.add(digest)
        row = len(names)
        pixels[row] = fit_to(picture.pixels, size, size)
        grey = fit_to(picture.pixels, THUMBNAIL, THUMBNAIL).astype(np.float32).mean(2)
        thumbnails[row] = grey.ravel()
        names.append(name)
        digests.append(digest)
    pixels.flush()
    _check(folder, names, skipped, strict)
    n = len(names)
    mapped = np.load(target, mmap_mode="r", allow_pickle=False)[:n]
    return PictureSet(mapped, tuple(names), tuple(digests), thumbnails[:n].copy(), tuple(skipped))


def _reserve(target: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """Make a memory-mapped array whose space on disk is certain: a full disk is found out here."""
    pixels: np.memmap[tuple[int, ...], np.dtype[np.uint8]] = np.lib.format.open_memmap(
        target, mode="w+", dtype=np.uint8, shape=shape
    )
    with target.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, target.stat().st_size)
    return pixels


def _paths(folder: Path) -> list[Path]:
    paths = list_images(folder)
    if not paths:
        raise NoImagesError(
            f"no pictures in '{printable(folder)}'",
            hint=f"formats that are read: {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    return paths


def _check(folder: Path, names: list[str], skipped: list[tuple[str, str]], strict: bool) -> None:
    damaged = [(name, reason) for name, reason in skipped if reason != "exact copy"]
    if strict and damaged:
        listed = ", ".join(f"{printable(name)} ({reason})" for name, reason in damaged[:5])
        more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
        raise BadImagesError(
            f"{len(damaged)} pictures in '{printable(folder)}' cannot be used: {listed}{more}",
            hint="repair or remove them, or leave --strict out to skip them",
        )
    if len(names) < MIN_IMAGES:
        raise TooFewImagesError(
            f"{len(names)} usable pictures in '{printable(folder)}', at least {MIN_IMAGES} are needed",
            hint="50 to 500 pictures of good parts make a good model",
        )


def near_duplicate_groups(thumbnails: NDArray[np.float32], block: int = 1024) -> NDArray[np.int32]:
    """Label pictures so that near-duplicates share a label, shape (N,).

    Each thumbnail is standardised, the set's mean is taken out (what all pictures of a fixed camera
    share says nothing), and pictures that correlate above 0.995 are joined: the same part again, at rest.
    Parts that merely lie alike correlate by less, and parts to come will have such look-alikes, too.
    """
    flat = _standardised(thumbnails)
    rest = _standardised(flat - flat.mean(0))
    pairs = []
    for start in range(0, len(rest), block):
        near = np.argwhere(rest[start : start + block] @ rest.T > NEAR_DUPLICATE)
        near[:, 0] += start
        pairs.append(near)
    rows, columns = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(rest), len(rest)))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


def _standardised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = rows - rows.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6))


def split(
    digests: Sequence[str], groups: NDArray[np.integer], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return indices of training and of about `count` held-out pictures.

    Chosen by content digest, so that neither order nor names nor a seed matter.  A group of
    near-duplicates stays on one side; a group that would push the held-out share over 40 % trains, and one of
    more than a tenth of the held-out pictures is taken only where smaller ones do not suffice: few great
    groups would vouch for one thing only, and training would miss it.  Where great groups leave less than
    half of the number, single pictures fill it up: where nearly all look alike there is nothing to part.
    """
    n = len(digests)
    limit = int(MAX_HELDOUT_SHARE * n)
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(int(group), []).append(index)

    def turn(group: list[int]) -> tuple[int, str]:
        """Small groups first, by digests; not by the least one, which is less in a larger group."""
        joined = "".join(sorted(digests[i] for i in group))
        small = max(1, int(LARGEST_GROUP_SHARE * count))
        return max(small, len(group)), hashlib.sha256(joined.encode()).hexdigest()

    heldout: list[int] = []
    for group in sorted(members.values(), key=turn):
        if len(heldout) >= count:
            break
        if len(heldout) + len(group) <= limit:
            heldout += group
    if len(heldout) < count / 2:
        others = sorted(set(range(n)) - set(heldout), key=lambda i: digests[i])
        heldout += others[: count - len(heldout)]
    chosen = np.zeros(n, bool)
    chosen[heldout] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def look_alikes(
    groups: NDArray[np.integer], rows: NDArray[np.intp], heldout: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Label pictures so that those share a label that do not vouch for each other, (N,).

    They are near-duplicates, unless those were both learned and held out, or are half of all pictures or
    more: then each stands for itself, because there is little else to judge it by.
    """
    names, whose, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    both = np.isin(names, groups[rows]) & np.isin(names, groups[heldout])
    alone = (both | (2 * sizes >= len(groups)))[whose]
    labels = np.asarray(groups, np.int64).copy()
    labels[alone] = labels.max() + 1 + np.arange(alone.sum())
    return labels


def valid_flips(thumbnails: NDArray[np.float32], groups: NDArray[np.integer]) -> tuple[bool, bool, bool]:
    """Tell which of left-right, up-down and transposition leave a normal picture normal.

    A flip is valid where flipped pictures lie about as near (1.25 times) to their nearest other
    picture of the set as unflipped ones do; near-duplicates are none, unless all are.
    """
    pick = np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), 500)).astype(int)
    labels = groups[pick]
    flat = _standardised(thumbnails[pick])
    squares = flat.reshape(-1, THUMBNAIL, THUMBNAIL)
    same = labels[:, None] == labels[None, :]
    if same.all():
        same = np.eye(len(labels), dtype=np.bool_)

    def distance(rows: NDArray[np.float32]) -> float:
        gap = 1 - rows @ flat.T
        gap[same] = np.inf
        nearest = gap.min(1)
        finite = nearest[np.isfinite(nearest)]
        return float(np.median(finite)) if finite.size else 0.0

    limit = 1.25 * distance(flat) + 1e-6
    flipped = (squares[:, :, ::-1], squares[:, ::-1], squares.transpose(0, 2, 1))
    left, up, turn = (distance(f.reshape(len(flat), -1)) <= limit for f in flipped)
    return left, up, turn
