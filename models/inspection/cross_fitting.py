"""Cross-fitting: each normal picture is scored by models that were learned without it.

Memory banks and context models learn from all normal pictures.  A picture that they learned from looks more
normal to them than a new picture does.  So the pictures are divided into folds, and each picture is scored by
models that were learned without its fold.  Pictures of one duplicate group belong to one fold.

References
----------
V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74, 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.inspection.features import Features
from models.inspection.normal_model import Learned, NormalModel

Folds = NDArray[np.integer]
HELDOUT_FOLDS = 4
NO_FOLD = -1  # a picture that is scored in no fold


class CrossFitted:
    """A normal model that scores each picture without the picture's fold.

    Parameters
    ----------
    model : NormalModel
        Learned from n pictures.
    folds : int (n,)
        The fold of each of these pictures.
    """

    def __init__(self, model: NormalModel, folds: Folds) -> None:
        self._model, self._folds = model, folds
        self.without = cache(self._without)

    def _without(self, fold: int) -> NormalModel:
        """Return the model that was learned without a fold."""
        return self._model.without(self._folds == fold)

    def __call__(self, inputs: Sequence[Tensor], folds: Folds) -> Tensor:
        """Return the maps (N, 1, h, w) of N pictures, which belong to these folds (N,)."""
        order = np.argsort(folds, kind="stable")
        maps = [
            self.without(int(fold))(
                *(each[torch.from_numpy(np.flatnonzero(folds == fold))] for each in inputs)
            )
            for fold in np.unique(folds)
        ]
        return torch.cat(maps)[torch.from_numpy(np.argsort(order))]


# Computes the map of a normal model for a batch: takes the features of the batch, its place among all
# pictures, and the model.
Output = Callable[[Features, slice, Learned], Tensor]


class CrossFitting:
    """All normal models, cross-fitted.

    Parameters
    ----------
    models : mapping of Learned to NormalModel
    folds : mapping of Learned to int (n,)
        For each model the folds of the pictures that it was learned from.
    """

    def __init__(self, models: Mapping[Learned, NormalModel], folds: Mapping[Learned, Folds]) -> None:
        self._folds = folds
        self._models = {each: CrossFitted(model, folds[each]) for each, model in models.items()}

    def scores(self, folds: Mapping[Learned, Folds]) -> Output:
        """Return the function that scores pictures of these folds (m,)."""

        def output(features: Features, here: slice, learned: Learned) -> Tensor:
            return self._models[learned](learned.inputs_of(features), folds[learned][here])

        return output

    def without(self, fold: int) -> dict[Learned, NormalModel]:
        """Return all models, learned without a fold."""
        return {each: model.without(fold) for each, model in self._models.items()}

    def scores_known(self, positions: NDArray[np.intp]) -> Output:
        """Return the function that scores the pictures at these positions among the n pictures."""
        return self.scores({each: folds[positions] for each, folds in self._folds.items()})


def folds_of_groups(groups: Folds, count: int | None, seed: int) -> Folds:
    """Divide pictures with these group numbers (n,) into `count` folds of about as many groups, at random.

    Without `count` each group is a fold of its own.
    """
    names, positions = np.unique(groups, return_inverse=True)
    if count is None:
        return positions
    shuffled = np.random.default_rng(seed).permutation(len(names))
    return np.asarray(shuffled[positions] % min(count, len(names)))


def heldout_folds(groups: Folds) -> Folds:
    """Divide held-out pictures with these group numbers (h,) into four folds of about as many pictures."""
    names, counts = np.unique(groups, return_counts=True)
    sizes, folds = np.zeros(HELDOUT_FOLDS, int), np.zeros(len(names), np.intp)
    for i in np.argsort(-counts, kind="stable"):
        folds[i] = sizes.argmin()
        sizes[folds[i]] += counts[i]
    return folds[np.searchsorted(names, groups)]


def folds_like(groups: Folds, heldout_groups: Folds, folds: Folds) -> Folds:
    """Give pictures with group numbers (n,) the folds (h,) of the held-out pictures of the same group.

    Pictures whose group has no held-out picture belong to no fold.
    """
    known = dict(zip(heldout_groups.tolist(), folds.tolist(), strict=True))
    return np.array([known.get(group, NO_FOLD) for group in groups.tolist()], np.intp)
