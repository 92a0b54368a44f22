"""The figures of a fit of the article's preset, measured on held-out pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inspector.drift import mmd_test
from inspector.imaging.sharpness import sharpness
from models.article.batches import to_pixels, to_tensor
from models.article.costs import squared_error
from models.article.networks import AutoEncoder

PRIOR_DRAWS = 500  # of the two-sample test: many, so that the held-out latents limit its power
BATCH = 64
MIN_SPREAD = 1e-3  # latents with less spread have collapsed


@contextmanager
def evaluating(network: AutoEncoder) -> Iterator[torch.device]:
    """Put a network into evaluation mode within the context, and yield its device.

    Batch norm then neither learns from the pictures nor mixes them; the network stays as it was, bit for bit.
    """
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield next(network.parameters()).device
    finally:
        network.train(was_training)


def reconstruct(network: AutoEncoder, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return latents (n, d) and reconstructions of pictures (n, 3, 64, 64)."""
    parts = []
    with evaluating(network) as device:
        for batch in torch.split(x, BATCH):
            z = network.encode(batch.to(device))
            parts.append((z.cpu(), network.decoder(z).cpu()))
    latents, pictures = (torch.cat(column) for column in zip(*parts, strict=True))
    return latents, pictures


def decode(network: AutoEncoder, z: Tensor) -> Tensor:
    """Decode latents (n, d) to pictures (n, 3, 64, 64)."""
    with evaluating(network) as device:
        pictures: Tensor = network.decoder(z.to(device)).cpu()
    return pictures


def fixed_noise(count: int, latent_dim: int) -> Tensor:
    """Return the same draws of N(0, I) in every call, (count, latent_dim)."""
    return torch.randn(count, latent_dim, generator=torch.Generator().manual_seed(0))


def min_sharpness(x: Tensor) -> float:
    """Return the lowest sharpness of pictures (n, 3, 64, 64)."""
    return min(sharpness(pixels) for pixels in to_pixels(x))


def mean_sharpness(x: Tensor) -> float:
    """Return the mean sharpness of pictures (n, 3, 64, 64)."""
    return fmean(sharpness(pixels) for pixels in to_pixels(x))


def prior_match(latents: NDArray[np.floating], seed: int = 0) -> float:
    """Return the p-value of a kernel two-sample test of latents against draws from N(0, I).

    Parameters
    ----------
    latents : array (n, d)
        The latents of independent pictures; n is at least 2.
    seed : int
        Decides the draws and the permutations.

    Returns
    -------
    float
        Falls as the latents leave the prior; below 0.01 the match is rejected.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(40, 3))
    >>> prior_match(draws) > 0.01, prior_match(2 * draws) > 0.01
    (True, False)
    """
    draws = np.random.default_rng([seed, 1]).normal(size=(PRIOR_DRAWS, latents.shape[1]))
    return mmd_test(latents, draws, seed=seed).p_value


def spread(latents: NDArray[np.floating]) -> float:
    """Return the root mean square of latents (n, d): 1 for draws of the prior."""
    return float(np.sqrt(np.mean(np.square(latents, dtype=np.float64))))


def cross_scaled(latents: NDArray[np.floating]) -> NDArray[np.floating]:
    """Divide each half of the latents (n, d) by the spread of the other half; n at least 2.

    The result looks like latents whose spread was measured on other pictures.
    """
    scaled = np.array(latents, np.float64)
    even, odd = slice(0, None, 2), slice(1, None, 2)
    scaled[even] /= max(spread(latents[odd]), MIN_SPREAD)
    scaled[odd] /= max(spread(latents[even]), MIN_SPREAD)
    return scaled


def one_of_each(groups: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the first row of each duplicate group (n,): near-duplicates are not independent draws."""
    return np.sort(np.unique(groups, return_index=True)[1])


def figures(
    network: AutoEncoder,
    pixels: NDArray[np.uint8],
    training: NDArray[np.intp],
    heldout: NDArray[np.intp],
    groups: NDArray[np.integer],
    *,
    scaled: bool = False,
) -> tuple[dict[str, float], tuple[float, ...]]:
    """Measure a trained auto-encoder on held-out pictures.

    Parameters
    ----------
    network : AutoEncoder
    pixels : uint8 (N, 64, 64, 3)
    training, heldout : int (n,)
    groups : int (N,)
        Duplicate groups.
    scaled : bool
        The held-out pictures set the spread of the latents.  The prior match then divides each half of them
        by the spread of the other half.

    Returns
    -------
    figures : dict
        The mean over held-out pictures of `Σ d²` (pictures in −1 to 1), for the reconstruction and for the
        mean training picture in its place, and the relative reduction; the sharpness of reconstructions,
        pictures and samples of the prior; and with two held-out duplicate groups or more the p-value of the
        prior match on one picture of each group, and their number.
    errors : tuple of float (n,)
        The `Σ d²` of each held-out picture.
    """
    x = to_tensor(np.array(pixels[heldout]))
    z, x_hat = reconstruct(network, x)
    mean = torch.from_numpy(pixels[training].mean(0)).permute(2, 0, 1).float() / 127.5 - 1  # (3, 64, 64)
    errors = squared_error(x_hat, x)
    error, baseline = float(errors.mean()), float(squared_error(mean.expand_as(x), x).mean())
    found = {
        "heldout_squared_error": error,
        "mean_picture_squared_error": baseline,
        "error_reduction": 1 - error / baseline if baseline > 0 else 0.0,
        "copy_sharpness": min_sharpness(x_hat),
        "picture_sharpness": min_sharpness(x),
        "copy_sharpness_mean": mean_sharpness(x_hat),
        "picture_sharpness_mean": mean_sharpness(x),
        "sample_sharpness_mean": mean_sharpness(decode(network, fixed_noise(len(x), z.shape[1]))),
    }
    single = one_of_each(groups[heldout])
    if len(single) > 1:
        independent = z[single].numpy()
        found["prior_match_p_value"] = prior_match(cross_scaled(independent) if scaled else independent)
        found["prior_match_pictures"] = float(len(single))
    return found, tuple(errors.tolist())
