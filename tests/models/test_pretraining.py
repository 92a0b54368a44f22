"""The encoder before the training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.dcgan import DcganEncoder
from models.pretraining import ENOUGH, STEPS, match_moments, moment_loss


def test_the_moment_loss_is_the_references() -> None:
    """Mean squared difference of means plus that of covariance entries, a second time with numpy."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 9, 4, generator=generator, dtype=torch.float64)
    means = ((a.numpy().mean(0) - b.numpy().mean(0)) ** 2).mean()
    covariances = ((np.cov(a.numpy().T) - np.cov(b.numpy().T)) ** 2).mean()
    assert float(moment_loss(a, b)) == pytest.approx(means + covariances)


def test_codes_are_brought_to_the_prior() -> None:
    """A fresh encoder, whose codes all lie near 0, ends below 0.1 within 200 steps, and stops there."""
    torch.manual_seed(0)
    encoder, pictures = DcganEncoder(2, 16), torch.rand(24, 3, 64, 64) * 2 - 1
    generator = torch.Generator().manual_seed(0)
    told: list[int] = []
    losses = match_moments(
        encoder,
        lambda _: pictures,
        generator,
        rate=2e-3,
        betas=(0.5, 0.999),
        report=lambda done, _: told.append(done),
    )
    assert losses[0] > 5 * ENOUGH
    assert losses[-1] < ENOUGH
    assert all(loss >= ENOUGH for loss in losses[:-1])
    assert told == list(range(1, len(losses) + 1))
    assert len(losses) < STEPS


def test_an_encoder_that_cannot_is_given_up() -> None:
    """An encoder with a learning rate of almost nothing stays where it is, and is left after 200 steps."""
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    pictures, generator = torch.zeros(8, 1, 2, 2), torch.Generator().manual_seed(0)
    losses = match_moments(encoder, lambda _: pictures, generator, rate=1e-9, betas=(0.5, 0.999))
    assert len(losses) == STEPS
