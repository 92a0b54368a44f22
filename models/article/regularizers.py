"""What keeps codes near the prior: four penalties behind one small interface.

A penalty works on rows.  The code of a picture is a row, and so may be the code of a place: a network
whose latent is spatial hands in the places that it chose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.mmd import imq_mmd, rbf_mmd

ADVERSARY_LAYERS, ADVERSARY_WIDTH = 4, 1024  # the authors' implementation's
ADVERSARY_RATE, ADVERSARY_BETAS = 1e-3, (0.5, 0.999)
WEIGHT_STD = 0.01  # of its linear layers at the start, as in all networks of the article
LOG_VARIANCE_LIMIT = 20.0  # beyond it exp() leaves float32


class Penalty(nn.Module):
    """No penalty: a plain auto-encoder.  The others say what they do differently.

    Parameters
    ----------
    prior_std : float
        σ of the prior N(0, σ²I).

    Attributes
    ----------
    numbers : int
        How many numbers the encoder gives for each number of a code.
    """

    numbers = 1

    def __init__(self, prior_std: float = 1.0) -> None:
        super().__init__()
        self.prior_std = prior_std

    def codes(self, output: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002  # others draw
        """What the decoder learns from: the encoder's output (n, numbers·d) to codes (n, d)."""
        return output

    def expected(self, output: Tensor) -> Tensor:
        """What a trained model scores with, without a draw: (n, numbers·d) to codes (n, d)."""
        return output

    def forward(self, output: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """What the encoder has to lower: the output (n, numbers·d) and its codes (n, d) to a scalar."""
        return codes.new_zeros(())

    def learn(self, codes: Tensor, weight: float, generator: torch.Generator) -> dict[str, float]:  # noqa: ARG002
        """Let the penalty itself learn from the same codes (n, d), after the encoder did; its losses."""
        return {}

    def prior(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw from the prior, as many rows as there are codes; from the processor's generator everywhere."""
        return (self.prior_std * torch.randn(codes.shape, generator=generator)).to(codes)


class MmdPenalty(Penalty):
    """WAE-MMD: `MMD(codes, draws of the prior)`.

    Parameters
    ----------
    kernel : str
        `imq` or `rbf`.
    prior_std : float
    """

    def __init__(self, kernel: str = "imq", prior_std: float = 1.0) -> None:
        super().__init__(prior_std)
        self.kernel = kernel

    def forward(self, output: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Rises as the codes leave the prior; can be negative."""
        draws = self.prior(codes, generator)
        if self.kernel == "rbf":
            return rbf_mmd(codes, draws)
        return imq_mmd(codes, draws, prior_std=self.prior_std)


def log_prior(codes: Tensor, prior_std: float = 1.0) -> Tensor:
    """Log density of the prior: `−‖z‖² / 2σ² − d/2 · log(2πσ²)`.

    Parameters
    ----------
    codes : Tensor (n, d)
    prior_std : float

    Returns
    -------
    Tensor (n,)

    Examples
    --------
    >>> import torch
    >>> log_prior(torch.zeros(2, 4)) / math.log(2 * math.pi)
    tensor([-2., -2.])
    """
    variance = prior_std**2
    return -codes.square().sum(1) / (2 * variance) - codes.shape[1] / 2 * math.log(2 * math.pi * variance)


class Adversary(nn.Module):
    """Tells draws of the prior from codes: `logit = f(z) + log p(z)`, positive for the prior.

    The best logit is `log p(z) − log q(z)`.  As log p is known, only −log q is left for f to learn.

    Parameters
    ----------
    latent_dim : int
    prior_std : float
    density : bool
        Whether log p(z) is added; without it f learns both.
    width : int
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        prior_std: float = 1.0,
        density: bool = True,
        width: int = ADVERSARY_WIDTH,
    ) -> None:
        super().__init__()
        sizes = [latent_dim, *[width] * ADVERSARY_LAYERS]
        hidden = [
            layer for i in range(ADVERSARY_LAYERS) for layer in (nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU())
        ]
        self.body = nn.Sequential(*hidden, nn.Linear(width, 1))
        self.prior_std, self.density = prior_std, density
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=WEIGHT_STD)
                nn.init.zeros_(layer.bias)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (n, d) to logits (n,)."""
        logits: Tensor = self.body(codes).squeeze(1)  # (n, 1) -> (n,): like the density, or they would spread
        return logits + log_prior(codes, self.prior_std) if self.density else logits


class AdversarialPenalty(Penalty):
    """WAE-GAN: `mean CE(D(codes), 1)`, with an adversary D that learns beside the auto-encoder.

    With the squared cost this is the adversarial auto-encoder.

    Parameters
    ----------
    latent_dim : int
    prior_std : float
    density : bool
        See `Adversary`.
    width : int
        Of the adversary.

    References
    ----------
    Tolstikhin et al., "Wasserstein Auto-Encoders", ICLR 2018, algorithm 1.
    """

    def __init__(
        self,
        latent_dim: int,
        prior_std: float = 1.0,
        *,
        density: bool = True,
        width: int = ADVERSARY_WIDTH,
    ) -> None:
        super().__init__(prior_std)
        self.adversary = Adversary(latent_dim, prior_std=prior_std, density=density, width=width)
        self._optimiser = torch.optim.Adam(self.adversary.parameters(), ADVERSARY_RATE, betas=ADVERSARY_BETAS)

    def forward(self, output: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return `−mean log sigmoid(D(z))`, which does not saturate where D is sure; it rises as D is."""
        return F.softplus(-self.adversary(codes)).mean()

    def learn(self, codes: Tensor, weight: float, generator: torch.Generator) -> dict[str, float]:
        """Take one step down `λ·[CE(D(p), 1) + CE(D(q), 0)]`; the encoder does not move."""
        real, false = self.adversary(self.prior(codes, generator)), self.adversary(codes.detach())
        loss = weight * (F.softplus(-real).mean() + F.softplus(false).mean())
        self._optimiser.zero_grad(set_to_none=True)  # the encoder's step left gradients here
        torch.autograd.backward(loss)
        self._optimiser.step()
        return {"adversary": float(loss.detach())}

    def get_extra_state(self) -> dict[str, Any]:
        """State of the adversary's optimiser, which a checkpoint keeps with its weights."""
        return self._optimiser.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the optimiser's state back."""
        self._optimiser.load_state_dict(state)


def kl_divergence(mean: Tensor, log_variance: Tensor, prior_std: float = 1.0) -> Tensor:
    """`½·Σ_d [(m² + v) / σ² − 1 − log(v / σ²)]`, mean over rows: of N(m, v) from N(0, σ²I).

    Parameters
    ----------
    mean, log_variance : Tensor (n, d)
    prior_std : float

    Returns
    -------
    Tensor, scalar
        0 where every row is the prior itself, and rises from there.
    """
    scaled = log_variance - 2 * math.log(prior_std)  # log(v / σ²)
    return ((mean / prior_std).square() + scaled.exp() - 1 - scaled).sum(1).mean() / 2


class KlPenalty(Penalty):
    """VAE: the encoder gives mean and log variance, codes are drawn as `m + √v·ε`.

    References
    ----------
    Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    """

    numbers = 2

    def codes(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a code for each row, so that a gradient reaches mean and variance."""
        mean, log_variance = _halves(output)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        return mean + (log_variance / 2).exp() * noise

    def expected(self, output: Tensor) -> Tensor:
        """Return the means."""
        return _halves(output)[0]

    def forward(self, output: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the KL divergence of what the codes are drawn from, from the prior."""
        return kl_divergence(*_halves(output), self.prior_std)


def _halves(output: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 2d) to mean and log variance, (n, d) each."""
    mean, log_variance = output.chunk(2, dim=1)
    return mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)


PENALTIES: dict[str, Callable[[int, str], Penalty]] = {
    "mmd": lambda _, kernel: MmdPenalty(kernel),
    "gan": lambda latent_dim, _: AdversarialPenalty(latent_dim),
    "kl": lambda *_: KlPenalty(),
    "none": lambda *_: Penalty(),
}


def make_penalty(name: str, latent_dim: int, *, kernel: str = "imq") -> Penalty:
    """Make one of the four.

    Parameters
    ----------
    name : str
        `mmd`, `gan`, `kl` or `none`.
    latent_dim : int
    kernel : str
        Of the MMD: `imq` or `rbf`.

    Examples
    --------
    >>> [type(make_penalty(name, 2)).__name__ for name in PENALTIES]
    ['MmdPenalty', 'AdversarialPenalty', 'KlPenalty', 'Penalty']
    """
    return PENALTIES[name](latent_dim, kernel)
