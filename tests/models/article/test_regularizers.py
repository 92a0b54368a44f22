"""The four penalties."""

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
    PENALTIES,
    AdversarialPenalty,
    Adversary,
    KlPenalty,
    MmdPenalty,
    kl_divergence,
    log_prior,
    make_penalty,
)
from models.mmd import imq_mmd, rbf_mmd


def generator(seed: int = 0) -> torch.Generator:
    """A source of draws."""
    return torch.Generator().manual_seed(seed)


def rows(n: int = 6, d: int = 3) -> Tensor:
    """Codes in float64 that a gradient reaches."""
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
    adversary.body = nn.Sequential(layer)
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
    """Whether a way to make logits gives loss and gradient of the hand-derived case."""
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
    """Loss and gradient are those of ⟨a, z⟩ + log p(z), with one logit for each code."""
    z = rows()
    assert sloped()(z).shape == (6,)
    assert follows_the_derivation(sloped(), z)


@pytest.mark.parametrize("decoy", [broadcast, one_dimension_only])
def test_published_defects_are_found(decoy: Logits) -> None:
    """Each of the two defects of the published code fails the check that ours passes."""
    assert not follows_the_derivation(decoy, rows())


def test_without_the_trick_the_layers_speak_alone() -> None:
    """The density can be left out; then the layers have to learn it."""
    adversary, z = Adversary(3, density=False, width=8).double(), rows()
    assert adversary(z).equal(adversary.body(z)[:, 0])


@pytest.mark.parametrize("prior_std", [1.0, 2.0])
def test_the_log_density_is_that_of_a_normal(prior_std: float) -> None:
    """It agrees with scipy's normal distribution, for every dimension and σ."""
    for d in (1, 2, 7):
        z = rows(d=d).detach()
        expected = multivariate_normal(np.zeros(d), prior_std**2).logpdf(z.numpy())
        np.testing.assert_allclose(log_prior(z, prior_std).numpy(), expected)


# --- the adversary --------------------------------------------------------------------------


def test_the_adversary_is_the_published_one() -> None:
    """Four linear layers of 1024 with ReLU, one of a single number, no batch norm; Adam 1e-3, β1 0.5."""
    penalty = AdversarialPenalty(64)
    kinds = [type(layer).__name__ for layer in penalty.adversary.body]
    assert kinds == ["Linear", "ReLU"] * 4 + ["Linear"]
    sizes = [tuple(p.shape) for p in penalty.adversary.body.parameters() if p.ndim == 2]
    assert sizes == [(1024, 64), (1024, 1024), (1024, 1024), (1024, 1024), (1, 1024)]
    (group,) = penalty._optimiser.param_groups
    assert (group["lr"], group["betas"][0]) == (1e-3, 0.5)


