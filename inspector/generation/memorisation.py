"""Tests which generated pictures are memorised: nearly the same as a training picture.

Distances are `√(mean (a − b)²)` over all pixels and channels, in levels of 0 to 255, at the model's size.

A blurred picture is near to every picture, so a short distance alone is no sign of memorisation.  A picture
counts as memorised if it is nearer to a training picture than training pictures are to each other, in two
ways: by its distance, and by its distance divided by its median distance to all training pictures.

The limits of both numbers come from the training pictures, each compared with the others but not with itself.
With n training pictures, a limit is the k-th smallest number, k = max(1, ⌊0.05·(n + 1)⌋); an equal number
does not count.  So at most k/(n + 1) of new pictures of the same kind would count as memorised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.types import Pixels

Numbers = NDArray[np.float64]
Load = Callable[[int], Pixels]
Progress = Callable[[int, int], None]

CHANCE = 0.05
PROBES = 500  # training pictures, evenly spread, from which the limits are computed
_BLOCK = 16  # pictures held as floats at once: 25 MB at 256 x 256


@dataclass(frozen=True)
class Limits:
    """A picture with both numbers below these limits counts as memorised.

    Attributes
    ----------
    distance : float
        Distance to the nearest training picture, in levels.
    relative : float
        The same distance as a share of the median distance to all training pictures.
    chance : float
        Largest share of new pictures of the same kind that would count as memorised.
    """

    distance: float
    relative: float
    chance: float


@dataclass(frozen=True)
class Neighbours:
    """The nearest training picture of each sample.

    Attributes
    ----------
    nearest : int (n,)
        Number of the nearest training picture.
    distance : float64 (n,)
        Distance to that picture; lower is more alike.
    relative : float64 (n,)
        The same distance as a share of the median distance to all training pictures.
    limits : Limits or None
        None if no training picture differs from another.
    """

    nearest: NDArray[np.intp]
    distance: Numbers
    relative: Numbers
    limits: Limits | None

    @property
    def memorised(self) -> NDArray[np.bool_] | None:
        """True for each memorised sample, bool (n,); None without limits."""
        if self.limits is None:
            return None
        return (self.distance < self.limits.distance) & (self.relative < self.limits.relative)


def compare(
    samples: Sequence[Pixels], count: int, load: Load, progress: Progress | None = None
) -> Neighbours:
    """Find the nearest training picture of each sample.

    Parameters
    ----------
    samples : sequence of uint8 (H, W, 3)
    count : int
        Number of training pictures, at least 1.
    load : callable
        Returns a training picture, uint8 (H, W, 3), by its number; called at most twice per picture.
    progress : callable, optional
        Called as `progress(done, total)`.
    """
    probes = np.linspace(0, count - 1, min(count, PROBES)).astype(int)
    asked = [*samples, *(load(int(probe)) for probe in probes)]
    found = np.empty((len(asked), count))
    for start in range(0, count, _BLOCK):
        pictures = [load(number) for number in range(start, min(start + _BLOCK, count))]
        found[:, start : start + len(pictures)] = distances(asked, pictures)
        if progress:
            progress(start + len(pictures), count)
    own, among = found[: len(samples)], found[len(samples) :]
    nearest = own.argmin(axis=1)
    distance = own.min(axis=1)
    return Neighbours(nearest, distance, _share(distance, np.median(own, axis=1)), _limits(among))


def distances(left: Sequence[Pixels], right: Sequence[Pixels]) -> Numbers:
    """Return root mean squared differences of pictures, in levels, float64 (len(left), len(right)).

    Sums of whole numbers are exact, so the same picture has distance 0.

    Examples
    --------
    >>> black, grey = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 40, np.uint8)
    >>> distances([black], [black, grey]).tolist()
    [[0.0, 40.0]]
    """
    (columns,) = _blocks(right, len(right))
    rows = [_squares(block, columns) for block in _blocks(left, _BLOCK)]
    return np.asarray(np.sqrt(np.concatenate(rows) / columns.shape[1]))


def _squares(a: Numbers, b: Numbers) -> Numbers:
    """Return `‖a‖² + ‖b‖² − 2·a·b` of all pairs of rows."""
    return np.asarray(np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T)


def _blocks(pictures: Sequence[Pixels], size: int) -> Iterator[Numbers]:
    """Yield pictures as rows of floats, `size` at a time."""
    for start in range(0, len(pictures), size):
        block = np.stack(pictures[start : start + size])
        yield block.reshape(len(block), -1).astype(np.float64)  # (n, H, W, 3) -> (n, H·W·3)


def _limits(among: Numbers) -> Limits | None:
    """Compute limits from distances among training pictures; identical pictures count as one."""
    rows = [row[row > 0] for row in among]
    rows = [row for row in rows if row.size]
    if not rows:
        return None
    nearest = np.array([row.min() for row in rows])
    relative = nearest / [float(np.median(row)) for row in rows]
    rank = max(1, int(CHANCE * (len(rows) + 1)))
    distance, share = (float(np.sort(values)[rank - 1]) for values in (nearest, relative))
    return Limits(distance, share, rank / (len(rows) + 1))


def _share(distance: Numbers, median: Numbers) -> Numbers:
    """Return distance / median, or 0 where the median is 0."""
    return np.divide(distance, median, out=np.zeros_like(distance), where=median > 0)
