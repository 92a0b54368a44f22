"""The graph that scores: normalisation, networks, error maps, kernel distance and pooling in one module."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inspector.records import Column
from models.crops import GAIN_LIMITS
from models.mmd import IMQ_SCALES, squared_distances
from models.networks import InspectionNetwork

COMPONENTS = ("reconstruction", "latent_mmd", "head")
SHARES = (0.0007, 0.005, 0.03, 0.15)  # of a map's places; each catches defects of another size
COLUMNS = tuple(Column(component=name, share=share) for name in COMPONENTS for share in SHARES)


class Normalise(nn.Module):
    """uint8 (N, H, W, 3) to float (N, 3, H, W), brought to the training pictures' brightness."""

    target_mean: Tensor

    def __init__(self, target_mean: float) -> None:
        super().__init__()
        self.register_buffer("target_mean", torch.tensor(target_mean))

    def forward(self, image: Tensor) -> Tensor:
        """One gain for each picture, within the limits that training saw."""
        x = image.permute(0, 3, 1, 2).float() / 255  # (N, H, W, 3) -> (N, 3, H, W)
        # In two stages: ONNX Runtime adds up a whole picture in one float, and loses four digits.
        mean = F.avg_pool2d(x, 16).mean((1, 2, 3), keepdim=True).clamp_min(1e-3)
        return x * (self.target_mean / mean).clamp(*GAIN_LIMITS)


class KernelDistance(nn.Module):
    """IMQ kernel distance of the code at each place to codes of normal pictures; see `models.mmd`."""

    landmarks: Tensor
    offset: Tensor

    def __init__(self, landmarks: Tensor) -> None:
        super().__init__()
        self.register_buffer("landmarks", landmarks)
        within = _saturated(squared_distances(landmarks, landmarks), landmarks.shape[1])
        self.register_buffer("offset", within.mean())

    def forward(self, z: Tensor) -> Tensor:
        """(N, d, h, w) to (N, 1, h, w), `2·mean_j f(z, r_j) − mean_ij f(r_i, r_j)`, `f = Σ_s 1 − k_s`.

        Equal to the form with kernels, without its cancellation of numbers near seven.
        """
        n, d, h, w = z.shape
        codes = z.permute(0, 2, 3, 1).reshape(-1, d)  # (N·h·w, d)
        far = _saturated(squared_distances(codes, self.landmarks), d).mean(1)
        return (2 * far - self.offset).reshape(n, h, w).unsqueeze(1)


def _saturated(distances: Tensor, d: int) -> Tensor:
    """`Σ_s ‖x − y‖² / (s·C + ‖x − y‖²)`, which is seven minus the kernel; C = 2d."""
    total = torch.zeros_like(distances)
    for scale in IMQ_SCALES:
        total = total + distances / (scale * 2 * d + distances)
    return total


@dataclass(frozen=True)
class MapStatistics:
    """What training pictures' maps look like: the units that maps are expressed in.

    Attributes
    ----------
    reconstruction_mean, reconstruction_spread : Tensor (1, 1, H/4, W/4)
        By position, smoothed.
    latent_center, latent_scale, head_center, head_scale : float
        Median, and distance from the median to the 99th percentile, over all places.
    """

    reconstruction_mean: Tensor
    reconstruction_spread: Tensor
    latent_center: float
    latent_scale: float
    head_center: float
    head_scale: float


class Maps(nn.Module):
    """Networks and kernel distance: pictures to three raw maps."""

    def __init__(self, network: InspectionNetwork, distance: KernelDistance) -> None:
        super().__init__()
        self.network, self.distance = network, distance

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 3, H, W) to reconstruction error and logits at H/4, kernel distance at H/16, and z."""
        codes, x_hat, logits = self.network(x)
        error = F.avg_pool2d((x - x_hat).abs().mean(1, keepdim=True), 4)  # (N, 1, H/4, W/4)
        error = F.avg_pool2d(error, 3, 1, 1, count_include_pad=False)
        return error, self.distance(codes.z), logits, codes.z


class DetectorGraph(nn.Module):
    """uint8 pictures to raw statistics, an anomaly map and a latent; thresholds stay outside."""

    def __init__(self, normalise: Normalise, maps: Maps, units: MapStatistics) -> None:
        super().__init__()
        self.normalise, self.maps = normalise, maps
        self.register_buffer("error_mean", units.reconstruction_mean)
        self.register_buffer("error_spread", units.reconstruction_spread)
        self.units = units

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return statistics (N, C), anomaly map (N, H/4, W/4) and latent (N, d)."""
        units = self.units
        error, latent, logits, z = self.maps(self.normalise(image))
        error = (error - self.error_mean) / self.error_spread
        latent = (latent - units.latent_center) / units.latent_scale
        logits = (logits - units.head_center) / units.head_scale
        statistics = torch.cat([pooled(error), pooled(latent), pooled(logits)], 1)
        smooth = F.interpolate(latent, size=logits.shape[-2:], mode="bilinear", align_corners=False)
        anomaly_map = (logits + smooth).squeeze(1)
        return statistics, anomaly_map, z.mean((2, 3))


def pooled(maps: Tensor) -> Tensor:
    """Means of each map's largest places, one column a share: (N, 1, h, w) to (N, 4)."""
    flat = maps.flatten(1)  # (N, h·w)
    counts = [max(1, round(share * flat.shape[1])) for share in SHARES]
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
