"""Refuses pictures from which nothing can be learned: they hardly differ, or each is of one colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.errors import DatasetError
from inspector.imaging.files import printable

LEAST_CHANGE = 2  # of 255 levels; a change by one may be rounding
LEAST_CHANGING = 1 / 256  # of the picture: one patch of the coarsest grid on which the model compares patches
LEAST_CONTRAST = 0.3  # standard deviation in levels: rounding alone makes 1/√12


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
        All pictures differ in less than 1/256 of their area, or most of them are of one colour.
    """
    flat = sum(float(picture.std((0, 1)).max()) < LEAST_CONTRAST for picture in pixels)
    if 2 * flat > len(pixels):
        raise DatasetError(
            f"{flat} of {len(pixels)} pictures in '{printable(folder)}' show nothing: each is of one colour",
            hint="check the light, the exposure and the lens cap, and take the pictures again",
        )
    changing = _changing(pixels)
    if changing < LEAST_CHANGING:
        raise DatasetError(
            f"the {len(pixels)} pictures in '{printable(folder)}' hardly differ: only {changing:.2%} of "
            f"their area changes by {LEAST_CHANGE} of 255 levels or more; "
            f"at least {LEAST_CHANGING:.2%} has to",
            hint="give pictures of different good parts, one of each; of a scene that stands still, pictures "
            "at different times, as the camera takes them",
        )


def _changing(pixels: NDArray[np.uint8]) -> float:
    """Return the share of the picture that changes; the count stops once it is large enough."""
    low, high = np.array(pixels[0]), np.array(pixels[0])
    changing = 0.0
    for picture in pixels[1:]:
        np.minimum(low, picture, out=low)
        np.maximum(high, picture, out=high)
        changing = float(((high - low).max(2) >= LEAST_CHANGE).mean())
        if changing >= LEAST_CHANGING:
            break
    return changing
