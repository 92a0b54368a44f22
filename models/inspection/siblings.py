"""Siblings: pictures of the same part, under other light or a little moved.

A picture whose sibling is among the good ones looks more normal than a picture of a new part does.  So
siblings must be left out together.  They are told by a gap: a sibling lies much nearer than other pictures.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from models.inspection.principal import principal_axes

PATCHES, DIRECTIONS = 24, 24  # patches of a picture that are looked for in others, along so many directions
FOUND = 0.75  # of these patches have a counterpart within the distance of two pictures
USUAL = 14  # a picture has fewer siblings: the distance to this neighbour is that of other parts
# Of the usual distance.  The closest pictures of one tile lie at .14 to .55, of two screws at .32 to .56.
NEAR = 0.38


def sibling_groups(embeddings: Tensor, groups: NDArray[np.integer], seed: int) -> NDArray[np.int64]:
    """Give siblings and near-duplicates the same group number.

    The distance of two pictures is the 75 % quantile of the distances of 24 patches of one to the nearest
    patches of the other, the smaller of both ways.  Two pictures are siblings if it is less than .38 of the
    distance of either one to its fourteenth neighbour.

    Parameters
    ----------
    embeddings : Tensor (n, d, h, w)
    groups : int (n,)
        Duplicate groups.
    seed : int
        Draws the patches.
    """
    n = len(embeddings)
    rows = embeddings.permute(0, 2, 3, 1).flatten(1, 2)  # (n, h·w, d)
    along = torch.matmul(rows, principal_axes(rows.flatten(0, 1), DIRECTIONS))
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(along.shape[1], generator=generator)[:PATCHES]
    looked_for = along[:, some].flatten(0, 1)  # (n·patches, k)
    squares = looked_for.square().sum(1, keepdim=True)
    far = np.empty((n, n), np.float32)
    for j, among in enumerate(along):
        nearest = torch.addmm(among.square().sum(1)[None], looked_for, among.T, alpha=-2).amin(
            1, keepdim=True
        )
        far[:, j] = (nearest + squares).clamp_min(0).sqrt().reshape(n, -1).quantile(FOUND, 1).numpy()
    far = np.minimum(far, far.T)
    np.fill_diagonal(far, np.inf)
    usual = np.sort(far, 1)[:, min(USUAL, n // 3)]
    related = far < NEAR * np.minimum(usual[:, None], usual[None])
    related |= groups[:, None] == groups[None]
    return np.asarray(connected_components(related, directed=False)[1], np.int64)
