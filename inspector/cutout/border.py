"""The border of a picture and its four sides: a sample of the background."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspector.types import Mask

Plane = npt.NDArray[np.float32]
"""float32 (H, W) or (H, W, C)."""


def border(shape: tuple[int, ...], share: float) -> Mask:
    """Mark a border, at least one pixel wide; its width is `share` of the shorter side.

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
    """Mark the top, bottom, left and right side of a border; a corner pixel belongs to the nearer side."""
    row, column = np.indices(shape)
    distance = np.stack([row, shape[0] - 1 - row, column, shape[1] - 1 - column])
    nearest, whole = distance.argmin(axis=0), border(shape, share)
    return [whole & (nearest == side) for side in range(4)]
