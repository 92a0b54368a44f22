"""From one picture to another in equal steps: through a model's codes, and as a plain cross-fade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.generation.memorisation import distances
from inspector.imaging.sharpness import sharpness

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Transition:
    """Pictures from A to B, both ends included, and how sharp each is.

    Attributes
    ----------
    pictures : tuple of uint8 (H, W, 3)
        At least two.
    sharpness : tuple of float
        Variance of the Laplacian; it rises with sharpness.
    """

    pictures: tuple[Pixels, ...]
    sharpness: tuple[float, ...]

    @classmethod
    def of(cls, pictures: Sequence[Pixels]) -> Transition:
        """Measure pictures."""
        return cls(tuple(pictures), tuple(map(sharpness, pictures)))

    @property
    def between(self) -> float | None:
        """Mean sharpness of what lies between the ends; None where there are only the ends."""
        return float(np.mean(self.sharpness[1:-1])) if len(self.sharpness) > 2 else None

    @property
    def kept(self) -> float | None:
        """`between` as a share of the mean sharpness of the ends; None where those are flat."""
        ends = (self.sharpness[0] + self.sharpness[-1]) / 2
        return self.between / ends if self.between is not None and ends > 0 else None

    def ends_from(self, other: Transition) -> float:
        """How far its ends are from those of another: the larger distance, in levels of 0 to 255."""
        return max(apart(self.pictures[end], other.pictures[end]) for end in (0, -1))


def cross_fade(first: Pixels, second: Pixels, steps: int) -> list[Pixels]:
    """Mix two pictures pixel by pixel, `(1 − t)·first + t·second`, in equal steps with both ends.

    Parameters
    ----------
    first, second : uint8 (H, W, 3)
        Of one size.
    steps : int
        At least 2.

    Examples
    --------
    >>> black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    >>> [int(picture[0, 0, 0]) for picture in cross_fade(black, white, 4)]
    [0, 85, 170, 255]
    """
    return [np.rint((1 - t) * first + t * second).astype(np.uint8) for t in np.linspace(0, 1, steps)]


def apart(first: Pixels, second: Pixels) -> float:
    """Root mean squared difference of two pictures, in levels of 0 to 255."""
    return float(distances([first], [second])[0, 0])


def ratio(one: float | None, other: float | None) -> float | None:
    """How many times the other one is; None where that cannot be said.

    Examples
    --------
    >>> ratio(3.0, 2.0), ratio(3.0, 0.0), ratio(None, 2.0)
    (1.5, None, None)
    """
    return one / other if one is not None and other else None
