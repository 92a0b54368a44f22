"""Units of maps: a value of 1 is as far from the centre as normal pictures reach."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

HIGH_QUANTILE = 0.99
SMALLEST = 1e-6


class Units(nn.Module):
    """`(map − centre) / scale`.

    Parameters
    ----------
    centre, scale : Tensor
        Numbers, or maps (1, 1, h, w) of them.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, centre: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, 1, h, w) to the same shape."""
        return (maps - self.centre) / self.scale


def overall(maps: Tensor) -> Units:
    """Measure units over all patches of normal pictures: median, and distance to the 99th percentile."""
    middle, high = np.quantile(maps.numpy(), [0.5, HIGH_QUANTILE])
    return Units(torch.tensor(float(middle)), torch.tensor(float(max(high - middle, SMALLEST))))


def by_position(maps: Tensor) -> Units:
    """Measure units of normal pictures' maps (n, 1, h, w) at each position: mean and standard deviation.

    Both are smoothed over 9 x 9 positions.  Half of the overall standard deviation is added, so that
    positions that hardly vary do not decide alone.
    """
    smooth = nn.AvgPool2d(9, 1, 4, count_include_pad=False)
    deviation = smooth(maps.var(0, keepdim=True, unbiased=False)).sqrt()
    return Units(smooth(maps.mean(0, keepdim=True)), deviation + 0.5 * maps.std() + SMALLEST)