def test_one_adversary_step_is_the_formula() -> None:
    """A step lowers λ·[CE(D(p), 1) + CE(D(q), 0)] on the same codes as plain Adam does, bit for bit."""
    torch.manual_seed(0)
    penalty, codes, weight = AdversarialPenalty(3, width=8), torch.randn(5, 3), 10.0
    twin = copy.deepcopy(penalty.adversary)
    optimiser = torch.optim.Adam(twin.parameters(), 1e-3, betas=(0.5, 0.999))
    draws = torch.randn(5, 3, generator=generator(2))
    ones, zeros = torch.ones(5), torch.zeros(5)
    loss = weight * (cross_entropy(twin(draws), ones) + cross_entropy(twin(codes), zeros))
    torch.autograd.backward(loss)
    optimiser.step()
    losses = penalty.learn(codes, weight, generator(2))
    assert losses == {"adversary": pytest.approx(float(loss.detach()), rel=1e-6)}
    for got, expected in zip(penalty.adversary.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


def test_the_encoder_does_not_move_when_the_adversary_learns() -> None:
    """The adversary's step sends no gradient to the codes, and forgets what the encoder's step left."""
    penalty, codes = AdversarialPenalty(3, width=8), torch.randn(5, 3, requires_grad=True)
    torch.autograd.backward(penalty(codes, codes, generator()))
    left = codes.grad
    assert left is not None
    before = left.clone()
    penalty.learn(codes, 10.0, generator())
    assert codes.grad is left
    assert left.equal(before)


def test_the_encoder_follows_the_adversary_to_the_prior() -> None:
    """Codes far away move towards the prior while the adversary learns beside them."""
    torch.manual_seed(0)
    penalty, draws = AdversarialPenalty(2, width=32), generator(1)
    codes = nn.Parameter(torch.randn(64, 2) * 0.3 + 4)
    optimiser = torch.optim.Adam([codes], 0.05)
    for _ in range(150):
        optimiser.zero_grad()
        torch.autograd.backward(penalty(codes, codes, draws))
        optimiser.step()
        penalty.learn(codes, 1.0, draws)
    assert float(codes.detach().mean(0).norm()) < 1.5


def test_a_checkpoint_keeps_the_adversary_whole() -> None:
    """Weights and the optimiser's moments survive a file that is read without pickle's powers."""
    torch.manual_seed(0)
    whole, codes = AdversarialPenalty(3, width=8), torch.randn(5, 3)
    whole.learn(codes, 1.0, generator())
    buffer = BytesIO()
    torch.save(whole.state_dict(), buffer)
    buffer.seek(0)
    resumed = AdversarialPenalty(3, width=8)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for penalty in (whole, resumed):
        penalty.learn(codes, 1.0, generator(1))
    for got, expected in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert got.equal(expected)


# --- MMD, KL, none --------------------------------------------------------------------------


def test_the_mmd_penalty_is_the_mmd() -> None:
    """Codes against draws of the prior, with either kernel and the prior's σ."""
    codes = rows()
    draws = torch.randn(6, 3, generator=generator(7)).double()
    imq = MmdPenalty(prior_std=2.0)(codes, codes, generator(7))
    torch.testing.assert_close(imq, imq_mmd(codes, 2 * draws, prior_std=2.0))
    rbf = MmdPenalty("rbf")(codes, codes, generator(7))
    torch.testing.assert_close(rbf, rbf_mmd(codes, draws))


@pytest.mark.parametrize("prior_std", [1.0, 0.5])
def test_the_kl_divergence_is_that_of_two_normals(prior_std: float) -> None:
    """It agrees with torch's own, summed over dimensions and averaged over rows."""
    mean, log_variance = rows(), rows(6, 3) - 1
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), prior_std)
    expected = torch.distributions.kl_divergence(normal, prior).sum(1).mean()
    torch.testing.assert_close(kl_divergence(mean, log_variance, prior_std), expected)


def test_a_vae_draws_its_codes() -> None:
    """Codes are mean plus spread times noise, gradients reach both, and scoring takes the mean."""
    penalty = KlPenalty()
    output = torch.tensor([[1.0, -2.0, math.log(4.0), math.log(0.25)]]).repeat(20_000, 1).requires_grad_()
    codes = penalty.codes(output, generator())
    torch.testing.assert_close(codes.mean(0), torch.tensor([1.0, -2.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(codes.std(0), torch.tensor([2.0, 0.5]), atol=0.05, rtol=0)
    assert penalty.expected(output)[0].tolist() == [1.0, -2.0]
    torch.autograd.backward(codes.square().sum())
    assert output.grad is not None
    assert (output.grad != 0).all()


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_answers_the_same_questions(name: str) -> None:
    """Rows in, codes of the asked dimension and one number out, which depends on the generator alone."""
    torch.manual_seed(0)
    penalty = make_penalty(name, 3)
    output = torch.randn(8, 3 * penalty.numbers)
    codes = penalty.codes(output, generator(1))
    value = penalty(output, codes, generator(2))
    assert codes.shape == penalty.expected(output).shape == (8, 3)
    assert value.shape == ()
    assert torch.isfinite(value)
    assert value.equal(penalty(output, penalty.codes(output, generator(1)), generator(2)))
    assert bool(penalty.learn(codes, 1.0, generator(3))) == (name == "gan")


def test_without_a_penalty_codes_are_free() -> None:
    """A plain auto-encoder pays nothing, wherever its codes are."""
    penalty, far = make_penalty("none", 2), torch.full((4, 2), 1e6)
    assert float(penalty(far, far, generator())) == 0
    assert penalty.codes(far, generator()) is far
