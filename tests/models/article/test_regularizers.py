"""The four regularizers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import softplus

from models.article.regularizers import (
    REGULARIZERS,
    AdversarialRegularizer,
    Adversary,
    KlRegularizer,
    MmdRegularizer,
    Regularizer,
    kl_divergence,
    log_prior,
)
from models.mmd import imq_mmd, rbf_mmd


def generator(seed: int = 0) -> torch.Generator:
    """A generator with this seed."""
    return torch.Generator().manual_seed(seed)


def rows(n: int = 6, d: int = 3) -> Tensor:
    """Latents in float64 that take a gradient."""
    return torch.randn(n, d, dtype=torch.float64, generator=generator(5)).requires_grad_()


# --- the prior-density trick ----------------------------------------------------------------

Logits = Callable[[Tensor], Tensor]
SLOPES = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


def sloped() -> Adversary:
    """An adversary whose layers are one sum that can be differentiated on paper: f(z) = ⟨a, z⟩."""
    adversary = Adversary(3, width=8).double()
    layer = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(SLOPES)
    adversary.layers = nn.Sequential(layer)
    return adversary


def hand_derived(z: Tensor) -> tuple[float, list[list[float]]]:
    """Loss and gradient of mean CE(D(z), 1) for D(z) = ⟨a, z⟩ + log N(z; 0, I), worked out on paper.

    With l = ⟨a, z⟩ − ‖z‖²/2 − d/2·log 2π the loss is mean log(1 + e^−l), and its gradient by z_i is
    sigmoid(−l_i)·(z_i − a) / n.
    """
    n, d = z.shape
    loss, gradient = 0.0, []
    for row in z.tolist():
        linear = sum(a * v for a, v in zip(SLOPES.tolist(), row, strict=True))
        logit = linear - sum(v * v for v in row) / 2 - d / 2 * math.log(2 * math.pi)
        loss += math.log1p(math.exp(-logit)) / n
        falling = 1 / (1 + math.exp(logit)) / n
        gradient.append([falling * (v - a) for a, v in zip(SLOPES.tolist(), row, strict=True)])
    return loss, gradient


def follows_the_derivation(logits: Logits, z: Tensor) -> bool:
    """True if the logits give the loss and gradient of the hand-derived case."""
    loss = softplus(-logits(z)).mean()
    (gradient,) = torch.autograd.grad(loss, z)
    expected_loss, expected_gradient = hand_derived(z.detach())
    same_loss = math.isclose(float(loss.detach()), expected_loss, rel_tol=1e-9)
    return same_loss and torch.allclose(gradient, torch.tensor(expected_gradient, dtype=z.dtype))


def broadcast(z: Tensor) -> Tensor:
    """The first published defect: [n, 1] plus [n] becomes [n, n]."""
    return (z @ SLOPES)[:, None] + log_prior(z)


def one_dimension_only(z: Tensor) -> Tensor:
    """The second published defect: −½·log 2π whatever the dimension."""
    return z @ SLOPES - z.square().sum(1) / 2 - math.log(2 * math.pi) / 2


def test_the_density_trick_equals_a_hand_derived_case() -> None:
    """Loss and gradient are those of ⟨a, z⟩ + log p(z), with one logit for each latent."""
    z = rows()
    assert sloped()(z).shape == (6,)
    assert follows_the_derivation(sloped(), z)


@pytest.mark.parametrize("decoy", [broadcast, one_dimension_only])
def test_published_defects_are_found(decoy: Logits) -> None:
    """Each of the two defects of the published code fails the check that ours passes."""
    assert not follows_the_derivation(decoy, rows())


def test_the_log_density_is_that_of_a_normal() -> None:
    """It agrees with scipy's normal distribution in every dimension."""
    for d in (1, 2, 7):
        z = rows(d=d).detach()
        expected = multivariate_normal(np.zeros(d)).logpdf(z.numpy())
        np.testing.assert_allclose(log_prior(z).numpy(), expected)


# --- the adversary --------------------------------------------------------------------------


def test_the_adversary_is_the_published_one() -> None:
    """Four linear layers of 1024 with ReLU, one of a single number, no batch norm; Adam 1e-3, β1 0.5."""
    regularizer = AdversarialRegularizer(64)
    kinds = [type(layer).__name__ for layer in regularizer.adversary.layers]
    assert kinds == ["Linear", "ReLU"] * 4 + ["Linear"]
    sizes = [tuple(p.shape) for p in regularizer.adversary.layers.parameters() if p.ndim == 2]
    assert sizes == [(1024, 64), (1024, 1024), (1024, 1024), (1024, 1024), (1, 1024)]
    (group,) = regularizer._optimiser.param_groups
    assert (group["lr"], group["betas"][0]) == (1e-3, 0.5)


