"""Refuses pictures from which nothing can be learned: they hardly differ, or each is of one colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.errors import DatasetError
from inspector.imaging.files import printable
from inspector.imaging.one_colour import of_one_colour

CLEAR_CHANGE = 8  # of 255 levels; more than a camera's noise
LEAST_AREA = 4 / 256  # of the picture that changes clearly: four patches of the coarsest grid
# Standard deviation in levels, of a pixel from picture to picture.  Measured on scenes that stand still: with
# 0.5 the graph differs from torch by 0.004 of a statistic's spread, with 0.75 by less than the allowed 0.001.
LEAST_DEVIATION = 0.6


def check_variation(folder: Path, pixels: NDArray[np.uint8]) -> None:
    """Refuse pictures that do not vary, from one to the next or within each.

    The spread of such pictures is the rounding of the arithmetic.  In units of that spread, every score would
    be an accident.

    Parameters
    ----------
    folder : Path
        Named in the error.
    pixels : uint8 (N, H, W, 3)

    Raises
    ------
    DatasetError
        Most pictures are of one colour, or they hardly differ: neither does a part of the picture change
        clearly, nor do all pixels change a little, as a camera's noise makes them.
    """
    flat = int(of_one_colour(pixels).sum())
    if 2 * flat > len(pixels):
        raise DatasetError(
            f"{flat} of {len(pixels)} pictures in '{printable(folder)}' show nothing: each is of one colour",
            hint="check the light, the exposure and the lens cap, and take the pictures again",
        )
    area = _changing_area(pixels)
    if area >= LEAST_AREA:
        return
    deviation = _deviation(pixels)
    if deviation < LEAST_DEVIATION:
        raise DatasetError(
            f"the {len(pixels)} pictures in '{printable(folder)}' hardly differ: {area:.2%} of their area "
            f"changes clearly ({LEAST_AREA:.2%} would do), and half of it by {deviation:.2g} of 255 levels "
            f"or less ({LEAST_DEVIATION:g} would do)",
            hint="give pictures of different good parts, one of each; of a scene that stands still, pictures "
            "at different times, as the camera takes them",
        )


def _changing_area(pixels: NDArray[np.uint8]) -> float:
    """Return the share of the picture that changes clearly; the count stops once it is large enough."""
    low, high = np.array(pixels[0]), np.array(pixels[0])
    area = 0.0
    for picture in pixels[1:]:
        np.minimum(low, picture, out=low)
        np.maximum(high, picture, out=high)
        area = float(((high - low).max(2) >= CLEAR_CHANGE).mean())
        if area >= LEAST_AREA:
            break
    return area


def _deviation(pixels: NDArray[np.uint8]) -> float:
    """Return the standard deviation of a pixel from picture to picture: the median of all pixels."""
    total, squares = (np.zeros(pixels.shape[1:], np.float64) for _ in range(2))
    for picture in pixels:
        total += picture
        squares += np.square(picture, dtype=np.float64)
    variance = squares / len(pixels) - np.square(total / len(pixels))
    return float(np.median(np.sqrt(np.maximum(variance, 0))))
