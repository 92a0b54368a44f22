"""Landmarks: codes of good pictures, and the kernel distance to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

COMPARED = 24  # directions along which codes are compared
BLOCK = 256  # landmarks that places are compared with at a time: so few distances stay in the cache
CANDIDATES = 150_000  # places, evenly spread over all pictures
FOLLOWED, MOST_AT_ONCE = 1024, 32  # candidates that are followed by themselves, for at most so many choices


@dataclass(frozen=True)
class Landmarks:
    """Chosen codes, and whose they are.

    Attributes
    ----------
    codes : Tensor (m, d)
    owners : Tensor (m,)
        The group of pictures from which each comes.
    pictures : Tensor (m,)
        The row of the picture itself.
    reach : float
        Median squared distance of codes to the nearest landmark of another group.
    """

    codes: Tensor
    owners: Tensor
    pictures: Tensor
    reach: float

    def of_groups(self, groups: Tensor) -> Tensor:
        """Mark the landmarks that come from pictures of these groups: (N,) to bool (N, m)."""
        return self.owners[None] == groups[:, None]

    def of_pictures(self, rows: Tensor) -> Tensor:
        """Mark the landmarks that come from these pictures alone: (N,) to bool (N, m)."""
        return self.pictures[None] == rows[:, None]


class Block(nn.Module):
    """Some of the landmarks r as columns (k, b), and their ‖r‖² (b,)."""

    landmarks: Tensor
    squares: Tensor

    def __init__(self, landmarks: Tensor) -> None:
        super().__init__()
        self.register_buffer("landmarks", landmarks)
        self.register_buffer("squares", landmarks.square().sum(0))

    def nearest(self, z: Tensor, squares: Tensor) -> Tensor:
        """(n, k) to the least ‖z − r‖² − ‖z‖² where the ‖r‖² are these (b,), (n, 1)."""
        return torch.addmm(squares, z, self.landmarks, alpha=-2).amin(1, keepdim=True)


class KernelDistance(nn.Module):
    """Distance of the code at each place to the nearest code of a good picture, by the kernel.

    The squared MMD between two single codes is `k(z, z) + k(r, r) − 2·k(z, r) = 2·(1 − k(z, r))`, with the
    inverse multiquadratic `k(z, r) = C / (C + ‖z − r‖²)`.  The landmark that is nearest by it is nearest by
    every kernel that falls with distance, and `−log k = log(1 + ‖z − r‖² / C)` says the same on a scale that
    does not saturate.

    Parameters
    ----------
    landmarks : Tensor (m, d)
    reach : float
        C, the squared distance that counts as near.

    Notes
    -----
    Distances are measured along the directions in which landmarks differ most: 24 of the 64 of fine codes
    tell good places from others as well as all of them do.
    """

    middle: Tensor
    axes: Tensor

    def __init__(self, landmarks: Tensor, reach: float) -> None:
        super().__init__()
        self.register_buffer("middle", landmarks.mean(0))  # taken out: smaller numbers cancel less
        self.register_buffer("axes", widest(landmarks, COMPARED))  # (d, k)
        along = torch.matmul(landmarks - self.middle, self.axes)
        self.blocks = nn.ModuleList(Block(some.T.contiguous()) for some in torch.split(along, BLOCK))
        self.reach = reach

    @property
    def squares(self) -> tuple[Tensor, ...]:
        """‖r‖² of the landmarks of each block, (b,); infinite where one does not count."""
        return tuple(block.squares for block in self._blocks())

    @squares.setter
    def squares(self, squares: Sequence[Tensor]) -> None:
        """Reckon with others of the same shapes from now on."""
        for block, each in zip(self._blocks(), squares, strict=True):
            block.squares = each

    def forward(self, codes: Tensor, own: Tensor | None = None) -> Tensor:
        """(N, d, h, w) to (N, 1, h, w); rises as a code leaves the landmarks.

        Landmarks that are marked in `own`, bool (N, m), do not count for that picture.
        """
        n, d, h, w = codes.shape
        z = torch.matmul(codes.permute(0, 2, 3, 1).reshape(-1, d) - self.middle, self.axes)  # (N·h·w, k)
        if own is None:
            nearest = self._nearest(z, self.squares)
        else:  # each picture by itself
            rows = zip(torch.split(z, h * w), own, strict=True)
            nearest = torch.cat([self._nearest(each, without(self.squares, mine)) for each, mine in rows])
        nearest = (nearest + z.square().sum(1)).clamp_min(0)
        return torch.log1p(nearest / self.reach).reshape(n, h, w).unsqueeze(1)

    def _nearest(self, z: Tensor, squares: Sequence[Tensor]) -> Tensor:
        """(n, k) to the least ‖z − r‖² − ‖z‖² of landmarks r with these ‖r‖², (n,)."""
        pairs = zip(self._blocks(), squares, strict=True)
        return torch.cat([block.nearest(z, each) for block, each in pairs], 1).amin(1)

    def _blocks(self) -> list[Block]:
        return list(self.blocks)  # type: ignore[arg-type]  # they are Blocks


def without(squares: Sequence[Tensor], owned: Tensor) -> tuple[Tensor, ...]:
    """Make the landmarks that are marked in `owned`, bool (m,), infinitely far, block by block."""
    pairs = zip(squares, torch.split(owned, BLOCK), strict=True)
    return tuple(each.masked_fill(marked, torch.inf) for each, marked in pairs)


def choose(codes: Tensor, groups: Tensor, count: int, seed: int) -> Landmarks:
    """Choose landmarks that leave no code far from all of them (greedy k-center).

    Each next landmark is the code that is farthest from those already chosen, so that rare but good
    places are represented too; landmarks drawn at random would mostly repeat the commonest place.

    Parameters
    ----------
    codes : Tensor (n, d, h, w)
        Of normal pictures.
    groups : Tensor (n,)
        Pictures that share one show the same thing.
    count : int
    seed : int
        Draws the candidates and the first landmark.

    References
    ----------
    T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
    Science 38, 1985; for codes of patches, K. Roth et al., "Towards Total Recall in Industrial Anomaly
    Detection", CVPR 2022.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = codes.permute(0, 2, 3, 1).reshape(-1, codes.shape[1])  # (n·h·w, d)
    pictures = torch.arange(len(codes)).repeat_interleave(codes.shape[2] * codes.shape[3])
    if len(rows) > CANDIDATES:
        pick = torch.randperm(len(rows), generator=generator)[:CANDIDATES]
        rows, pictures = rows[pick], pictures[pick]
    owners = groups[pictures]
    along = torch.matmul(rows, widest(rows, COMPARED))  # quicker to compare, and less of it is noise
    chosen = _farthest(along, min(count, len(rows)), generator)
    landmarks, whose = rows[chosen], owners[chosen]
    reach = _reach(rows, owners, landmarks, whose, generator)
    return Landmarks(landmarks, whose, pictures[chosen], reach)


