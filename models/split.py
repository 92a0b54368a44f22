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
Groups = NDArray[np.integer]  # the group number of each picture
Thumbnails = NDArray[np.float32]

NEAR_DUPLICATE = (
    0.995  # correlation after the mean picture is subtracted; two parts of one kind correlate less
)
BLOCK = 1024  # pictures that are compared with all others at a time, to bound the memory
MAX_HELDOUT_SHARE = 0.4  # of all pictures
LARGEST_GROUP_SHARE = 0.1  # of the pictures to hold out; larger groups are held out last
FLIP_TOLERANCE = 1.25  # times as far from the other pictures as the picture itself: still a valid flip
FLIP_PICTURES = 500  # that are flipped and compared, at most


def duplicate_groups(thumbnails: Thumbnails) -> NDArray[np.int32]:
    """Give pictures that show the same part in the same position the same group number.

    Each thumbnail is standardised, and the mean of all thumbnails is subtracted, because the background that
    all pictures of a fixed camera share says nothing about the part.  Two pictures are near-duplicates if
    the correlation of their differences from the mean exceeds 0.995.  Near-duplicates of near-duplicates
    belong to the same group.

    Parameters
    ----------
    thumbnails : float32 (N, 1024)
        Grey, 32 x 32 px.

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
    """Choose about `count` pictures to hold out; the others are for training.

    The digests of the files decide, so that neither the order nor the names of the files matter.  A duplicate
    group stays on one side, training or held out:

    - small groups are held out first.  A large group repeats one part, which training would miss;
    - a group that would bring the held-out pictures above 40 % of all pictures is used for training;
    - if less than half of `count` is held out this way, single pictures are added up to `count`.  Only then
      can a group lie on both sides.

    Parameters
    ----------
    digests : sequence of str
        The sha256 of each picture's file, hex.
    groups : int (N,)
        Duplicate groups.
    count : int

    Returns
    -------
    training, heldout : int (n,), (h,)
        The numbers of the pictures, sorted.
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

    Groups of equal rank are sorted by a hash of all their digests.  Their smallest digest would not do: it
    tends to be smaller in a larger group.
    """
    small = max(1, int(LARGEST_GROUP_SHARE * count))
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(int(group), []).append(index)

    def turn(rows: list[int]) -> tuple[int, str]:
        joined = "".join(sorted(digests[i] for i in rows))
        return max(small, len(rows)), hashlib.sha256(joined.encode()).hexdigest()

    return sorted(members.values(), key=turn)


def cross_fitting_groups(groups: Groups) -> NDArray[np.int64]:
    """Give pictures that are left out together in cross-fitting the same group number.

    These are the duplicate groups.  A group of at least half of all pictures is dissolved, so that each of
    its pictures is a group of its own: without it too few pictures would be left to compare with.

    Parameters
    ----------
    groups : int (N,)
        Duplicate groups.

    Returns
    -------
    int64 (N,)
    """
    _, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    single = (2 * sizes >= len(groups))[members]
    found = np.asarray(groups, np.int64).copy()
    found[single] = found.max() + 1 + np.arange(single.sum())
    return found


def valid_flips(thumbnails: Thumbnails, groups: Groups) -> tuple[bool, bool, bool]:
    """Tell of three flips if normal pictures stay normal: left-right, up-down, and transposed.

    A flip is valid if flipped pictures lie at most 1.25 times as far from their nearest other picture as the
    pictures themselves do.  Near-duplicates do not count as other pictures, unless all are near-duplicates.

    Parameters
    ----------
    thumbnails : float32 (N, 1024)
        Grey, 32 x 32 px.
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
    """Return the median of `1 − correlation` with the nearest other picture; pairs in `same` do not count."""
    gap = 1 - pictures @ others.T
    gap[same] = np.inf
    nearest = gap.min(1)
    finite = nearest[np.isfinite(nearest)]
    return float(np.median(finite)) if finite.size else 0.0
