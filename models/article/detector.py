"""The exported graphs of the article's auto-encoder: detector, encoder and decoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from inspector.bundle.records import Column
from inspector.types import RawScores
from models.article.batches import normalised
from models.article.networks import AutoEncoder
from models.export.scoring_model import LEARNED_FROM, CalibrationFold, ScoringModel
from models.mmd import IMQ_SCALES, squared_distances

SMALL, WHOLE = 0.02, 1.0  # shares of the error map: a small defect, and the whole picture as in the article
COLUMNS = (
    Column(component="reconstruction", share=SMALL),
    Column(component="reconstruction", share=WHOLE),
    Column(component="latent_mmd", share=WHOLE),
)
WEIGHTS = {"reconstruction": 1.0, "latent_mmd": 1.0}
CELL = 2  # px of the picture on each side of a patch of the map
BATCH = 32


class KernelDensity(nn.Module):
    """Kernel distance of a latent to a sample: `k(z, z) − 2·mean_j k(z, r_j)`; higher is more anomalous.

    k is the sum of the seven inverse multiquadratic kernels.  But for a constant this is the squared MMD
    between the point z and the sample, a negated kernel density.  The constant would cost most digits where
    all latents lie close together.

    Parameters
    ----------
    sample : Tensor (m, d)
        Latents of normal pictures.
    """

    centre: Tensor
    sample: Tensor

    def __init__(self, sample: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", sample.mean(0))  # subtracted: smaller numbers keep more digits
        self.register_buffer("sample", sample - self.centre)
        self.reach = 2.0 * sample.shape[1]  # C, as in the training's MMD

    def forward(self, z: Tensor, own: Tensor | None = None) -> Tensor:
        """Map latents (N, d) to distances (N, 1); sample rows marked in `own`, bool (N, m), do not count."""
        kernel = self._kernel(squared_distances(z - self.centre, self.sample))  # (N, m)
        if own is None:
            return len(IMQ_SCALES) - 2 * kernel.mean(1, keepdim=True)
        others = (~own).to(kernel)
        mean = (kernel * others).sum(1, keepdim=True) / others.sum(1, keepdim=True).clamp_min(1)
        return len(IMQ_SCALES) - 2 * mean

    def _kernel(self, distances: Tensor) -> Tensor:
        total = torch.zeros_like(distances)
        for scale in IMQ_SCALES:
            total = total + scale * self.reach / (scale * self.reach + distances)
        return total


class ArticleEncoderGraph(nn.Module):
    """Encodes uint8 pictures (N, 64, 64, 3) to latents (N, d)."""

    def __init__(self, network: AutoEncoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Map pictures (N, 64, 64, 3) to latents (N, d)."""
        return self.network.encode(normalised(image))


class ArticleDecoderGraph(nn.Module):
    """Decodes latents (N, d) to uint8 pictures (N, 64, 64, 3)."""

    def __init__(self, network: AutoEncoder) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, latent: Tensor) -> Tensor:
        """Map latents (N, d) to pictures (N, 64, 64, 3)."""
        x_hat: Tensor = (self.decoder(latent) + 1) * 127.5
        return x_hat.clamp(0, 255).round().permute(0, 2, 3, 1).to(torch.uint8)


