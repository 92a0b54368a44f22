"""A transition from one picture to another, the sharpness of its steps, and the plain cross-fade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.generation.memorisation import distances
from inspector.imaging.sharpness import sharpness
from inspector.types import Pixels


@dataclass(frozen=True)
class Transition:
    """Pictures from A to B, both ends included, and the sharpness of each.

    Attributes
    ----------
    pictures : tuple of uint8 (H, W, 3)
        At least two.
    sharpness : tuple of float
        Variance of the Laplacian; higher is sharper.
    """

    pictures: tuple[Pixels, ...]
    sharpness: tuple[float, ...]

    @classmethod
    def of(cls, pictures: Sequence[Pixels]) -> Transition:
        """Measure the sharpness of these pictures."""
        return cls(tuple(pictures), tuple(map(sharpness, pictures)))

    @property
    def inner_sharpness(self) -> float | None:
        """Mean sharpness of the pictures between the ends; None if there are only the ends."""
        return float(np.mean(self.sharpness[1:-1])) if len(self.sharpness) > 2 else None

    @property
    def kept(self) -> float | None:
        """`inner_sharpness` as a share of the mean sharpness of the ends; None if the ends are flat."""
        ends = (self.sharpness[0] + self.sharpness[-1]) / 2
        return self.inner_sharpness / ends if self.inner_sharpness is not None and ends > 0 else None

    @property
    def shares(self) -> tuple[float, ...]:
        """Sharpness of each picture between the ends, as a share of theirs, interpolated to its place.

        Empty if both ends are flat.
        """
        first, last = self.sharpness[0], self.sharpness[-1]
        if first + last == 0:
            return ()
        expected = np.maximum(np.linspace(first, last, len(self.sharpness)), np.finfo(float).tiny)
        return tuple((self.sharpness / expected)[1:-1].tolist())

    @property
    def length(self) -> float:
        """Difference of the first and the last picture, in levels of 0 to 255."""
        return rms_difference(self.pictures[0], self.pictures[-1])

    def end_difference(self, other: Transition) -> float:
        """Return the larger difference of the first or of the last pictures, in levels of 0 to 255."""
        return max(rms_difference(self.pictures[end], other.pictures[end]) for end in (0, -1))


def lead(one: Transition, other: Transition) -> tuple[float, float | None] | None:
    """Return the lead in sharpness that `one` keeps over `other`, and its variation along the way.

    Parameters
    ----------
    one, other : Transition
        Of the same number of pictures.

    Returns
    -------
    (float, float or None), or None
        Mean and standard deviation of the differences of `shares`; the latter is None with a single picture
        between the ends.  None if a transition has no shares.
    """
    if not one.shares or not other.shares:
        return None
    differences = np.subtract(one.shares, other.shares)
    return float(differences.mean()), float(differences.std(ddof=1)) if differences.size > 1 else None


def cross_fade(first: Pixels, second: Pixels, steps: int) -> list[Pixels]:
    """Mix two pictures pixel by pixel, `(1 − t)·first + t·second`, in equal steps with both ends.

    Parameters
    ----------
    first, second : uint8 (H, W, 3)
        Pictures of the same size.
    steps : int
        At least 2.

    Examples
    --------
    >>> black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    >>> [int(picture[0, 0, 0]) for picture in cross_fade(black, white, 4)]
    [0, 85, 170, 255]
    """
    return [np.rint((1 - t) * first + t * second).astype(np.uint8) for t in np.linspace(0, 1, steps)]


def rms_difference(first: Pixels, second: Pixels) -> float:
    """Return the root mean squared difference of two pictures, in levels of 0 to 255."""
    return float(distances([first], [second])[0, 0])


def ratio(one: float | None, other: float | None) -> float | None:
    """Return `one / other`; None if a number is missing or `other` is 0.

    Examples
    --------
    >>> ratio(3.0, 2.0), ratio(3.0, 0.0), ratio(None, 2.0)
    (1.5, None, None)
    """
    return one / other if one is not None and other else None
