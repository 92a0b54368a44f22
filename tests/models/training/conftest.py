"""A learner that trains in milliseconds, and the reader of TensorBoard runs."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from models.training.learner import Learner, Part


class TinyLearner(Learner):
    """A linear layer that learns to add two numbers, with noise that depends on seed and step.

    Parameters
    ----------
    seed : int
    step_seconds : float
        Sleep this long in each step.
    diverges_at : int, optional
        The step whose loss is not a number.
    """

    def __init__(self, seed: int = 0, *, step_seconds: float = 0.0, diverges_at: int | None = None) -> None:
        torch.manual_seed(seed)
        self.layer = nn.Linear(2, 1)
        self.optimiser = torch.optim.Adam(self.layer.parameters(), 0.03)
        self.seed, self.step_seconds, self.diverges_at = seed, step_seconds, diverges_at

    def learn(self, batch: torch.Tensor, step: int, planned: int | None) -> dict[str, float]:
        """Take one step."""
        time.sleep(self.step_seconds)
        generator = torch.Generator().manual_seed(self.seed * 1000 + step)
        noise = 0.01 * torch.randn(batch.shape, generator=generator)
        loss = (self.layer(batch + noise) - batch.sum(1, keepdim=True)).square().mean()
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()
        total = float("nan") if step == self.diverges_at else float(loss.detach())
        return {"total": total}

    def parts(self) -> dict[str, Part]:
        """Weights and moments."""
        return {"layer": self.layer, "optimiser": self.optimiser}


def draw(step: int) -> torch.Tensor:
    """Eight pairs of numbers, which depend on the step alone."""
    return torch.randn(8, 2, generator=torch.Generator().manual_seed(step))


def events(folder: Path) -> EventAccumulator:
    """All that a run wrote."""
    found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    return found
