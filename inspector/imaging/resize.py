"""Resizing: one function for every picture and every anomaly map."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from inspector.process.concurrency import cores

Samples = TypeVar("Samples", bound=npt.NDArray[Any])

cv2.setNumThreads(min(cv2.getNumThreads(), cores()))  # OpenCV's own number ignores the quota of a container


def fit_to(pixels: Samples, height: int, width: int) -> Samples:
    """Stretch a picture or a map to a size: averaged where a side shrinks, interpolated where it grows.

    Parameters
    ----------
    pixels : ndarray of uint8 or float32, shape (h, w) or (h, w, C)
        The picture or the map.
    height, width : int
        The new size, in pixels.

    Returns
    -------
    ndarray of the same type, shape (height, width) or (height, width, C)
        Contiguous; the same array if it has this size already.
    """
    smaller = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    if smaller != pixels.shape[1::-1]:
        pixels = cast(Samples, cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA))
    if smaller != (width, height):
        pixels = cast(Samples, cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
    return cast(Samples, np.ascontiguousarray(pixels))
