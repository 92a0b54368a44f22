"""Marks the border of a picture and its four sides, which serve as samples of the background."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspector.types import Mask

Plane = npt.NDArray[np.float32]
"""Values of each pixel: float32 (H, W), or (H, W, C) with several channels."""


def border(shape: tuple[int, ...], share: float) -> Mask:
    """Mark the border of a picture of this shape (H, W).

    The border is as wide as `share` of the picture's shorter side, and at least one pixel wide.

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
    """Mark the top, bottom, left and right side of the border; each pixel belongs to its nearest side."""
    row, column = np.indices(shape)
    distance = np.stack([row, shape[0] - 1 - row, column, shape[1] - 1 - column])
    nearest, whole = distance.argmin(axis=0), border(shape, share)
    return [whole & (nearest == side) for side in range(4)]
