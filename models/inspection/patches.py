"""A picture as one row of numbers: brightness and edges, or embeddings, of each patch of regular grids."""

from __future__ import annotations

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.inspection.principal import principal_axes

# The grids of a row, one after the other: patches along each side, and numbers of each patch.
Grids = tuple[tuple[int, int], ...]

LIGHT_GRIDS: Grids = ((16, 5), (12, 5), (8, 5))  # brightness, and edges in four directions
EMBEDDING_GRIDS: Grids = (
    (16, 16),
    (16, 16),
)  # embeddings of the picture, and of the picture at half its size
LEAST_BRIGHTNESS = 0.05  # of the picture's mean: everything below counts as equally dark
USUAL_EDGE = 0.03  # of the picture's mean: edges from noise and focus stay below, and hardly count


def sizes(grids: Grids) -> list[int]:
    """Return how many numbers each grid has."""
    return [numbers * patches**2 for patches, numbers in grids]


def light_patches(x: Tensor) -> Tensor:
    """Compute log brightness and log mean edges of each patch.

    Both are relative to the picture's mean brightness.  An edge is the difference of a pixel to its
    neighbour to the left, above, above left or above right.

    Parameters
    ----------
    x : Tensor (N, 3, H, W)
        0 to about 1.

    Returns
    -------
    Tensor (N, 2320)
        Grid after grid; in each grid first the brightness of all patches, then each direction of edges.
    """
    thirds = x.new_full((1, x.shape[1]), 1 / x.shape[1])  # ONNX Runtime takes five times as long for a mean
    grey = torch.matmul(thirds, x.flatten(2)).reshape(-1, 1, *x.shape[-2:])  # (N, 1, H, W)
    sides = [patches for patches, _ in LIGHT_GRIDS]
    means = torch.cat([_means(each, sides) for each in (grey, *_edges(grey))], 1)  # (N, 5, 36, 36)
    whole = means[:, :1, : sides[0], : sides[0]].mean((2, 3), keepdim=True).clamp_min(1e-3)
    brightness = torch.log((means[:, :1] / whole).clamp_min(LEAST_BRIGHTNESS))
    edges = torch.log(means[:, 1:] / whole + USUAL_EDGE)
    values = torch.cat([brightness, edges], 1)
    starts = np.cumsum([0, *sides])
    blocks = [slice(start, end) for start, end in itertools.pairwise(starts.tolist())]
    return torch.cat([values[:, :, here, here].flatten(1) for here in blocks], 1)


class EmbeddingPatches(nn.Module):
    """Mean embeddings of each patch, along the 16 directions of largest variance.

    Parameters
    ----------
    embedding : Tensor (n, d, h, w)
        Embeddings of normal pictures.
    half_size : Tensor (n, d, h', w')
        Embeddings of the same pictures at half their size.
    """

    axes: Tensor
    half_size_axes: Tensor

    def __init__(self, embedding: Tensor, half_size: Tensor) -> None:
        super().__init__()
        for name, vectors, (_, numbers) in zip(
            ("axes", "half_size_axes"), (embedding, half_size), EMBEDDING_GRIDS, strict=True
        ):
            rows = vectors.permute(0, 2, 3, 1).reshape(-1, vectors.shape[1])  # (n·h·w, d)
            self.register_buffer(name, principal_axes(rows, numbers).T[:, :, None, None].contiguous())

    def forward(self, embedding: Tensor, half_size: Tensor) -> Tensor:
        """Embeddings (N, d, h, w) and (N, d, h', w') to (N, 8192)."""
        both = zip((embedding, half_size), (self.axes, self.half_size_axes), EMBEDDING_GRIDS, strict=True)
        return torch.cat(
            [F.conv2d(_means(vectors, [side]), axes).flatten(1) for vectors, axes, (side, _) in both], 1
        )


def _means(values: Tensor, sides: list[int]) -> Tensor:
    """Means over the patches of square grids: (N, c, H, W) to (N, c, P, P), with P patches in all grids.

    Only the blocks along the diagonal belong to one grid.
    """
    down, along = (_windows(side, sides).to(values.device) for side in values.shape[-2:])
    return torch.matmul(torch.matmul(down, values), along.T)


def _windows(length: int, sides: list[int]) -> Tensor:
    """Return the weight of each of `length` pixels in the mean of each patch: (P, length), grid after grid.

    A pixel on the border of two patches counts in both, by its share.
    """
    pixels = np.arange(length)
    found = []
    for side in sides:
        borders = np.arange(side + 1) * length / side
        low, high = borders[:-1, None], borders[1:, None]
        found.append(np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, 1) * side / length)
    return torch.from_numpy(np.concatenate(found).astype(np.float32))


def _edges(grey: Tensor) -> list[Tensor]:
    """Return each pixel's absolute difference to four neighbours, (N, 1, H, W) each."""
    height, width = grey.shape[-2:]
    padded = F.pad(grey, (1, 1, 1, 0), mode="replicate")  # a column on each side, and a row above
    left, above = padded[..., 1:, :width], padded[..., :height, 1:-1]
    above_left, above_right = padded[..., :height, :width], padded[..., :height, 2:]
    return [(grey - each).abs() for each in (left, above, above_left, above_right)]
