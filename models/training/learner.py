"""The interface between the training loop and the networks that it trains."""

from __future__ import annotations

from typing import Any, Protocol


class Learner(Protocol):
    """A network with its optimiser; a deep copy of it trains without changing the original."""

    def learn(self, batch: Any, step: int, planned: int | None) -> dict[str, float]:
        """Take one optimiser step and return the losses, their sum as `total`.

        All random draws depend on the learner's seed and on `step` alone.  `planned` is the number of steps
        of the whole training, or None where it is not known yet.
        """

    def state(self) -> dict[str, Any]:
        """Return all that another learner with the same options needs to continue."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state` returned."""
