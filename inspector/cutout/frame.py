"""The border of a picture and its four sides, where the background is looked at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]
Colour = tuple[int, int, int]


def border(shape: tuple[int, ...], share: float) -> Mask:
    """Mark a border, at least one pixel wide; `share` is of the shorter side.

    Examples
    --------
    >>> border((4, 5), 0.25).astype(int)
    array([[1, 1, 1, 1, 1],
           [1, 0, 0, 0, 1],
           [1, 0, 0, 0, 1],
           [1, 1, 1, 1, 1]])
    """
    height, width = shape
    wide = max(1, round(min(height, width) * share))
    mask = np.ones((height, width), bool)
    mask[wide : height - wide, wide : width - wide] = False
    return mask


def sides(shape: tuple[int, ...], share: float) -> list[Mask]:
    """Mark top, bottom, left and right of a border; what is in a corner belongs to the nearer one."""
    row, column = np.indices(shape)
    apart = np.stack([row, shape[0] - 1 - row, column, shape[1] - 1 - column])
    nearest, whole = apart.argmin(axis=0), border(shape, share)
    return [whole & (nearest == side) for side in range(4)]
