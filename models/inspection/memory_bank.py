"""The memory bank: vectors of normal patches, and the distance of other patches to the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.inspection.normal_model import NormalModel
from models.inspection.principal import principal_axes

DIRECTIONS = 24  # of largest variance, along which vectors are compared
BLOCK = 256  # entries that are compared at a time: their distances stay in the processor's cache
CANDIDATES = 150_000  # patches, drawn from all pictures, that the coreset is chosen from
FOLLOWED, MOST_AT_ONCE = 1024, 32  # candidates whose distances stay up to date, and for how many choices


class Coreset(NamedTuple):
    """Vectors that represent all others.

    Attributes
    ----------
    vectors : Tensor (m, d)
    pictures : int64 (m,)
        The picture that each of them comes from.
    reach : float
        Median squared distance of all vectors to the nearest chosen one of another duplicate group.
    """

    vectors: Tensor
    pictures: Tensor
    reach: float


class Block(nn.Module):
    """Some entries r of the bank as columns (k, b), and their squared lengths ‖r‖² (b,)."""

    entries: Tensor
    squares: Tensor

    def __init__(self, entries: Tensor, squares: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("entries", entries)
        self.register_buffer("squares", entries.square().sum(0) if squares is None else squares)

    def without(self, left_out: Tensor) -> Block:
        """Return a block in which some of the entries, bool (b,), are infinitely far from everything."""
        return Block(self.entries, self.squares.masked_fill(left_out, torch.inf))

    def forward(self, z: Tensor) -> Tensor:
        """Vectors (n, k) to the least ‖z − r‖² − ‖z‖² over the entries, (n, 1)."""
        return torch.addmm(self.squares, z, self.entries, alpha=-2).amin(1, keepdim=True)


class MemoryBank(NormalModel):
    """Kernel distance of each patch to the nearest entry.

    The squared MMD between two single vectors is `k(z, z) + k(r, r) − 2·k(z, r) = 2·(1 − k(z, r))`, with the
    inverse multiquadratic `k(z, r) = C / (C + ‖z − r‖²)`.  The distance is `−log k = log(1 + ‖z − r‖² / C)`,
    which has the same nearest entry, and does not saturate.

    Parameters
    ----------
    coreset : Coreset
        The vectors that become the entries of the bank.
    middle : Tensor (d,)
        Subtracted from every vector, so that differences lose fewer digits.
    axes : Tensor (d, k)
        The directions along which vectors are compared.
    blocks : iterable of Block
        All entries.
    """

    middle: Tensor
    axes: Tensor

    def __init__(self, coreset: Coreset, middle: Tensor, axes: Tensor, blocks: Iterable[Block]) -> None:
        super().__init__()
        self.coreset = coreset
        self.register_buffer("middle", middle)
        self.register_buffer("axes", axes)
        self.blocks = nn.ModuleList(blocks)

    @classmethod
    def of(cls, coreset: Coreset) -> Self:
        """Make a bank of the vectors of a coreset."""
        middle, axes = coreset.vectors.mean(0), principal_axes(coreset.vectors, DIRECTIONS)
        along = torch.split(torch.matmul(coreset.vectors - middle, axes), BLOCK)  # (b, k) each
        return cls(coreset, middle, axes, (Block(some.T.contiguous()) for some in along))

    @classmethod
    def learn(cls, vectors: Tensor, groups: NDArray[np.integer], seed: int, *, size: int) -> Self:
        """Make a bank of at most `size` vectors of normal pictures.

        Parameters
        ----------
        vectors : Tensor (n, d, h, w)
        groups : int (n,)
            Pictures of one duplicate group have the same number.
        seed : int
            Draws the candidates and the first entry.
        size : int
        """
        return cls.of(choose(vectors, groups, size, seed))

    def without(self, pictures: NDArray[np.bool_]) -> Self:
        """Return a bank in which the entries of these pictures lie infinitely far away."""
        left_out = torch.from_numpy(pictures)[self.coreset.pictures].to(self.middle.device)  # (m,)
        pairs = zip(self._blocks(), torch.split(left_out, BLOCK), strict=True)
        blocks = (block.without(some) for block, some in pairs)
        return type(self)(self.coreset, self.middle, self.axes, blocks)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, d, h, w) to distances (N, 1, h, w)."""
        n, d, h, w = vectors.shape
        z = torch.matmul(vectors.permute(0, 2, 3, 1).reshape(-1, d) - self.middle, self.axes)  # (N·h·w, k)
        nearest = torch.cat([block(z) for block in self._blocks()], 1).amin(1)
        squared = (nearest + z.square().sum(1)).clamp_min(0)
        return torch.log1p(squared / self.coreset.reach).reshape(n, h, w).unsqueeze(1)

    def _blocks(self) -> list[Block]:
        return list(self.blocks)  # type: ignore[arg-type]  # they are Blocks


