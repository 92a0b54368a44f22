"""Brings the encoder's latents to the prior's mean and covariance before the training.

First `whiten` does so in closed form, then `match_moments` takes optimiser steps, as the authors'
implementation does.  The steps alone achieve little for more than a few dimensions: their loss averages over
all entries of the covariance, most of them off its diagonal, so latents that do not vary at all have a loss
of about 1/d.  For d > 10 that is low enough to stop.  The training would then use a few dimensions and find
the others slowly.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.article.batches import PictureSampler
from models.article.learner import BETAS, LEARNING_RATE, ArticleLearner
from models.types import Progress

STEPS, ENOUGH = 200, 0.1  # the authors' implementation's
WHITENED = 500  # pictures, whose features are whitened
FLAT = 1e-4  # directions with a smaller share of the largest spread are rounding errors


def warm_start(
    learner: ArticleLearner,
    sampler: PictureSampler,
    progress: Progress | None = None,
) -> list[float]:
    """Bring the encoder's latents to the prior's mean and covariance; return the loss of each step.

    Parameters
    ----------
    learner : ArticleLearner
    sampler : PictureSampler
    progress : callable, optional
        Called as `progress("preparing the encoder", step, steps)` after each step.
    """
    encoder, device = learner.network.encoder, learner.device
    with torch.no_grad():
        features = encoder.features(sampler.evenly(WHITENED).to(device))
    whiten(encoder.to_latent, features)

    def draw(step: int) -> Tensor:
        return sampler.draw(step).noisy.to(device)

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("preparing the encoder", done, total)

    generator = torch.Generator().manual_seed(learner.options.seed)
    return match_moments(encoder, draw, generator, report=report)


@torch.no_grad()
def whiten(layer: nn.Linear, features: Tensor) -> None:
    """Set a linear layer so that it maps these features to latents of mean 0 and covariance 1.

    With the singular value decomposition `X − m = U·S·Vᵀ` of n features the rows are `√(n−1)·V/S`, and
    the bias subtracts the mean: latents are the principal components, each divided by its spread.  If fewer
    than d directions vary, the other rows stay as they were.

    Parameters
    ----------
    layer : nn.Linear
        f to d.
    features : Tensor (n, f)
    """
    mean = features.mean(0)
    _, spread, directions = torch.linalg.svd(features - mean, full_matrices=False)  # (k,), (k, f)
    varying = int((spread > FLAT * spread[0]).sum()) if len(spread) else 0
    k = min(layer.out_features, varying, len(features) - 1)
    rows = directions[:k] / spread[:k, None] * (len(features) - 1) ** 0.5  # (k, f)
    layer.weight[:k] = rows
    layer.bias[:k] = -rows @ mean


def moment_loss(z: Tensor, draws: Tensor) -> Tensor:
    """Return the mean squared difference of the means, plus that of the covariances' entries, (n, d) both."""
    means = (z.mean(0) - draws.mean(0)).square().mean()
    return means + (_covariance(z) - _covariance(draws)).square().mean()


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / (len(rows) - 1)  # (d, d)


def match_moments(
    encode: nn.Module,
    draw: Callable[[int], Tensor],
    generator: torch.Generator,
    *,
    rate: float = LEARNING_RATE,
    report: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Train an encoder until the moment loss of its latents is below 0.1, for at most 200 steps.

    Parameters
    ----------
    encode : nn.Module
        Pictures (n, C, H, W) to latents (n, d).
    draw : callable
        Returns the pictures of a step.
    generator : torch.Generator
        Draws from the prior N(0, I).
    rate : float
        Learning rate of a separate Adam optimiser.
    report : callable, optional
        Called as `report(done, total)` after each step.

    Returns
    -------
    list of float
        The loss of each step.
    """
    optimiser = torch.optim.Adam(encode.parameters(), rate, betas=BETAS)
    losses: list[float] = []
    while len(losses) < STEPS and not (losses and losses[-1] < ENOUGH):
        z = encode(draw(len(losses)))
        loss = moment_loss(z, torch.randn(z.shape, generator=generator).to(z))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
        if report is not None:
            report(len(losses), STEPS)
    return losses
