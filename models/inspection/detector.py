"""The graphs of the inspection network that a bundle ships: detector, encoder and decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.inspection import components
from models.inspection.features import Features, View, features_of, smooth
from models.inspection.network import Head, InspectionNetwork
from models.inspection.normal_model import NormalModels
from models.inspection.units import Units

GAIN_LIMITS = (0.4, 2.5)  # a picture is never brightened or darkened by more than this
AROUND = 7  # patches on each side of the window around a patch


class Normalise(nn.Module):
    """uint8 (N, H, W, 3) to float (N, 3, H, W), brought to the training pictures' brightness."""

    target_mean: Tensor

    def __init__(self, target_mean: float) -> None:
        super().__init__()
        self.register_buffer("target_mean", torch.tensor(target_mean))

    def forward(self, image: Tensor) -> Tensor:
        """Apply one gain to each picture, within the limits."""
        x = image.permute(0, 3, 1, 2).float()  # (N, H, W, 3) -> (N, 3, H, W)
        # In two stages: ONNX Runtime adds up a whole picture in one float, and loses four digits.
        mean = (x.mean(3, keepdim=True).mean((1, 2), keepdim=True) / 255).clamp_min(1e-3)
        return x * ((self.target_mean / mean).clamp(*GAIN_LIMITS) / 255)


class RawMaps(nn.Module):
    """The maps of all components before they are put into units.

    Parameters
    ----------
    network : InspectionNetwork
    head : Head
    normal_models : dict of Learned to NormalModel
        Every normal model that the components read.
    """

    def __init__(self, network: InspectionNetwork, head: Head, normal_models: NormalModels) -> None:
        super().__init__()
        self.network, self.head = network, head
        self.normal_models = nn.ModuleDict({each.name: model for each, model in normal_models.items()})

    def forward(self, features: Features) -> list[Tensor]:
        """Return the raw maps (N, 1, h, w) in the order of the table."""
        normal: dict[str, Tensor] = {}
        view = View(features, normal, self.head)
        raw = []
        for each in components.maps():
            for learned in each.learned:
                if learned.name not in normal:
                    normal[learned.name] = self.normal_models[learned.name](*learned.inputs_of(features))
            raw += [compute(view) for compute in each.computed]
        return raw


class DetectorGraph(nn.Module):
    """uint8 pictures to statistics, an anomaly map and a latent; thresholds are no part of the graph.

    Parameters
    ----------
    normalise : Normalise
    raw_maps : RawMaps
    units : sequence of Units
        One for each raw map.
    """

    def __init__(self, normalise: Normalise, raw_maps: RawMaps, units: Sequence[Units]) -> None:
        super().__init__()
        self.normalise, self.raw_maps, self.units = normalise, raw_maps, nn.ModuleList(units)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return statistics (N, C), anomaly map (N, H/4, W/4) and latent (N, d)."""
        features = features_of(self.raw_maps.network, self.normalise(image))
        return *self.read(self.raw_maps(features)), features.latent.mean((2, 3))

    def read(self, raw: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return statistics (N, C) and the anomaly map (N, h, w) of raw maps."""
        size = max(tuple(each.shape[-2:]) for each in raw)  # of the finest map
        in_units = iter([units(each) for units, each in zip(self.units, raw, strict=True)])
        statistics, shown = [], []
        for each in components.maps():
            found = _mean([next(in_units) for _ in each.computed], size)
            statistics.append(pooled(found, each.shares))
            if each.in_anomaly_map:
                shown.append(_resized(each.in_anomaly_map * found, size))
            if each.around_in_anomaly_map:
                shown.append(_resized(each.around_in_anomaly_map * smooth(found, AROUND), size))
        return torch.cat(statistics, 1), torch.stack(shown).sum(0).squeeze(1)


def _mean(maps: list[Tensor], size: tuple[int, ...]) -> Tensor:
    """Return the mean of maps (N, 1, h, w), brought to one size; a single map stays as it is."""
    if len(maps) == 1:
        return maps[0]
    return torch.stack([_resized(each, size) for each in maps]).mean(0)


def _resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def pooled(maps: Tensor, shares: Sequence[float]) -> Tensor:
    """Return the means of each map's largest values, one column a share: (N, c, h, w) to (N, shares)."""
    flat = maps.flatten(1)  # (N, c·h·w)
    counts = [max(1, round(share * flat.shape[1])) for share in shares]
    top = flat.topk(max(counts), dim=1).values
    return torch.stack([top[:, :count].mean(1) for count in counts], 1)


class EncoderGraph(nn.Module):
    """uint8 pictures to latents (N, d, H/16, W/16)."""

    def __init__(self, normalise: Normalise, network: InspectionNetwork) -> None:
        super().__init__()
        self.normalise, self.encoder = normalise, network.encoder

    def forward(self, image: Tensor) -> Tensor:
        """(N, H, W, 3) to (N, d, H/16, W/16)."""
        z: Tensor = self.encoder(self.normalise(image))
        return z


class DecoderGraph(nn.Module):
    """Latents to uint8 pictures."""

    def __init__(self, network: InspectionNetwork) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, latent: Tensor) -> Tensor:
        """(N, d, h, w) to uint8 (N, 16h, 16w, 3)."""
        x_hat: Tensor = self.decoder(latent).clamp(0, 1) * 255
        return x_hat.round().permute(0, 2, 3, 1).to(torch.uint8)
