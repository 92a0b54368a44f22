"""The graph that scores: normalisation, networks, error maps, kernel distance and pooling in one module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inspector.bundle.records import Column
from models.inspection.batches import GAIN_LIMITS
from models.inspection.context import Layout, relative
from models.inspection.memory_bank import KernelDistance
from models.inspection.network import InspectionNetwork, cells_of, nearness, residual_means
from models.inspection.patches import CodeNumbers, light

SHARES = (0.0007, 0.005)  # of a map's places: the largest few, and those of a larger defect
PLACE_SHARES = (0.004, 0.02)  # likewise, of the few places that are judged by the others
LIGHT_IN_MAP, AROUND_IN_MAP, AROUND = 2.0, 3.0, 7  # how much a place's light counts, and 7 x 7 places' mean
# The component that each map belongs to, in the order in which the graph pools them.
MAPS = (
    ("reconstruction", SHARES),
    ("latent_mmd", SHARES),
    ("latent_mmd", PLACE_SHARES),
    ("latent_mmd_coarse", SHARES),
    ("head", SHARES),
    ("layout", PLACE_SHARES),
)
DISTANCES = ("fine", "wide", "coarse")  # the kernel distances of `Maps`
LAYOUTS = ("expected", "layout")  # its judgements of places by the others: of codes, and of light
# The components that enter the score, and the weight of each.
FUSED = ("head", "latent_mmd", "latent_mmd_coarse", "layout")
WEIGHTS = (0.3, 0.25, 0.05, 0.4)
COLUMNS = tuple(Column(component=name, share=share) for name, shares in MAPS for share in shares)


class Normalise(nn.Module):
    """uint8 (N, H, W, 3) to float (N, 3, H, W), brought to the training pictures' brightness."""

    target_mean: Tensor

    def __init__(self, target_mean: float) -> None:
        super().__init__()
        self.register_buffer("target_mean", torch.tensor(target_mean))

    def forward(self, image: Tensor) -> Tensor:
        """One gain for each picture, within the limits that training saw."""
        x = image.permute(0, 3, 1, 2).float()  # (N, H, W, 3) -> (N, 3, H, W)
        # In two stages: ONNX Runtime adds up a whole picture in one float, and loses four digits.
        mean = (x.mean(3, keepdim=True).mean((1, 2), keepdim=True) / 255).clamp_min(1e-3)
        return x * ((self.target_mean / mean).clamp(*GAIN_LIMITS) / 255)


@dataclass(frozen=True)
class MapStatistics:
    """What training pictures' maps look like: the units that maps are expressed in.

    Attributes
    ----------
    reconstruction_mean, reconstruction_spread : Tensor (1, 1, H/4, W/4)
        By position, smoothed.
    fine, wide, coarse, expected, head, layout : (float, float)
        Median, and distance from the median to the 99th percentile, over all places.
    """

    reconstruction_mean: Tensor
    reconstruction_spread: Tensor
    fine: tuple[float, float]
    wide: tuple[float, float]
    coarse: tuple[float, float]
    expected: tuple[float, float]
    head: tuple[float, float]
    layout: tuple[float, float]


class RawMaps(NamedTuple):
    """Maps before they are expressed in units; all rise with anomaly."""

    error: Tensor  # (N, 1, H/4, W/4)
    fine: Tensor  # (N, 1, H/8, W/8): kernel distance of the fine codes, relative to the picture's
    wide: Tensor  # (N, 1, H/16, W/16): of those of the picture at half its size
    coarse: Tensor  # (N, 1, H/16, W/16): kernel distance of the latent
    expected: Tensor  # (N, 1, 16, 16): how little a place's codes fit the others
    logits: Tensor  # (N, 1, H/4, W/4)
    layout: Tensor  # (N, 1, 16, 16): how little a place's light fits the others
    z: Tensor  # (N, d, H/16, W/16)


class Rows(NamedTuple):
    """What is known of each place of pictures, for what judges it by the others."""

    expected: Tensor  # (N, 8192), `models.inspection.patches.CODES`
    layout: Tensor  # (N, 2320), `models.inspection.patches.LIGHT`


