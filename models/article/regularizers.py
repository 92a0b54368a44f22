"""The regularizers that keep latents near the prior N(0, I): MMD, an adversary, KL, or nothing."""

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
WEIGHT_STD = 0.01  # of the linear layers at the start, as in all networks of the article
LOG_VARIANCE_LIMIT = 20.0  # beyond it exp() leaves float32


class Regularizer(nn.Module):
    """No regularizer, as in a plain auto-encoder; subclasses override the methods that differ.

    Attributes
    ----------
    outputs : int
        Numbers that the encoder outputs for each latent dimension.
    """

    outputs = 1

    def sample(self, output: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002  # others draw
        """Return the latents for training: the encoder's output (n, outputs·d) to (n, d)."""
        return output

    def mean(self, output: Tensor) -> Tensor:
        """Return the latents for scoring, without a random draw: (n, outputs·d) to (n, d)."""
        return output

    def forward(self, output: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the loss of the encoder: its output (n, outputs·d) and the latents (n, d) to a scalar."""
        return z.new_zeros(())

    def learn(self, z: Tensor, weight: float, generator: torch.Generator) -> dict[str, float]:  # noqa: ARG002
        """Train the regularizer itself on latents (n, d), after the encoder's step; return its losses."""
        return {}


def draw_prior(z: Tensor, generator: torch.Generator) -> Tensor:
    """Draw as many rows from N(0, I) as there are latents (n, d); on the CPU, the same for every device."""
    return torch.randn(z.shape, generator=generator).to(z)


class MmdRegularizer(Regularizer):
    """WAE-MMD: `MMD(latents, draws from the prior)`.

    Parameters
    ----------
    kernel : str
        `imq` or `rbf`.
    """

    def __init__(self, kernel: str = "imq") -> None:
        super().__init__()
        self.mmd = {"imq": imq_mmd, "rbf": rbf_mmd}[kernel]

    def forward(self, output: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the MMD, which rises as the latents leave the prior; it can be negative."""
        return self.mmd(z, draw_prior(z, generator))


def log_prior(z: Tensor) -> Tensor:
    """Log density of N(0, I): `−‖z‖² / 2 − d/2 · log 2π`, (n, d) to (n,).

    Examples
    --------
    >>> import torch
    >>> log_prior(torch.zeros(2, 4)) / math.log(2 * math.pi)
    tensor([-2., -2.])
    """
    return -z.square().sum(1) / 2 - z.shape[1] / 2 * math.log(2 * math.pi)


class Adversary(nn.Module):
    """Tells draws of the prior from latents: `logit = f(z) + log p(z)`, positive for the prior.

    The best logit is `log p(z) − log q(z)`, where q is the distribution of the latents.  As log p is known, f
    only has to learn −log q.

    Parameters
    ----------
    latent_dim : int
    width : int
        Neurons of each hidden layer.
    """

    def __init__(self, latent_dim: int, width: int = ADVERSARY_WIDTH) -> None:
        super().__init__()
        sizes = [latent_dim, *[width] * ADVERSARY_LAYERS]
        hidden = [
            layer for i in range(ADVERSARY_LAYERS) for layer in (nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU())
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=WEIGHT_STD)
                nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents (n, d) to logits (n,)."""
        logits: Tensor = self.layers(z).squeeze(1)  # (n, 1) -> (n,); (n, 1) + (n,) would be (n, n)
        return logits + log_prior(z)


class AdversarialRegularizer(Regularizer):
    """WAE-GAN: `mean CE(D(z), 1)`, with an adversary D that learns beside the auto-encoder.

    With the squared cost this is the adversarial auto-encoder.

    Parameters
    ----------
    latent_dim : int
    width : int
        Neurons of each hidden layer of the adversary.

    References
    ----------
    Tolstikhin et al., "Wasserstein Auto-Encoders", ICLR 2018, algorithm 1.
    """

    def __init__(self, latent_dim: int, width: int = ADVERSARY_WIDTH) -> None:
        super().__init__()
        self.adversary = Adversary(latent_dim, width)
        self._optimiser = torch.optim.Adam(self.adversary.parameters(), ADVERSARY_RATE, betas=ADVERSARY_BETAS)

    def forward(self, output: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return `−mean log sigmoid(D(z))`; it rises, and does not saturate, as D recognises the latents."""
        return F.softplus(-self.adversary(z)).mean()

    def learn(self, z: Tensor, weight: float, generator: torch.Generator) -> dict[str, float]:
        """Take one step down `λ·[CE(D(p), 1) + CE(D(z), 0)]`; the encoder does not move."""
        real, false = self.adversary(draw_prior(z, generator)), self.adversary(z.detach())
        loss = weight * (F.softplus(-real).mean() + F.softplus(false).mean())
        self._optimiser.zero_grad(set_to_none=True)  # the encoder's step left gradients here
        torch.autograd.backward(loss)
        self._optimiser.step()
        return {"adversary": float(loss.detach())}

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state of the adversary's optimiser, for the checkpoint."""
        return self._optimiser.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state of the adversary's optimiser."""
        self._optimiser.load_state_dict(state)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of N(m, v) from N(0, I): `½·Σ_d [m² + v − 1 − log v]`, mean over rows.

    Parameters
    ----------
    mean, log_variance : Tensor (n, d)

    Returns
    -------
    Tensor, scalar
        0 if every row is the prior, higher otherwise.
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


class KlRegularizer(Regularizer):
    """VAE: the encoder outputs mean and log variance; latents are drawn as `m + √v·ε`.

    References
    ----------
    Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    """

    outputs = 2

    def sample(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a latent for each row, so that gradients reach mean and variance."""
        mean, log_variance = _halves(output)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        return mean + (log_variance / 2).exp() * noise

    def mean(self, output: Tensor) -> Tensor:
        """Return the means."""
        return _halves(output)[0]

    def forward(self, output: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the KL divergence of the encoder's distributions from the prior."""
        return kl_divergence(*_halves(output))


def _halves(output: Tensor) -> tuple[Tensor, Tensor]:
    """Split an output (n, 2d) into mean and log variance, (n, d) each."""
    mean, log_variance = output.chunk(2, dim=1)
    return mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)


REGULARIZERS: dict[str, Callable[[int, str], Regularizer]] = {  # of latent dimension and kernel
    "mmd": lambda _, kernel: MmdRegularizer(kernel),
    "gan": lambda latent_dim, _: AdversarialRegularizer(latent_dim),
    "kl": lambda *_: KlRegularizer(),
    "none": lambda *_: Regularizer(),
}