class ArticleDetectorGraph(nn.Module):
    """Scores uint8 pictures: raw statistics, an anomaly map and a latent; the graph has no thresholds.

    Parameters
    ----------
    network : AutoEncoder
    density : KernelDensity
    mean, spread : Tensor (1, 1, 32, 32)
        Mean and spread of the training pictures' error in each patch: the units of the map.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, network: AutoEncoder, density: KernelDensity, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.network, self.density = network, density
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return statistics (N, 3), anomaly maps (N, 32, 32) and latents (N, d)."""
        error, z = errors(self.network, image)
        return *self.read(error, self.density(z)), z

    def read(self, error: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
        """Return statistics (N, 3) and maps (N, 32, 32) from errors (N, 1, 32, 32) and distances (N, 1)."""
        patches = (error - self.mean) / self.spread
        flat = patches.flatten(1)  # (N, 1024)
        top = flat.topk(max(1, round(SMALL * flat.shape[1])), dim=1).values.mean(1, keepdim=True)
        whole = error.mean((2, 3)) / self.spread.mean()
        statistics = torch.cat([top, whole, density], 1)
        return statistics, patches.squeeze(1)


def errors(network: AutoEncoder, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return squared errors (N, 1, 32, 32) and latents (N, d) of uint8 pictures (N, 64, 64, 3)."""
    x = normalised(image)
    z = network.encode(x)
    error = (network.decoder(z) - x).square().mean(1, keepdim=True)  # (N, 1, 64, 64)
    return F.avg_pool2d(error, CELL), z


@torch.no_grad()
def build(
    network: AutoEncoder,
    pixels: NDArray[np.uint8],
    training: NDArray[np.intp],
    heldout: NDArray[np.intp],
    groups: NDArray[np.integer],
) -> ScoringModel:
    """Make the graphs of a trained auto-encoder, and score the normal pictures.

    Parameters
    ----------
    network : AutoEncoder
        Trained.
    pixels : uint8 (N, 64, 64, 3)
    training, heldout : int (n,)
        Rows of `pixels`.  Of the training pictures 500, at even distances, are used.
    groups : int (N,)
        From `models.split.cross_fitting_groups`: a training picture is scored without the latents of its
        group.
    """
    network = network.cpu().eval()
    chosen = training[np.linspace(0, len(training) - 1, min(len(training), LEARNED_FROM)).astype(int)]
    error, z = _errors_of(network, pixels, chosen)
    smooth = nn.AvgPool2d(5, 1, 2, count_include_pad=False)
    spread = smooth(error.var(0, keepdim=True, unbiased=False)).sqrt() + 0.5 * error.std()
    spread = spread + 0.01 * error.mean() + 1e-6  # pictures that hardly differ, differ by rounding
    density = KernelDensity(z)
    detector = ArticleDetectorGraph(network, density, smooth(error.mean(0, keepdim=True)), spread).eval()
    group = torch.from_numpy(np.asarray(groups[chosen], np.int64))
    heldout_error, heldout_z = _errors_of(network, pixels, heldout)
    return ScoringModel(
        architecture="article",
        columns=COLUMNS,
        weights=WEIGHTS,
        detector=detector,
        encoder=ArticleEncoderGraph(network).eval(),
        decoder=ArticleDecoderGraph(network).eval(),
        parameters={},
        memory_bank=z.numpy(),
        training_rows=chosen,
        training=_scores(detector, error, density(z, group[:, None] == group[None]), z),
        disturbed_statistics=None,
        calibration_rows=heldout,
        calibration_scores=_scores(detector, heldout_error, density(heldout_z), heldout_z),
        # nothing was learned from them
        calibration_folds=(CalibrationFold(np.arange(len(heldout)), constants={}),),
        heldout_positions=np.arange(len(heldout)),
    )


def _errors_of(
    network: AutoEncoder, pixels: NDArray[np.uint8], rows: NDArray[np.intp]
) -> tuple[Tensor, Tensor]:
    """Return the squared errors (n, 1, 32, 32) and latents (n, d) of pictures."""
    found = [errors(network, batch) for batch in _batches(pixels, rows)]
    error, z = (torch.cat(parts) for parts in zip(*found, strict=True))
    return error, z


def _scores(detector: ArticleDetectorGraph, error: Tensor, density: Tensor, z: Tensor) -> RawScores:
    statistics, anomaly_map = detector.read(error, density)
    return RawScores(statistics.numpy(), anomaly_map.numpy(), z.numpy())


def _batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[Tensor]:
    for start in range(0, len(rows), BATCH):
        yield torch.from_numpy(np.array(pixels[rows[start : start + BATCH]]))
