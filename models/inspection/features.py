"""Features of pictures: everything that the components of the score read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from models.inspection.network import Head, InspectionNetwork, Trunk, cells_of
from models.inspection.patches import light_patches


class TrunkFeatures(NamedTuple):
    """Features of N pictures that the pretrained trunk and the light of the patches give."""

    s4: Tensor  # (N, 32, H/4, W/4)
    s8: Tensor  # (N, 64, H/8, W/8)
    s16: Tensor  # (N, 128, H/16, W/16)
    embedding: Tensor  # (N, 64, H/8, W/8)
    half_size_embedding: Tensor  # (N, 64, H/16, W/16): embedding of the picture at half its size
    light: Tensor  # (N, 2320): brightness and edges of each patch


class Features(NamedTuple):
    """Features of N pictures; d is the dimension of the latent."""

    x: Tensor  # (N, 3, H, W): the pictures, brought to the model's brightness
    s4: Tensor
    s8: Tensor
    s16: Tensor
    embedding: Tensor
    half_size_embedding: Tensor
    light: Tensor
    latent: Tensor  # (N, d, H/16, W/16)
    error: Tensor  # (N, 1, H/4, W/4): mean size of the difference between picture and reconstruction


class View(NamedTuple):
    """All that a component's map is computed from.

    Attributes
    ----------
    features : Features
        Of N pictures.
    normal : mapping of str to Tensor (N, 1, h, w)
        The output of each normal model for these pictures, by the model's name.
    head : Head
    """

    features: Features
    normal: Mapping[str, Tensor]
    head: Head


def trunk_features(trunk: Trunk, x: Tensor) -> TrunkFeatures:
    """Compute the features of pictures (N, 3, H, W) that need no training."""
    s4, s8, s16, embedding = trunk(x)
    half_size = trunk(F.avg_pool2d(x, 2))[3]
    return TrunkFeatures(s4, s8, s16, embedding, half_size, light_patches(x))


def features_of(network: InspectionNetwork, x: Tensor) -> Features:
    """Compute all features of pictures (N, 3, H, W)."""
    found = trunk_features(network.encoder.trunk, x)
    latent = network.encoder.to_latent(found.s16)
    error = (cells_of(x) - network.decoder.cells(latent)).abs().mean(1, keepdim=True)
    return Features(x, *found, latent, error)


def smooth(maps: Tensor, window: int = 3) -> Tensor:
    """Replace each value of maps (N, c, h, w) by the mean over a square window around it."""
    return F.avg_pool2d(maps, window, 1, window // 2, count_include_pad=False)


def relative(maps: Tensor) -> Tensor:
    """Divide maps (N, 1, h, w) by the square root of their mean over the picture.

    Where the whole picture is unusual, as under other light, a patch must stand out further.
    """
    return maps / maps.mean((2, 3), keepdim=True).clamp_min(1e-3).sqrt()