def widest(rows: Tensor, count: int) -> Tensor:
    """Directions in which rows (n, d) differ most, as columns (d, count); all of them where d is small."""
    d = rows.shape[1]
    if d <= count:
        return torch.eye(d, dtype=rows.dtype, device=rows.device)
    axes: Tensor = torch.linalg.eigh(torch.cov(rows.T))[1]  # (d, d), the widest last
    return axes[:, -count:]


def _farthest(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Row numbers of a greedy k-center choice.

    Distances to the nearest chosen row only fall.  So the farthest rows are followed by themselves, until
    none of them is as far as the farthest of the others was; then all are brought up to date at once.
    """
    squares = rows.square().sum(1)
    nearest = torch.full((len(rows),), torch.inf)
    chosen = [int(torch.randint(len(rows), (1,), generator=generator))]
    known = 0  # so many of the chosen are in `nearest`
    while len(chosen) < count:
        torch.minimum(nearest, _to_nearest(rows, squares, chosen[known:]), out=nearest)
        known = len(chosen)
        far, which = nearest.topk(min(FOLLOWED, len(rows)))
        least = far[-1].clone() if len(which) < len(rows) else torch.tensor(-torch.inf)
        few, few_squares = rows[which], squares[which]
        while len(chosen) < min(count, known + MOST_AT_ONCE):
            place = int(far.argmax())
            if far[place] < least:
                break
            chosen.append(int(which[place]))
            torch.minimum(far, _to_nearest(few, few_squares, [place]), out=far)
    return torch.tensor(chosen)


def _to_nearest(rows: Tensor, squares: Tensor, chosen: list[int]) -> Tensor:
    """Squared distance of each row (n, k) to the nearest of some of them, (n,)."""
    return torch.addmm(squares[chosen], rows, rows[chosen].T, alpha=-2).amin(1) + squares


def _reach(
    rows: Tensor, owners: Tensor, landmarks: Tensor, whose: Tensor, generator: torch.Generator
) -> float:
    pick = torch.randperm(len(rows), generator=generator)[:2000]
    distances = torch.cdist(rows[pick], landmarks).square()
    foreign = distances.masked_fill(owners[pick][:, None] == whose[None], torch.inf)
    nearest = foreign.min(1).values
    finite = nearest[nearest.isfinite()]
    chosen = finite if len(finite) else distances.flatten()
    return max(float(chosen.median()), 1e-6)
