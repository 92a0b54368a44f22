"""What is known of each place of a picture, as a row of numbers: its light, or its codes."""

from __future__ import annotations

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.inspection.memory_bank import widest

# Of a row, grid after grid: places along each side, and numbers for each place.
Shape = tuple[tuple[int, int], ...]

LIGHT: Shape = ((16, 5), (12, 5), (8, 5))  # brightness, and differences of neighbours in four directions
CODES: Shape = ((16, 16), (16, 16))  # of the fine codes, and of those at half the size
LEAST_BRIGHTNESS = 0.05  # a share of the picture's mean; less is dark
USUAL_DIFFERENCE = 0.03  # likewise; what noise and focus change between neighbours counts little below it


def sizes(shape: Shape) -> list[int]:
    """Of how many numbers each grid is."""
    return [numbers * places**2 for places, numbers in shape]


def light(x: Tensor) -> Tensor:
    """Log brightness of each place, and log mean differences of its pixels to their neighbours.

    Both are relative to the picture's mean brightness.  The neighbours are those to the left, above, above
    left and above right.

    Parameters
    ----------
    x : Tensor (N, 3, H, W)
        0 to about 1.

    Returns
    -------
    Tensor (N, 2320)
        Grid after grid, each with the brightness of all its places first, then each direction.
    """
    thirds = x.new_full((1, x.shape[1]), 1 / x.shape[1])  # ONNX Runtime takes five times as long for a mean
    grey = torch.matmul(thirds, x.flatten(2)).reshape(-1, 1, *x.shape[-2:])  # (N, 1, H, W)
    grids = [places for places, _ in LIGHT]
    means = torch.cat([_means(each, grids) for each in (grey, *_differences(grey))], 1)  # (N, 5, 36, 36)
    whole = means[:, :1, : grids[0], : grids[0]].mean((2, 3), keepdim=True).clamp_min(1e-3)
    brightness = torch.log((means[:, :1] / whole).clamp_min(LEAST_BRIGHTNESS))
    edges = torch.log(means[:, 1:] / whole + USUAL_DIFFERENCE)
    values = torch.cat([brightness, edges], 1)
    starts = np.cumsum([0, *grids])
    blocks = [slice(start, end) for start, end in itertools.pairwise(starts.tolist())]
    return torch.cat([values[:, :, here, here].flatten(1) for here in blocks], 1)


class CodeNumbers(nn.Module):
    """Codes of each place along the 16 directions in which those of good pictures differ most.

    Parameters
    ----------
    fine : Tensor (n, d, h, w)
        Codes of good pictures.
    wide : Tensor (n, d, h', w')
        Those of the same pictures at half their size.
    """

    fine_axes: Tensor
    wide_axes: Tensor

    def __init__(self, fine: Tensor, wide: Tensor) -> None:
        super().__init__()
        for name, codes, (_, numbers) in zip(("fine", "wide"), (fine, wide), CODES, strict=True):
            rows = codes.permute(0, 2, 3, 1).reshape(-1, codes.shape[1])
            self.register_buffer(f"{name}_axes", widest(rows, numbers).T[:, :, None, None].contiguous())

    def forward(self, fine: Tensor, wide: Tensor) -> Tensor:
        """Codes (N, d, h, w) and (N, d, h', w') to (N, 8192)."""
        return torch.cat(
            [
                F.conv2d(_means(codes, [places]), axes).flatten(1)
                for codes, axes, (places, _) in zip(
                    (fine, wide), (self.fine_axes, self.wide_axes), CODES, strict=True
                )
            ],
            1,
        )


def _means(values: Tensor, grids: list[int]) -> Tensor:
    """Means over the places of square grids: (N, c, H, W) to (N, c, P, P), P places in all grids together.

    Only the blocks along the diagonal belong to one grid.
    """
    down, along = (_windows(side, grids).to(values.device) for side in values.shape[-2:])
    return torch.matmul(torch.matmul(down, values), along.T)


def _windows(side: int, grids: list[int]) -> Tensor:
    """How much each of so many pixels counts in the mean of each place: (P, side), grid after grid.

    A pixel on the border of two places counts in both, by its share.
    """
    pixels = np.arange(side)
    found = []
    for places in grids:
        edges = np.arange(places + 1) * side / places
        low, high = edges[:-1, None], edges[1:, None]
        found.append(np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, 1) * places / side)
    return torch.from_numpy(np.concatenate(found).astype(np.float32))


def _differences(grey: Tensor) -> list[Tensor]:
    """(N, 1, H, W) to each pixel's distances from four neighbours, of that shape each."""
    height, width = grey.shape[-2:]
    padded = F.pad(grey, (1, 1, 1, 0), mode="replicate")  # a column on each side, and a row above
    left, above = padded[..., 1:, :width], padded[..., :height, 1:-1]
    above_left, above_right = padded[..., :height, :width], padded[..., :height, 2:]
    return [(grey - each).abs() for each in (left, above, above_left, above_right)]
