"""Landmarks: the codes of good pictures that a kernel distance is taken to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PROJECTED = 24  # dimensions in which candidates are compared
CANDIDATES = 150_000  # places, evenly spread over all pictures


@dataclass(frozen=True)
class Landmarks:
    """Chosen codes, and whose they are.

    Attributes
    ----------
    codes : Tensor (m, d)
    owners : Tensor (m,)
        The group of pictures from which each comes.
    reach : float
        Median squared distance of codes to the nearest landmark of another group.
    """

    codes: Tensor
    owners: Tensor
    reach: float

    def own(self, groups: Tensor) -> Tensor:
        """Mark the landmarks that come from pictures of these groups: (N,) to bool (N, m)."""
        return self.owners[None] == groups[:, None]


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
        Draws the projection and the first landmark.

    References
    ----------
    T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
    Science 38, 1985; random projections as in K. Roth et al., "Towards Total Recall in Industrial
    Anomaly Detection", CVPR 2022.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = codes.permute(0, 2, 3, 1).reshape(-1, codes.shape[1])  # (n·h·w, d)
    owners = groups.repeat_interleave(codes.shape[2] * codes.shape[3])
    if len(rows) > CANDIDATES:
        pick = torch.randperm(len(rows), generator=generator)[:CANDIDATES]
        rows, owners = rows[pick], owners[pick]
    chosen = _farthest(_projected(rows, generator), min(count, len(rows)), generator)
    landmarks, whose = rows[chosen], owners[chosen]
    return Landmarks(landmarks, whose, _reach(rows, owners, landmarks, whose, generator))


def _projected(rows: Tensor, generator: torch.Generator) -> Tensor:
    d = rows.shape[1]
    if d <= PROJECTED:
        return rows
    projection = torch.randn(d, PROJECTED, generator=generator) / PROJECTED**0.5
    return torch.matmul(rows, projection)


def _farthest(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Row numbers of a greedy k-center choice."""
    squares = rows.square().sum(1)
    latest = int(torch.randint(len(rows), (1,), generator=generator))
    nearest = torch.full((len(rows),), torch.inf)
    chosen = [latest]
    for _ in range(count - 1):
        distance = torch.addmv(squares + squares[latest], rows, rows[latest], alpha=-2)
        torch.minimum(nearest, distance, out=nearest)
        latest = int(nearest.argmax())
        chosen.append(latest)
    return torch.tensor(chosen)


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
