"""Latents at the prior's mean and covariance before the training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.article.networks import DcganEncoder
from models.article.warm_start import ENOUGH, STEPS, match_moments, moment_loss, whiten


def test_the_moment_loss_is_the_references() -> None:
    """Mean squared difference of means plus that of covariance entries, a second time with numpy."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 9, 4, generator=generator, dtype=torch.float64)
    means = ((a.numpy().mean(0) - b.numpy().mean(0)) ** 2).mean()
    covariances = ((np.cov(a.numpy().T) - np.cov(b.numpy().T)) ** 2).mean()
    assert float(moment_loss(a, b)) == pytest.approx(means + covariances)


def test_latents_are_brought_to_the_prior() -> None:
    """A fresh encoder, whose latents all lie near 0, is below 0.1 within 200 steps, and stops there."""
    torch.manual_seed(0)
    encoder, pictures = DcganEncoder(2, 16), torch.rand(24, 3, 64, 64) * 2 - 1
    generator = torch.Generator().manual_seed(0)
    told: list[int] = []
    losses = match_moments(
        encoder,
        lambda _: pictures,
        generator,
        rate=2e-3,
        report=lambda done, _: told.append(done),
    )
    assert losses[0] > 5 * ENOUGH
    assert losses[-1] < ENOUGH
    assert all(loss >= ENOUGH for loss in losses[:-1])
    assert told == list(range(1, len(losses) + 1))
    assert len(losses) < STEPS


def test_at_most_200_steps_are_taken() -> None:
    """An encoder with almost no learning rate does not get there, and is left after 200 steps."""
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    pictures, generator = torch.zeros(8, 1, 2, 2), torch.Generator().manual_seed(0)
    losses = match_moments(encoder, lambda _: pictures, generator, rate=1e-9)
    assert len(losses) == STEPS


def test_whitened_latents_have_the_priors_moments() -> None:
    """The layer gives the features mean 0 and covariance 1, to rounding, in closed form."""
    features = torch.randn(40, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 3
    layer = torch.nn.Linear(30, 5).double()
    whiten(layer, features)
    z = layer(features).detach()
    torch.testing.assert_close(z.mean(0), torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(z.T.cov(), torch.eye(5, dtype=torch.float64))


def test_whitening_takes_the_directions_that_vary_most() -> None:
    """The latents are the leading principal components, as numpy finds them."""
    scales = torch.tensor([9.0, 5.0, 1.0, 0.1], dtype=torch.float64)
    features = torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * scales
    layer = torch.nn.Linear(4, 2).double()
    whiten(layer, features)
    centred = features.numpy() - features.numpy().mean(0)
    leading = np.linalg.svd(centred, full_matrices=False)[2][:2]
    rows = layer.weight.detach().numpy()
    assert np.abs(np.sum(rows * leading, axis=1)) == pytest.approx(np.linalg.norm(rows, axis=1))


def test_other_rows_stay_where_pictures_do_not_vary() -> None:
    """Four pictures vary in at most three directions; equal pictures in none, so nothing changes."""
    layer = torch.nn.Linear(30, 6)
    before = layer.weight.detach().clone()
    whiten(layer, torch.randn(4, 30, generator=torch.Generator().manual_seed(0)))
    assert layer.weight.detach()[3:].equal(before[3:])
    assert not layer.weight.detach()[:3].equal(before[:3])
    flat = torch.nn.Linear(30, 6)
    before = flat.weight.detach().clone()
    whiten(flat, torch.ones(4, 30))
    assert flat.weight.detach().equal(before)
