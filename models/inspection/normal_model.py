"""Normal models: memory banks and context models, which are learned from normal pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from models.inspection.features import Features


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
        The fields of `Features` that the model reads.
    learn : callable
        `learn(*inputs, groups, seed)` learns from inputs of n pictures with group numbers (n,).
    folds : int, optional
        The number of folds in cross-fitting.  Without it, each group of pictures is a fold of its own,
        which suits models that leave pictures out at no cost.
    """

    name: str
    inputs: tuple[str, ...]
    learn: Callable[..., NormalModel]
    folds: int | None = None

    def inputs_of(self, features: Features) -> tuple[Tensor, ...]:
        """Return the features that the model reads."""
        return tuple(getattr(features, name) for name in self.inputs)
