"""The interface between the training loop and the networks that it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol


class Part(Protocol):
    """A part of a learner that a checkpoint stores: a network, an average of weights, an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the part has learned."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Load what `state_dict` returned."""


class Learner(ABC):
    """A network with its optimiser; a deep copy of it trains without changing the original."""

    @abstractmethod
    def learn(self, batch: Any, step: int, planned: int | None) -> dict[str, float]:
        """Take one optimiser step and return the losses, their sum as `total`.

        All random draws depend on the learner's seed and on `step` alone.  `planned` is the number of steps
        of the whole training, or None where it is not known yet.
        """

    @abstractmethod
    def parts(self) -> Mapping[str, Part]:
        """Return everything that changes in training, by name."""

    def state(self) -> dict[str, Any]:
        """Return all that another learner with the same options needs to continue."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state` returned."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
