"""Pictures of one size laid out in rows and columns: no axes, no titles, a narrow gap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

GROUND = 214  # a light grey: pictures on white end visibly, and dark ones do not glare
_GAP_SHARE = 1 / 32  # of a picture's side


def gap(height: int, width: int) -> int:
    """Return how many pixels lie between two pictures of this size."""
    return max(2, round(min(height, width) * _GAP_SHARE))


def columns_for(count: int) -> int:
    """Return the number of columns of a mosaic that is about as wide as high.

    Examples
    --------
    >>> [columns_for(count) for count in (1, 2, 9, 10)]
    [1, 2, 3, 4]
    """
    return math.isqrt(count - 1) + 1


def extent(count: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """Return height and width of a mosaic of so many pictures of one size, in pixels."""
    between = gap(height, width)
    columns, rows = min(count, columns), -(-count // columns)
    return rows * (height + between) + between, columns * (width + between) + between


def lay_out(pictures: Sequence[Pixels], columns: int) -> Pixels:
    """Lay pictures out in rows, from left to right; places that stay empty have the ground's colour.

    Parameters
    ----------
    pictures : sequence of uint8 (H, W, 3)
        At least one, all of one size.
    columns : int
        Fewer where there are fewer pictures.

    Returns
    -------
    uint8 (H', W', 3)
        Of the size that `extent` says.
    """
    height, width = pictures[0].shape[:2]
    between = gap(height, width)
    columns = min(len(pictures), columns)
    laid = np.full((*extent(len(pictures), columns, height, width), 3), GROUND, np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = between + row * (height + between), between + column * (width + between)
        laid[top : top + height, left : left + width] = picture
    return laid


def stack(upper: Pixels, lower: Pixels) -> Pixels:
    """Put one picture above another of the same size, a thin line apart: they belong together."""
    line = np.full((gap(*upper.shape[:2]) // 2, upper.shape[1], 3), GROUND, np.uint8)
    return np.concatenate([upper, line, lower])