def choose(vectors: Tensor, groups: NDArray[np.integer], size: int, seed: int) -> Coreset:
    """Choose vectors that leave no vector far from all of them (greedy k-center).

    Each choice is the vector that is farthest from all earlier choices.  Rare but normal patches are
    represented this way; a random choice would mostly repeat the commonest patch.

    Takes vectors (n, d, h, w) of pictures with group numbers (n,).

    References
    ----------
    T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
    Science 38, 1985; for patches, K. Roth et al., "Towards Total Recall in Industrial Anomaly Detection",
    CVPR 2022.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = vectors.permute(0, 2, 3, 1).reshape(-1, vectors.shape[1])  # (n·h·w, d)
    pictures = torch.arange(len(vectors)).repeat_interleave(vectors.shape[2] * vectors.shape[3])
    if len(rows) > CANDIDATES:
        pick = torch.randperm(len(rows), generator=generator)[:CANDIDATES]
        rows, pictures = rows[pick], pictures[pick]
    along = torch.matmul(rows, principal_axes(rows, DIRECTIONS))
    chosen = _farthest(along, min(size, len(rows)), generator)
    reach = _reach(rows, torch.from_numpy(np.asarray(groups))[pictures], chosen, generator)
    return Coreset(rows[chosen], pictures[chosen], reach)


def _farthest(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the row numbers of a greedy k-center choice.

    Distances to the nearest chosen row only fall.  So only the farthest rows are kept up to date, until none
    of them is as far as the farthest of the others was.  Then all distances are computed again.
    """
    squares = rows.square().sum(1)
    nearest = torch.full((len(rows),), torch.inf)
    chosen = [int(torch.randint(len(rows), (1,), generator=generator))]
    known = 0  # the number of choices that `nearest` accounts for
    while len(chosen) < count:
        torch.minimum(nearest, _to_nearest(rows, squares, chosen[known:]), out=nearest)
        known = len(chosen)
        far, which = nearest.topk(min(FOLLOWED, len(rows)))
        least = far[-1].clone() if len(which) < len(rows) else torch.tensor(-torch.inf)
        few, few_squares = rows[which], squares[which]
        while len(chosen) < min(count, known + MOST_AT_ONCE):
            farthest = int(far.argmax())
            if far[farthest] < least:
                break
            chosen.append(int(which[farthest]))
            torch.minimum(far, _to_nearest(few, few_squares, [farthest]), out=far)
    return torch.tensor(chosen)


def _to_nearest(rows: Tensor, squares: Tensor, chosen: list[int]) -> Tensor:
    """Squared distance of each row (n, k) to the nearest of the chosen rows, (n,)."""
    return torch.addmm(squares[chosen], rows, rows[chosen].T, alpha=-2).amin(1) + squares


def _reach(rows: Tensor, groups: Tensor, chosen: Tensor, generator: torch.Generator) -> float:
    """Median squared distance of 2,000 rows to the nearest chosen row of another group."""
    pick = torch.randperm(len(rows), generator=generator)[:2000]
    distances = torch.cdist(rows[pick], rows[chosen]).square()
    same_group = groups[pick][:, None] == groups[chosen][None]
    nearest = distances.masked_fill(same_group, torch.inf).min(1).values
    finite = nearest[nearest.isfinite()]
    return max(float((finite if len(finite) else distances.flatten()).median()), 1e-6)
