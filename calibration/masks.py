"""Reads masks, and notices those that were stored lossily or inverted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inspector.errors import DatasetError, ImageError
from inspector.imaging.files import printable
from inspector.imaging.mask import decode_mask
from inspector.settings import Settings

BRIGHT = 128  # 8-bit masks with smaller values only number kinds of defects
FEWEST_SPECKLES = 10
NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class DefectMask:
    """The defects of one picture.

    Attributes
    ----------
    defect : bool array (height, width)
        True on defects.
    halved : bool
        True if values up to half of the largest one do not count, because lossy compression changed them.
    """

    defect: NDArray[np.bool_]
    halved: bool

    @property
    def marks_most(self) -> bool:
        """True if more than half of the picture is defect; such a mask may be inverted."""
        return bool(self.defect.mean() > 0.5)


def read_masks(paths: Sequence[Path], shape: tuple[int, ...], settings: Settings | None = None) -> DefectMask:
    """Read the masks of one picture, and join them.

    A pixel is a defect if its value is not zero, whatever the format, the number of bits and the largest
    value.  A mask that was stored lossily has small values around its edges: there, a pixel is a defect if
    its value is above half of the largest value.

    Parameters
    ----------
    paths : sequence of Path
        At least one image file.
    shape : (height, width)
        Size of the picture that the masks belong to.
    settings : Settings, optional
        The limits on pictures; defaults without it.

    Returns
    -------
    DefectMask

    Raises
    ------
    DatasetError
        A mask cannot be read, or has another size.
    """
    limits = settings or Settings()
    read = [_read(path, shape, limits) for path in paths]
    return DefectMask(np.logical_or.reduce([one.defect for one in read]), any(one.halved for one in read))


def _read(path: Path, shape: tuple[int, ...], limits: Settings) -> DefectMask:
    try:
        mask = decode_mask(path, max_pixels=limits.max_pixels, max_bytes=limits.max_bytes)
    except ImageError as exc:
        raise DatasetError(
            f"mask {exc.message}", hint=exc.hint or "replace the mask, or take it out of ground_truth"
        ) from exc
    levels = mask.levels
    if levels.shape != shape:
        raise DatasetError(
            f"mask {printable(path)} has {levels.shape[1]} x {levels.shape[0]} pixels, "
            f"its picture {shape[1]} x {shape[0]}",
            hint="a mask needs the size of its picture, after EXIF rotation",
        )
    halved = bool(levels.any()) and (mask.is_lossy or _is_speckled(levels))
    return DefectMask(levels > (levels.max() / 2 if halved else 0), halved)


def _is_speckled(levels: NDArray[Any]) -> bool:
    """Return whether an 8-bit mask was stored lossily before: faint values then vary from pixel to pixel.

    Numbers of kinds are flat instead, and smooth edges touch bright pixels.
    """
    if levels.dtype != np.uint8 or levels.max() < BRIGHT:
        return False
    faint = (levels > 0) & (levels <= levels.max() / 2)
    speckles = faint & ~ndimage.binary_dilation(levels > levels.max() / 2, NEIGHBOURS)
    if speckles.sum() < FEWEST_SPECKLES or np.unique(levels[speckles]).size < 2:
        return False
    values = np.where(faint, levels, np.uint8(0))
    largest = ndimage.maximum_filter(values, size=3)
    smallest = ndimage.minimum_filter(np.where(faint, levels, np.uint8(255)), size=3)
    alone = ndimage.uniform_filter(faint.astype(np.float32), size=3) < 1.5 / 9
    uneven = (largest != smallest) | alone
    return bool(uneven[speckles].mean() > 0.5)
