"""Groups near-duplicates, and splits pictures into training and held-out ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.dataset import THUMBNAIL

Rows = NDArray[np.intp]
Groups = NDArray[np.integer]  # of each picture the number of its group
Thumbnails = NDArray[np.float32]

NEAR_DUPLICATE = 0.995  # correlation, without the set's mean picture; another part of the same kind has less
BLOCK = 1024  # pictures that are compared with all others at a time, to bound the memory
MAX_HELDOUT_SHARE = 0.4
LARGEST_GROUP_SHARE = 0.1  # of the held-out pictures
FLIP_TOLERANCE = 1.25  # a flipped picture may be so much farther from the others than the picture itself
FLIP_PICTURES = 500  # are compared


def duplicate_groups(thumbnails: Thumbnails) -> NDArray[np.int32]:
    """Give pictures that show the same part in the same position the same group number.

    Each thumbnail is standardised, and the set's mean is subtracted: the background that all pictures of a
    fixed camera share says nothing.  Pictures whose rest correlates above 0.995 are near-duplicates, and so
    are the near-duplicates of near-duplicates.

    Parameters
    ----------
    thumbnails : float32 (N, 1024)

    Returns
    -------
    int32 (N,)
    """
    flat = _standardised(thumbnails)
    rest = _standardised(flat - flat.mean(0))
    pairs = []
    for start in range(0, len(rest), BLOCK):
        near = np.argwhere(rest[start : start + BLOCK] @ rest.T > NEAR_DUPLICATE)
        near[:, 0] += start
        pairs.append(near)
    rows, columns = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(rest), len(rest)))
    groups: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return groups


def _standardised(rows: Thumbnails) -> Thumbnails:
    """Bring each row to mean 0 and length 1."""
    centred = rows - rows.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6))


def split(digests: Sequence[str], groups: Groups, count: int) -> tuple[Rows, Rows]:
    """Hold out about `count` pictures, and train on the others.

    The digests of the contents decide, so that neither the order nor the names of the files matter.  A
    duplicate group stays on one side:

    - small groups are held out first; large ones repeat one part, and training would miss it;
    - a group that would bring the held-out pictures above 40 % trains;
    - if less than half of `count` can be held out this way, single pictures fill up the rest.

    Parameters
    ----------
    digests : sequence of str
        Of each picture's file, hex.
    groups : int (N,)
        Duplicate groups.
    count : int

    Returns
    -------
    training, heldout : int (n,), (h,)
        Rows, sorted.
    """
    n = len(digests)
    limit = int(MAX_HELDOUT_SHARE * n)
    heldout: list[int] = []
    for group in _in_turn(digests, groups, count):
        if len(heldout) >= count:
            break
        if len(heldout) + len(group) <= limit:
            heldout += group
    if len(heldout) < count / 2:
        others = sorted(set(range(n)) - set(heldout), key=lambda i: digests[i])
        heldout += others[: count - len(heldout)]
    chosen = np.zeros(n, bool)
    chosen[heldout] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _in_turn(digests: Sequence[str], groups: Groups, count: int) -> list[list[int]]:
    """Return the rows of each group: groups up to a tenth of `count` first, then larger ones by size.

    Groups of like rank are sorted by the hash of all their digests: sorted by the smallest digest, larger
    groups would come first.
    """
    small = max(1, int(LARGEST_GROUP_SHARE * count))
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(int(group), []).append(index)

    def turn(rows: list[int]) -> tuple[int, str]:
        joined = "".join(sorted(digests[i] for i in rows))
        return max(small, len(rows)), hashlib.sha256(joined.encode()).hexdigest()

    return sorted(members.values(), key=turn)


def cross_fitting_groups(groups: Groups, training: Rows, heldout: Rows) -> NDArray[np.int64]:
    """Give pictures that are left out together in cross-fitting the same group number.

    These are the duplicate groups, with two exceptions, whose pictures get a group each: a group with
    pictures on both sides of the split, and a group of half of all pictures or more, without which too little
    would be left to compare with.

    Parameters
    ----------
    groups : int (N,)
        Duplicate groups.
    training, heldout : int (n,), (h,)
        Rows.

    Returns
    -------
    int64 (N,)
    """
    numbers, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    both_sides = np.isin(numbers, groups[training]) & np.isin(numbers, groups[heldout])
    single = (both_sides | (2 * sizes >= len(groups)))[members]
    found = np.asarray(groups, np.int64).copy()
    found[single] = found.max() + 1 + np.arange(single.sum())
    return found


def valid_flips(thumbnails: Thumbnails, groups: Groups) -> tuple[bool, bool, bool]:
    """Return whether left-right, up-down and transposed normal pictures are normal, too.

    A flip is valid if flipped pictures lie at most 1.25 times as far from their nearest other picture as the
    pictures themselves do.  Near-duplicates do not count as other pictures, unless all are near-duplicates.

    Parameters
    ----------
    thumbnails : float32 (N, 1024)
    groups : int (N,)
        Duplicate groups.
    """
    pick = np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), FLIP_PICTURES)).astype(int)
    numbers = groups[pick]
    flat = _standardised(thumbnails[pick])
    squares = flat.reshape(-1, THUMBNAIL, THUMBNAIL)
    same = numbers[:, None] == numbers[None, :]
    if same.all():
        same = np.eye(len(numbers), dtype=np.bool_)
    limit = FLIP_TOLERANCE * _median_distance(flat, flat, same) + 1e-6
    flipped = (squares[:, :, ::-1], squares[:, ::-1], squares.transpose(0, 2, 1))
    left, up, turn = (
        _median_distance(pictures.reshape(len(flat), -1), flat, same) <= limit for pictures in flipped
    )
    return left, up, turn


def _median_distance(pictures: Thumbnails, others: Thumbnails, same: NDArray[np.bool_]) -> float:
    """Median of `1 − correlation` with the nearest other picture; pairs in `same` (n, n) do not count."""
    gap = 1 - pictures @ others.T
    gap[same] = np.inf
    nearest = gap.min(1)
    finite = nearest[np.isfinite(nearest)]
    return float(np.median(finite)) if finite.size else 0.0
