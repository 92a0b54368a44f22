"""Normal models: memory banks and context models, which are learned from normal pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


class NormalModel(nn.Module, ABC):
    """A model of normal pictures.

    Called with inputs of N pictures it returns a map (N, 1, h, w); higher is more anomalous.
    """

    @abstractmethod
    def without(self, pictures: NDArray[np.bool_]) -> Self:
        """Return the model that is learned without some of its n pictures.

        Parameters
        ----------
        pictures : bool (n,)
            True for the pictures to leave out, in the order in which the model was given them.
        """


@dataclass(frozen=True, eq=False)
class Learned:
    """A normal model that components use, and how it is learned.

    Attributes
    ----------
    name : str
    inputs : tuple of str
        The features that the model reads: fields of `Features`, most of them also of `TrunkFeatures`.
    learn : callable
        `learn(*inputs, groups, seed)` learns from inputs of n pictures with group numbers (n,).
    """

    name: str
    inputs: tuple[str, ...]
    learn: Callable[..., NormalModel]

    @property
    def of_latents(self) -> bool:
        """True if the model is learned from latents, which exist after the training only."""
        return "latent" in self.inputs

    def inputs_of(self, features: Any) -> tuple[Tensor, ...]:
        """Return the features that the model reads."""
        return tuple(getattr(features, name) for name in self.inputs)


# Normal models by their rows in the table, and the same, learned without a fold.
NormalModels = dict[Learned, NormalModel]


def map_of(models: NormalModels, learned: Learned, features: Any) -> Tensor:
    """Return the map (N, 1, h, w) of one of the models."""
    found: Tensor = models[learned](*learned.inputs_of(features))
    return found


def without(models: NormalModels, pictures: NDArray[np.bool_]) -> NormalModels:
    """Return the models, each learned without some of its n pictures; bool (n,)."""
    return {learned: model.without(pictures) for learned, model in models.items()}
