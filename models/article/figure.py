"""What a fit of the article's preset is judged by: the copies of held-out pictures, and their codes."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inspector.drift import mmd_test
from inspector.imaging.sharpness import sharpness
from models.article.batches import to_pixels, to_tensor
from models.article.costs import squared_error
from models.article.network import AutoEncoder

PRIOR_DRAWS = 500  # against which the held-out codes are tested: far more than they are, so that they decide
BATCH = 64
LEAST_SPREAD = 1e-3  # of codes; less is no spread at all


@torch.no_grad()
def copies(network: AutoEncoder, x: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, 64, 64) to codes (n, d) and copies; the network is as it was before, bit for bit."""
    was_training = network.training
    network.eval()  # batch norm neither learns from these pictures nor mixes them
    try:
        device = next(network.parameters()).device
        parts = []
        for batch in torch.split(x, BATCH):
            z = network.encode(batch.to(device))
            parts.append((z.cpu(), network.decoder(z).cpu()))
        codes, pictures = (torch.cat(column) for column in zip(*parts, strict=True))
    finally:
        network.train(was_training)
    return codes, pictures


@torch.no_grad()
def decoded(network: AutoEncoder, z: Tensor) -> Tensor:
    """Codes (n, d) to pictures (n, 3, 64, 64); the network is as it was before, bit for bit."""
    was_training = network.training
    network.eval()
    try:
        pictures: Tensor = network.decoder(z.to(next(network.parameters()).device)).cpu()
    finally:
        network.train(was_training)
    return pictures


def fixed_noise(count: int, latent_dim: int) -> Tensor:
    """Return the same draws of N(0, I) in every call, (count, latent_dim)."""
    return torch.randn(count, latent_dim, generator=torch.Generator().manual_seed(0))


def least_sharpness(x: Tensor) -> float:
    """Return the least `inspector.imaging.sharpness` of pictures (n, 3, 64, 64)."""
    return min(sharpness(pixels) for pixels in to_pixels(x))


def mean_sharpness(x: Tensor) -> float:
    """Return the mean sharpness of pictures (n, 3, 64, 64)."""
    return fmean(sharpness(pixels) for pixels in to_pixels(x))


def prior_match(codes: NDArray[np.floating], seed: int = 0) -> float:
    """p-value of a kernel two-sample test of codes against draws of N(0, I).

    Parameters
    ----------
    codes : array (n, d)
        Of pictures that are independent of each other; n at least 2.
    seed : int
        Of the draws and the permutations.

    Returns
    -------
    float
        Falls as the codes leave the prior; below 0.01 the match is rejected.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(40, 3))
    >>> prior_match(draws) > 0.01, prior_match(2 * draws) > 0.01
    (True, False)
    """
    draws = np.random.default_rng([seed, 1]).normal(size=(PRIOR_DRAWS, codes.shape[1]))
    return mmd_test(codes, draws, seed=seed).p_value


def spread(codes: NDArray[np.floating]) -> float:
    """Root mean square of the numbers of codes (n, d): 1 for draws of the prior."""
    return float(np.sqrt(np.mean(np.square(codes, dtype=np.float64))))


def crossed(codes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Divide every second code by the spread of the others, and those by theirs: (n, d), n at least 2.

    What codes look like whose spread was measured on pictures like them, but not on themselves.
    """
    found = np.array(codes, np.float64)
    for these, others in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        found[these] /= max(spread(codes[others]), LEAST_SPREAD)
    return found


def one_of_each(groups: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the first row of each group (n,): near-duplicates are no independent draws of anything."""
    return np.sort(np.unique(groups, return_index=True)[1])


def figures(
    network: AutoEncoder,
    pixels: NDArray[np.uint8],
    training: NDArray[np.intp],
    heldout: NDArray[np.intp],
    groups: NDArray[np.integer],
    *,
    scaled: bool = False,
) -> dict[str, float]:
    """Measure a trained auto-encoder on pictures that it has not seen.

    Parameters
    ----------
    network : AutoEncoder
    pixels : uint8 (N, 64, 64, 3)
    training, heldout : int (n,)
    groups : int (N,)
        Pictures that share one are near-duplicates.
    scaled : bool
        Whether the spread of its codes was set by these held-out pictures.  The prior match then looks at
        each half of them with the spread of the other one.

    Returns
    -------
    dict
        Mean over held-out pictures of `Σ d²` (pictures in −1 to 1), of the copy and of the mean training
        picture in its place; how much lower the former is; the least sharpness of copies and of pictures;
        with two independent held-out pictures or more the p-value of the prior match, one picture of each
        group of near-duplicates, and how many that were.
    """
    x = to_tensor(np.array(pixels[heldout]))
    codes, x_hat = copies(network, x)
    mean = torch.from_numpy(pixels[training].mean(0)).permute(2, 0, 1).float() / 127.5 - 1  # (3, 64, 64)
    error, baseline = (float(squared_error(y, x).mean()) for y in (x_hat, mean.expand_as(x)))
    found = {
        "heldout_squared_error": error,
        "mean_picture_squared_error": baseline,
        "error_reduction": 1 - error / baseline if baseline > 0 else 0.0,
        "copy_sharpness": least_sharpness(x_hat),
        "picture_sharpness": least_sharpness(x),
        "copy_sharpness_mean": mean_sharpness(x_hat),
        "picture_sharpness_mean": mean_sharpness(x),
        "sample_sharpness_mean": mean_sharpness(decoded(network, fixed_noise(len(x), codes.shape[1]))),
    }
    single = one_of_each(groups[heldout])
    if len(single) > 1:
        independent = codes[single].numpy()
        found["prior_match_p_value"] = prior_match(crossed(independent) if scaled else independent)
        found["prior_match_pictures"] = float(len(single))
    return found
