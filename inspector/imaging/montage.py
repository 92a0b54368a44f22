"""A montage: pictures of one size in rows and columns with a narrow gap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inspector.types import Pixels

GROUND = 214  # a light grey on which both white and dark pictures stand out
_GAP_SHARE = 1 / 32  # of a picture's side


def gap(height: int, width: int) -> int:
    """Return the gap between two pictures of this size, in pixels."""
    return max(2, round(min(height, width) * _GAP_SHARE))


def columns_for(count: int) -> int:
    """Return the number of columns with which a montage is about as wide as high.

    Examples
    --------
    >>> [columns_for(count) for count in (1, 2, 9, 10)]
    [1, 2, 3, 4]
    """
    return math.isqrt(count - 1) + 1


def extent(
    count: int, columns: int, height: int, width: int, gap_pixels: int | None = None
) -> tuple[int, int]:
    """Return height and width of a montage of `count` pictures of this size, in pixels."""
    between = gap(height, width) if gap_pixels is None else gap_pixels
    columns, rows = min(count, columns), -(-count // columns)
    return rows * (height + between) + between, columns * (width + between) + between


def lay_out(
    pictures: Sequence[Pixels], columns: int, *, gap_pixels: int | None = None, ground: int = GROUND
) -> Pixels:
    """Lay pictures out in rows, from left to right; empty cells stay in the colour of the ground.

    Parameters
    ----------
    pictures : sequence of uint8 (H, W, 3)
        At least one, all of one size.
    columns : int
        Columns of the montage; fewer if there are fewer pictures.
    gap_pixels : int, optional
        Gap between pictures and around them; `gap` of their size without it.
    ground : int
        Grey level behind the pictures, 0 to 255.

    Returns
    -------
    uint8 (H', W', 3)
        Its size is that of `extent`.
    """
    height, width = pictures[0].shape[:2]
    between = gap(height, width) if gap_pixels is None else gap_pixels
    columns = min(len(pictures), columns)
    laid = np.full((*extent(len(pictures), columns, height, width, between), 3), ground, np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = between + row * (height + between), between + column * (width + between)
        laid[top : top + height, left : left + width] = picture
    return laid


def stack(upper: Pixels, lower: Pixels) -> Pixels:
    """Put one picture above another of the same size, with a thin line between them."""
    line = np.full((gap(*upper.shape[:2]) // 2, upper.shape[1], 3), GROUND, np.uint8)
    return np.concatenate([upper, line, lower])
