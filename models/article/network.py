"""The auto-encoder of the article, and the learner that trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.article.batches import Batch
from models.article.costs import COSTS
from models.article.dcgan import DcganDecoder, DcganEncoder
from models.article.regularizers import Penalty, make_penalty

LEARNING_RATE, BETAS = 5e-4, (0.5, 0.999)
DECAY = 100.0  # by which the learning rate falls over the training


class AutoEncoder(nn.Module):
    """Encoder, decoder, and the penalty that says what the encoder's numbers mean.

    Parameters
    ----------
    latent_dim, width : int
    decoder : str
        `dcgan` or `dcgan_mod`.
    penalty : Penalty
    """

    def __init__(self, latent_dim: int, width: int, decoder: str, penalty: Penalty) -> None:
        super().__init__()
        self.encoder = DcganEncoder(latent_dim * penalty.numbers, width)
        self.decoder = DcganDecoder(latent_dim, width, modified=decoder == "dcgan_mod")
        self.penalty = penalty

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, 64, 64) to the codes (B, d) that are scored, without a draw."""
        return self.penalty.expected(self.encoder(x))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 64, 64) to its copy."""
        copy: Tensor = self.decoder(self.encode(x))
        return copy

    @torch.no_grad()
    def scale_codes(self, factor: float) -> None:
        """Multiply every code by a factor, and let the decoder know, so that copies stay as they are."""
        self.encoder.to_latent.weight.mul_(factor)
        self.encoder.to_latent.bias.mul_(factor)
        self.decoder.from_latent.weight.div_(factor)


@dataclass(frozen=True)
class LearnerOptions:
    """What decides the outcome of a training, together with the pictures."""

    latent_dim: int = 64
    width: int = 256
    decoder: str = "dcgan"
    regularizer: str = "mmd"
    kernel: str = "imq"
    penalty_weight: float = 100.0
    cost: str = "l2sq"
    steps_per_epoch: int = 1
    seed: int = 0
    device: str = "cpu"


def learning_rate(step: int, planned: int | None, steps_per_epoch: int) -> float:
    """`5e-4 · 100^(−(e+1)/E)` at epoch e of E; the full rate where the end is not known.

    Examples
    --------
    >>> [round(learning_rate(step, 8, 4), 6) for step in (0, 3, 4, 7)]
    [5e-05, 5e-05, 5e-06, 5e-06]
    """
    if planned is None:
        return LEARNING_RATE
    epochs = -(-planned // steps_per_epoch)
    return float(LEARNING_RATE * DECAY ** (-(step // steps_per_epoch + 1) / epochs))


class ArticleLearner:
    """The auto-encoder with all that its training changes.

    Parameters
    ----------
    options : LearnerOptions
    """

    def __init__(self, options: LearnerOptions) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        penalty = make_penalty(options.regularizer, options.latent_dim, kernel=options.kernel)
        self.network = AutoEncoder(options.latent_dim, options.width, options.decoder, penalty)
        self.network.to(options.device)
        parameters = [*self.network.encoder.parameters(), *self.network.decoder.parameters()]
        self.optimiser = torch.optim.Adam(parameters, LEARNING_RATE, betas=BETAS)

    def learn(self, batch: Batch, step: int, planned: int | None) -> dict[str, float]:
        """Lower `cost(x, G(E(x + noise))) + λ·penalty`, then let the penalty learn."""
        options, network = self.options, self.network
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, planned, options.steps_per_epoch)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        x, noisy = (part.to(options.device) for part in batch)
        output = network.encoder(noisy)
        codes = network.penalty.codes(output, generator)
        cost = COSTS[options.cost](network.decoder(codes), x)
        penalty = network.penalty(output, codes, generator)
        total = cost + options.penalty_weight * penalty
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        self.optimiser.step()
        losses = {"total": float(total.detach()), "reconstruction": float(cost.detach())}
        if options.regularizer != "none":
            losses[options.regularizer] = float(penalty.detach())
        return losses | network.penalty.learn(codes.detach(), options.penalty_weight, generator)

    def state(self) -> dict[str, Any]:
        """Return weights, batch-norm statistics, and the moments of all optimisers."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