class Maps(nn.Module):
    """Networks, kernel distances and layouts: pictures to raw maps."""

    def __init__(
        self,
        network: InspectionNetwork,
        fine: KernelDistance,
        wide: KernelDistance,
        coarse: KernelDistance,
        numbers: CodeNumbers,
        expected: Layout,
        layout: Layout,
    ) -> None:
        super().__init__()
        self.network, self.fine, self.wide, self.coarse = network, fine, wide, coarse
        self.numbers, self.expected, self.layout = numbers, expected, layout

    def forward(self, x: Tensor) -> RawMaps:
        """(N, 3, H, W) to maps."""
        (maps,), _ = self.compare(x, [(None, None, None)])
        return maps

    def compare(self, x: Tensor, owned: Sequence[tuple[Tensor | None, ...]]) -> tuple[list[RawMaps], Rows]:
        """Pictures (N, 3, H, W) to maps, once for each choice of landmarks that do not count for them."""
        network = self.network
        codes = network.encoder(x)
        wide_codes = network.encoder.wide(x)
        residual = residual_means(cells_of(x) - network.decoder.cells(codes.z))
        error = _smooth(residual[:, :3].mean(1, keepdim=True))  # (N, 1, H/4, W/4)
        rows = Rows(self.numbers(codes.fine, wide_codes), light(x))
        expected, layout = self.expected(rows.expected), self.layout(rows.layout)
        found = []
        for own_fine, own_wide, own_coarse in owned:
            fine, wide = self.fine(codes.fine, own_fine), self.wide(wide_codes, own_wide)
            logits = network.head(codes, residual, nearness(fine, wide))
            fine, wide = relative(_smooth(fine)), relative(_smooth(wide))
            coarse = self.coarse(codes.z, own_coarse)
            found.append(RawMaps(error, fine, wide, coarse, expected, logits, layout, codes.z))
        return found, rows


def _smooth(maps: Tensor, places: int = 3) -> Tensor:
    """Mean over 3 x 3 places, or so many on a side."""
    return F.avg_pool2d(maps, places, 1, places // 2, count_include_pad=False)


class DetectorGraph(nn.Module):
    """uint8 pictures to raw statistics, an anomaly map and a latent; thresholds stay outside."""

    error_mean: Tensor
    error_spread: Tensor

    def __init__(self, normalise: Normalise, maps: Maps, units: MapStatistics) -> None:
        super().__init__()
        self.normalise, self.maps = normalise, maps
        self.register_buffer("error_mean", units.reconstruction_mean)
        self.register_buffer("error_spread", units.reconstruction_spread)
        self.units = units

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return statistics (N, C), anomaly map (N, H/4, W/4) and latent (N, d)."""
        raw = self.maps(self.normalise(image))
        return *self.read(raw), raw.z.mean((2, 3))

    def read(self, raw: RawMaps) -> tuple[Tensor, Tensor]:
        """Return statistics (N, C) and the anomaly map (N, H/4, W/4) of raw maps."""
        units = self.units
        size = raw.logits.shape[-2:]
        error = (raw.error - self.error_mean) / self.error_spread
        fine, wide = _in_units(raw.fine, units.fine), _in_units(raw.wide, units.wide)
        latent = (_resized(fine, size) + _resized(wide, size)) / 2
        coarse, logits = _in_units(raw.coarse, units.coarse), _in_units(raw.logits, units.head)
        expected, layout = _in_units(raw.expected, units.expected), _in_units(raw.layout, units.layout)
        statistics = torch.cat(
            [
                pooled(maps, shares)
                for maps, (_, shares) in zip(
                    (error, latent, expected, coarse, logits, layout), MAPS, strict=True
                )
            ],
            1,
        )
        misfit = expected + LIGHT_IN_MAP * layout + AROUND_IN_MAP * _smooth(layout, AROUND)
        return statistics, (logits + latent + _resized(misfit, size)).squeeze(1)


def _in_units(maps: Tensor, unit: tuple[float, float]) -> Tensor:
    return (maps - unit[0]) / unit[1]


def _resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def pooled(maps: Tensor, shares: Sequence[float] = SHARES) -> Tensor:
    """Means of each map's largest places, one column a share: (N, c, h, w) to (N, 2)."""
    flat = maps.flatten(1)  # (N, c·h·w)
    counts = [max(1, round(share * flat.shape[1])) for share in shares]
    top = flat.topk(max(counts), dim=1).values
    return torch.stack([top[:, :count].mean(1) for count in counts], 1)


class EncoderGraph(nn.Module):
    """uint8 pictures to codes (N, d, H/16, W/16)."""

    def __init__(self, normalise: Normalise, network: InspectionNetwork) -> None:
        super().__init__()
        self.normalise, self.encoder = normalise, network.encoder

    def forward(self, image: Tensor) -> Tensor:
        """(N, H, W, 3) to (N, d, H/16, W/16)."""
        z: Tensor = self.encoder(self.normalise(image)).z
        return z


class DecoderGraph(nn.Module):
    """Codes to uint8 pictures."""

    def __init__(self, network: InspectionNetwork) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, latent: Tensor) -> Tensor:
        """(N, d, h, w) to uint8 (N, 16h, 16w, 3)."""
        x_hat: Tensor = self.decoder(latent).clamp(0, 1) * 255
        return x_hat.round().permute(0, 2, 3, 1).to(torch.uint8)
