"""The training steps of the article's auto-encoder."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from models.article.batches import PictureSampler
from models.article.costs import COSTS
from models.article.learner import LEARNING_RATE, ArticleLearner, decayed_rate
from models.article.regularizers import REGULARIZERS
from models.mmd import imq_mmd
from tests.models.article.conftest import TINY


def test_the_schedule_is_the_references() -> None:
    """At epoch e of E the rate is 5e-4·100^(−(e+1)/E): constant within an epoch, a hundredth at the end."""
    rates = [decayed_rate(step, 1000, 10) for step in range(1000)]
    expected = [5e-4 * 100 ** (-(epoch + 1) / 100) for epoch in range(100) for _ in range(10)]
    assert rates == pytest.approx(expected)
    assert decayed_rate(0, None, 10) == LEARNING_RATE


def test_the_optimiser_is_the_references() -> None:
    """Adam with β1 0.5."""
    (group,) = ArticleLearner(TINY).optimiser.param_groups
    assert (group["lr"], group["betas"][0], group["weight_decay"]) == (5e-4, 0.5, 0)


@pytest.mark.parametrize("cost", COSTS)
def test_the_loss_is_cost_plus_weighted_regularizer(pictures: PictureSampler, cost: str) -> None:
    """The cost compares with clean pictures, the latents are those of noisy ones, and λ weighs the MMD."""
    options = replace(TINY, cost=cost, regularizer_weight=7.0)
    learner, twin, batch = ArticleLearner(options), ArticleLearner(options), pictures.draw(2)
    losses = learner.learn(batch, 2, 40)
    z = twin.network.encoder(batch.noisy)
    draws = torch.randn(z.shape, generator=torch.Generator().manual_seed(2))
    expected = COSTS[cost](twin.network.decoder(z), batch.clean)
    mmd = imq_mmd(z, draws)
    assert losses["reconstruction"] == pytest.approx(float(expected.detach()))
    assert losses["mmd"] == pytest.approx(float(mmd.detach()), abs=1e-5)
    assert losses["total"] == pytest.approx(float((expected + 7 * mmd).detach()), rel=1e-5)


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("decoder", ["dcgan", "dcgan_mod"])
def test_every_regularizer_and_decoder_learns(
    pictures: PictureSampler, regularizer: str, decoder: str
) -> None:
    """Thirty steps lower the cost, and the regularizer's loss has its name."""
    weight = 0.0 if regularizer == "none" else 0.03
    learner = ArticleLearner(
        replace(TINY, regularizer=regularizer, decoder=decoder, width=16, regularizer_weight=weight)
    )
    curve = [learner.learn(pictures.draw(step), step, None) for step in range(30)]
    assert curve[-1]["reconstruction"] < 0.9 * curve[0]["reconstruction"]
    own = set(curve[0]) - {"total", "reconstruction"}
    expected = {"gan": {"gan", "adversary"}, "none": set()}
    assert own == expected.get(regularizer, {regularizer})


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_a_restored_learner_continues_as_the_first(pictures: PictureSampler, regularizer: str) -> None:
    """The state after a step, put into another learner, leads to the same weights, bit for bit."""
    options = replace(TINY, regularizer=regularizer)
    first, second = ArticleLearner(options), ArticleLearner(replace(options, seed=9))
    first.learn(pictures.draw(0), 0, 8)
    second.restore(deepcopy(first.state()))  # as if it had been in a file
    second.options = options
    for step in (1, 2):
        first.learn(pictures.draw(step), step, 8)
        second.learn(pictures.draw(step), step, 8)
    for name, value in first.network.state_dict().items():
        if isinstance(value, torch.Tensor):
            assert value.equal(second.network.state_dict()[name]), name


def test_a_vae_scores_with_its_means() -> None:
    """The encoder of a VAE outputs means and log variances; latents are the means."""
    learner = ArticleLearner(replace(TINY, regularizer="kl"))
    network = learner.network.eval()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    assert network.encoder(x).shape == (2, 6)
    assert network.encode(x).equal(network.encoder(x)[:, :3])
    assert network(x).shape == x.shape


def test_scaled_latents_give_the_same_reconstructions() -> None:
    """The decoder divides by the factor of the encoder."""
    network = ArticleLearner(TINY).network.eval()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        z, x_hat = network.encode(x), network(x)
        network.scale_latents(2.0)
        assert torch.allclose(network.encode(x), 2 * z, rtol=1e-5)
        assert torch.allclose(network(x), x_hat, atol=1e-6)
