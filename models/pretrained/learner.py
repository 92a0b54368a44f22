"""One optimiser step of the pretraining, the same for every network whose averaged weights are shipped."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.training.learner import Learner, Part
from models.training.schedule import warm_up_cosine

LEARNING_RATE, WEIGHT_DECAY, BETAS = 2e-3, 1e-2, (0.9, 0.98)
WARM_UP_STEPS = 100
MAX_GRADIENT_NORM = 5.0

Batch = TypeVar("Batch")


class AveragingLearner(Learner, Generic[Batch]):
    """Trains a network on batches of any kind, and keeps a moving average of its weights.

    Parameters
    ----------
    network : nn.Module
        Its averaged weights are shipped.
    companions : sequence of nn.Module
        They learn with the network and are not shipped.
    steps : int
        The learning rate falls to 0 at this step; the training may stop earlier.
    decay : float
        Weight of the earlier weights in the moving average.
    """

    def __init__(
        self, network: nn.Module, companions: Sequence[nn.Module], *, steps: int, decay: float
    ) -> None:
        self.steps = steps
        self.networks = nn.ModuleList([network, *companions])
        self.average = AveragedModel(
            network,
            multi_avg_fn=get_ema_multi_avg_fn(decay),  # type: ignore[no-untyped-call]  # torch leaves it so
            use_buffers=True,
        )
        self.optimiser = torch.optim.AdamW(
            self.networks.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY
        )

    @abstractmethod
    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return the losses of a batch, and their weighted sum as `total`."""

    def learn(self, batch: Batch, step: int, planned: int | None) -> dict[str, float]:  # noqa: ARG002  # own schedule
        """Take one step, and return the losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * warm_up_cosine(step, self.steps, WARM_UP_STEPS)
        losses = self.losses(batch, step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["total"])
        nn.utils.clip_grad_norm_(self.networks.parameters(), MAX_GRADIENT_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.networks[0])
        return {name: float(value.detach()) for name, value in losses.items()}

    def parts(self) -> dict[str, Part]:
        """Return the networks, the average of the first one's weights, and the optimiser."""
        return {"networks": self.networks, "average": self.average, "optimiser": self.optimiser}
