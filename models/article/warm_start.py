"""The encoder before the training: its codes are brought to the prior's mean and covariance.

First in closed form, then as the authors' implementation does, step by step.  The steps alone do little
for more than a few dimensions: their loss averages over the entries of the covariance, most of which are
off its diagonal, so that codes which do not vary at all have a loss of about 1/d, and at d > 10 that is
already enough.  Training then begins in a few of the dimensions, and finds the others only slowly.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

STEPS, ENOUGH = 200, 0.1  # the authors' implementation's
FLAT = 1e-4  # a direction whose spread is a smaller share of the largest is rounding, not pictures


@torch.no_grad()
def whiten(layer: nn.Linear, features: Tensor) -> None:
    """Set a linear layer so that these features give codes of mean 0 and covariance 1.

    With the singular value decomposition `X − m = U·S·Vᵀ` of n features the rows are `√(n−1)·V/S`, and
    the bias takes out the mean: codes are the principal components, each divided by its spread.  Fewer
    than d directions that vary leave the other rows as they were.

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


def moment_loss(codes: Tensor, draws: Tensor) -> Tensor:
    """Mean squared difference of the means, plus that of the covariances' entries; (n, d) both."""
    means = (codes.mean(0) - draws.mean(0)).square().mean()
    return means + (_covariance(codes) - _covariance(draws)).square().mean()


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / (len(rows) - 1)  # (d, d)


def match_moments(
    encode: nn.Module,
    draw: Callable[[int], Tensor],
    generator: torch.Generator,
    *,
    rate: float,
    betas: tuple[float, float],
    report: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Train an encoder for at most 200 steps, until its loss lies below 0.1.

    Parameters
    ----------
    encode : nn.Module
        Pictures (n, C, H, W) to codes (n, d).
    draw : callable
        The pictures of a step.
    generator : torch.Generator
        Draws of the prior N(0, I).
    rate, betas : float, (float, float)
        Of an Adam of its own.
    report : callable, optional
        Called as `report(done, total)` after each step.

    Returns
    -------
    list of float
        The losses; the last one is below 0.1, unless there are 200.
    """
    optimiser = torch.optim.Adam(encode.parameters(), rate, betas=betas)
    losses: list[float] = []
    while len(losses) < STEPS and not (losses and losses[-1] < ENOUGH):
        codes = encode(draw(len(losses)))
        loss = moment_loss(codes, torch.randn(codes.shape, generator=generator).to(codes))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
        if report is not None:
            report(len(losses), STEPS)
    return losses
