"""Trains the article's auto-encoder, one step at a time."""

from __future__ import annotations

import torch

from models.article.batches import PictureBatch
from models.article.costs import COSTS
from models.article.networks import AutoEncoder
from models.article.options import ArticleOptions
from models.article.regularizers import REGULARIZERS
from models.training.learner import Learner, Part

LEARNING_RATE, BETAS = 5e-4, (0.5, 0.999)
DECAY = 100.0  # the learning rate falls by this factor over the training


def decayed_rate(step: int, planned: int | None, steps_per_epoch: int) -> float:
    """Learning rate `5e-4 · 100^(−(e+1)/E)` at epoch e of E; 5e-4 where the end is not known.

    Examples
    --------
    >>> [round(decayed_rate(step, 8, 4), 6) for step in (0, 3, 4, 7)]
    [5e-05, 5e-05, 5e-06, 5e-06]
    """
    if planned is None:
        return LEARNING_RATE
    epochs = -(-planned // steps_per_epoch)
    return float(LEARNING_RATE * DECAY ** (-(step // steps_per_epoch + 1) / epochs))


class ArticleLearner(Learner):
    """The auto-encoder with its optimiser.

    Parameters
    ----------
    options : ArticleOptions
        Their width has been chosen.
    steps_per_epoch : int
    """

    def __init__(self, options: ArticleOptions, steps_per_epoch: int = 1) -> None:
        assert options.width is not None
        torch.manual_seed(options.seed)
        self.options, self.steps_per_epoch = options, steps_per_epoch
        self.device = options.resolved_device()
        regularizer = REGULARIZERS[options.regularizer](options.latent_dim, options.kernel)
        self.network = AutoEncoder(options.latent_dim, options.width, options.decoder, regularizer)
        self.network.to(self.device)
        parameters = [*self.network.encoder.parameters(), *self.network.decoder.parameters()]
        self.optimiser = torch.optim.Adam(parameters, LEARNING_RATE, betas=BETAS)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimiser.param_groups[0]["lr"])

    def learn(self, batch: PictureBatch, step: int, planned: int | None) -> dict[str, float]:
        """Lower `cost(G(E(x + noise)), x) + λ·regularizer`, then train the regularizer."""
        options, network = self.options, self.network
        for group in self.optimiser.param_groups:
            group["lr"] = decayed_rate(step, planned, self.steps_per_epoch)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        x, noisy = (part.to(self.device) for part in batch)
        output = network.encoder(noisy)
        z = network.regularizer.sample(output, generator)
        cost = COSTS[options.cost](network.decoder(z), x)
        regularizer = network.regularizer(output, z, generator)
        total = cost + options.weight * regularizer
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        self.optimiser.step()
        losses = {"total": float(total.detach()), "reconstruction": float(cost.detach())}
        if options.regularizer != "none":
            losses[options.regularizer] = float(regularizer.detach())
        return losses | network.regularizer.learn(z.detach(), options.weight, generator)

    def parts(self) -> dict[str, Part]:
        """Return the network and its optimiser; the network contains an adversary's own optimiser, if any."""
        return {"network": self.network, "optimiser": self.optimiser}
