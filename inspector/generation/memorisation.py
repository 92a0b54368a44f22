"""Whether generated pictures copy training pictures: nearest ones, distances, and what counts as a copy.

Distances are `√(mean (a − b)²)` over all pixels and channels, in levels of 0 to 255, at the model's size.

A blurred picture is near to everything, so a short distance alone does not make a copy.  A copy is nearer
to one training picture than training pictures are to their nearest other, in two ways: by its distance,
and by its distance divided by its median distance to all training pictures.  How near is too near is taken
from the training pictures, each compared with the others but not with itself: with n of them, the limit of
either number is the k-th smallest, k = max(1, ⌊0.05·(n + 1)⌋), and equal is no copy.  A new picture of the
same kind would be taken for a copy in k/(n + 1) of cases at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float64]
Load = Callable[[int], Pixels]
Progress = Callable[[int, int], None]

CHANCE = 0.05
PROBES = 500  # training pictures, evenly spread, that the limits are taken from
_BLOCK = 16  # pictures that are floats at once: 25 MB at 256 x 256


@dataclass(frozen=True)
class Limits:
    """Below both of these a picture is a copy.

    Attributes
    ----------
    distance : float
        In levels.
    relative : float
        Share of the median distance to all training pictures.
    chance : float
        How often at most a new picture of the same kind lies below both.
    """

    distance: float
    relative: float
    chance: float


@dataclass(frozen=True)
class Resemblance:
    """How near samples are to training pictures.

    Attributes
    ----------
    nearest : int (n,)
        Number of the nearest training picture of each sample.
    distance : float64 (n,)
        To that picture; it falls with resemblance.
    relative : float64 (n,)
        The same, as a share of the median distance to all training pictures.
    limits : Limits or None
        None where no training picture differs from another, so that there is nothing to compare with.
    """

    nearest: NDArray[np.intp]
    distance: Numbers
    relative: Numbers
    limits: Limits | None

    @property
    def copies(self) -> NDArray[np.bool_] | None:
        """Which samples are copies, bool (n,); None where there are no limits."""
        if self.limits is None:
            return None
        return (self.distance < self.limits.distance) & (self.relative < self.limits.relative)


def compare(
    samples: Sequence[Pixels], count: int, load: Load, progress: Progress | None = None
) -> Resemblance:
    """Compare samples with training pictures.

    Parameters
    ----------
    samples : sequence of uint8 (H, W, 3)
    count : int
        How many training pictures there are, at least 1.
    load : callable
        Gives one of them, uint8 (H, W, 3), by its number; asked at most twice for each.
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
    return Resemblance(nearest, distance, _share(distance, np.median(own, axis=1)), _limits(among))


def distances(left: Sequence[Pixels], right: Sequence[Pixels]) -> Numbers:
    """Root mean squared differences of pictures, in levels: float64 (len(left), len(right)).

    Exact, as sums of whole numbers: the same picture has distance 0.

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
    """`‖a‖² + ‖b‖² − 2·a·b` of all pairs of rows."""
    return np.asarray(np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T)


def _blocks(pictures: Sequence[Pixels], size: int) -> Iterator[Numbers]:
    """Pictures as rows of floats, some at a time."""
    for start in range(0, len(pictures), size):
        block = np.stack(pictures[start : start + size])
        yield block.reshape(len(block), -1).astype(np.float64)  # (n, H, W, 3) -> (n, H·W·3)


def _limits(among: Numbers) -> Limits | None:
    """Limits from the distances among training pictures; a picture's copies are that picture."""
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
    """One by the other; 0 where both are 0."""
    return np.divide(distance, median, out=np.zeros_like(distance), where=median > 0)
