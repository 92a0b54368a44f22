"""Resizing: one function for every picture."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from inspector.process.concurrency import cores
from inspector.types import Pixels

cv2.setNumThreads(min(cv2.getNumThreads(), cores()))  # OpenCV's own number ignores the quota of a container


def fit_to(pixels: Pixels, height: int, width: int) -> Pixels:
    """Stretch a picture to a size; a side that shrinks is averaged by area, one that grows is interpolated.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, C)
        The picture.
    height, width : int
        The new size, in pixels.

    Returns
    -------
    ndarray of uint8, shape (height, width, C)
        Contiguous; the same array if it has this size already.
    """
    smaller = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    if smaller != pixels.shape[1::-1]:
        pixels = cast(Pixels, cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA))
    if smaller != (width, height):
        pixels = cast(Pixels, cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.ascontiguousarray(pixels)
