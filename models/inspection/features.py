"""Features of pictures: everything that the components of the score read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from models.inspection.network import InspectionNetwork, cells_of, residual_means
from models.inspection.patches import light_patches


class Features(NamedTuple):
    """Features of N pictures; w is the width of the trunk, d the dimension of the latent."""

    x: Tensor  # (N, 3, H, W): the pictures, brought to the model's brightness
    s4: Tensor  # (N, w, H/4, W/4)
    s8: Tensor  # (N, 2w, H/8, W/8)
    embedding: Tensor  # (N, 64, H/8, W/8)
    half_size_embedding: Tensor  # (N, 64, H/16, W/16): embedding of the picture at half its size
    latent: Tensor  # (N, d, H/16, W/16)
    residual: Tensor  # (N, 6, H/4, W/4): difference between picture and reconstruction
    light: Tensor  # (N, 2320): brightness and edges of each patch


class View(NamedTuple):
    """All that a component's map is computed from.

    Attributes
    ----------
    network : InspectionNetwork
    features : Features
        Of N pictures.
    normal : mapping of str to Tensor (N, 1, h, w)
        The output of each normal model for these pictures, by the model's name.
    """

    network: InspectionNetwork
    features: Features
    normal: Mapping[str, Tensor]


def features_of(network: InspectionNetwork, x: Tensor) -> Features:
    """Compute the features of pictures (N, 3, H, W)."""
    encoded = network.encoder(x)
    half_size = network.encoder.half_size_embedding(x)
    residual = residual_means(cells_of(x) - network.decoder.cells(encoded.z))
    return Features(
        x, encoded.s4, encoded.s8, encoded.embedding, half_size, encoded.z, residual, light_patches(x)
    )


def smooth(maps: Tensor, window: int = 3) -> Tensor:
    """Replace each value of maps (N, c, h, w) by the mean over a square window around it."""
    return F.avg_pool2d(maps, window, 1, window // 2, count_include_pad=False)


def relative(maps: Tensor) -> Tensor:
    """Divide maps (N, 1, h, w) by the square root of their mean over the picture.

    Where the whole picture is unusual, as under other light, a patch must stand out further.
    """
    return maps / maps.mean((2, 3), keepdim=True).clamp_min(1e-3).sqrt()