def test_one_adversary_step_is_the_formula() -> None:
    """A step lowers λ·[CE(D(p), 1) + CE(D(q), 0)] on the same latents as plain Adam does, bit for bit."""
    torch.manual_seed(0)
    regularizer, z, weight = AdversarialRegularizer(3, width=8), torch.randn(5, 3), 10.0
    twin = copy.deepcopy(regularizer.adversary)
    optimiser = torch.optim.Adam(twin.parameters(), 1e-3, betas=(0.5, 0.999))
    draws = torch.randn(5, 3, generator=generator(2))
    ones, zeros = torch.ones(5), torch.zeros(5)
    loss = weight * (cross_entropy(twin(draws), ones) + cross_entropy(twin(z), zeros))
    torch.autograd.backward(loss)
    optimiser.step()
    losses = regularizer.learn(z, weight, generator(2))
    assert losses == {"adversary": pytest.approx(float(loss.detach()), rel=1e-6)}
    for got, expected in zip(regularizer.adversary.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


def test_the_encoder_does_not_move_when_the_adversary_learns() -> None:
    """The adversary's step sends no gradient to the latents, and drops those of the encoder's step."""
    regularizer, z = AdversarialRegularizer(3, width=8), torch.randn(5, 3, requires_grad=True)
    torch.autograd.backward(regularizer(z, z, generator()))
    left = z.grad
    assert left is not None
    before = left.clone()
    regularizer.learn(z, 10.0, generator())
    assert z.grad is left
    assert left.equal(before)


def test_the_encoder_follows_the_adversary_to_the_prior() -> None:
    """Latents far away move towards the prior while the adversary learns beside them."""
    torch.manual_seed(0)
    regularizer, draws = AdversarialRegularizer(2, width=32), generator(1)
    z = nn.Parameter(torch.randn(64, 2) * 0.3 + 4)
    optimiser = torch.optim.Adam([z], 0.05)
    for _ in range(150):
        optimiser.zero_grad()
        torch.autograd.backward(regularizer(z, z, draws))
        optimiser.step()
        regularizer.learn(z, 1.0, draws)
    assert float(z.detach().mean(0).norm()) < 1.5


def test_a_checkpoint_keeps_the_adversary_whole() -> None:
    """Weights and the optimiser's moments survive a file that is read with `weights_only`."""
    torch.manual_seed(0)
    whole, z = AdversarialRegularizer(3, width=8), torch.randn(5, 3)
    whole.learn(z, 1.0, generator())
    buffer = BytesIO()
    torch.save(whole.state_dict(), buffer)
    buffer.seek(0)
    resumed = AdversarialRegularizer(3, width=8)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for regularizer in (whole, resumed):
        regularizer.learn(z, 1.0, generator(1))
    for got, expected in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert got.equal(expected)


# --- MMD, KL, none --------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "mmd"), [("imq", imq_mmd), ("rbf", rbf_mmd)])
def test_the_mmd_regularizer_is_the_mmd(kernel: str, mmd: Callable[[Tensor, Tensor], Tensor]) -> None:
    """It compares the latents with draws from N(0, I)."""
    z = rows()
    draws = torch.randn(6, 3, generator=generator(7)).double()
    torch.testing.assert_close(MmdRegularizer(kernel)(z, z, generator(7)), mmd(z, draws))


def test_the_kl_divergence_is_that_of_two_normals() -> None:
    """It agrees with torch's own, summed over dimensions and averaged over rows."""
    mean, log_variance = rows(), rows(6, 3) - 1
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    expected = torch.distributions.kl_divergence(normal, prior).sum(1).mean()
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


def test_a_vae_draws_its_latents() -> None:
    """Latents are mean plus standard deviation times noise; gradients reach both; scores use the mean."""
    regularizer = KlRegularizer()
    output = torch.tensor([[1.0, -2.0, math.log(4.0), math.log(0.25)]]).repeat(20_000, 1).requires_grad_()
    z = regularizer.sample(output, generator())
    torch.testing.assert_close(z.mean(0), torch.tensor([1.0, -2.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(z.std(0), torch.tensor([2.0, 0.5]), atol=0.05, rtol=0)
    assert regularizer.mean(output)[0].tolist() == [1.0, -2.0]
    torch.autograd.backward(z.square().sum())
    assert output.grad is not None
    assert (output.grad != 0).all()


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_regularizer_answers_the_same_questions(name: str) -> None:
    """Latents have the requested dimension; the loss is one number that depends on the generator alone."""
    torch.manual_seed(0)
    regularizer = REGULARIZERS[name](3, "imq")
    output = torch.randn(8, 3 * regularizer.outputs)
    z = regularizer.sample(output, generator(1))
    value = regularizer(output, z, generator(2))
    assert z.shape == regularizer.mean(output).shape == (8, 3)
    assert value.shape == ()
    assert torch.isfinite(value)
    assert value.equal(regularizer(output, regularizer.sample(output, generator(1)), generator(2)))
    assert bool(regularizer.learn(z, 1.0, generator(3))) == (name == "gan")


def test_without_a_regularizer_codes_are_free() -> None:
    """A plain auto-encoder has no loss, wherever its latents are."""
    regularizer, far = Regularizer(), torch.full((4, 2), 1e6)
    assert float(regularizer(far, far, generator())) == 0
    assert regularizer.sample(far, generator()) is far
