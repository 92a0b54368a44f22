"""Cross-fitting: each normal picture is scored by a detector that was learned without it.

Memory banks, context models and the head are learned from normal pictures.  A picture that they learned
from looks more normal to them than a new picture does.  So the pictures are divided into folds, and for each
fold a detector is learned from other folds.  It scores the pictures of its fold.  Pictures of one duplicate
group, and siblings, belong to one fold.

References
----------
V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74, 2015.
R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani, "Predictive inference with the jackknife+", Annals of
Statistics 49, 2021.  CV+ scores a new picture with the detectors of all folds, and then rejects at most twice
the rate and a little more.  The shipped detector scores it once, and learned from more pictures than those
did.  That it keeps the rate is measured, and not a theorem.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FOLDS = 15  # of normal models, which are learned anew in no time
HEADS = 5  # each learns without three of these folds, because a head takes longer

Folds = NDArray[np.integer]  # the fold of each picture


def folds_of_groups(groups: NDArray[np.integer], seed: int, count: int = FOLDS) -> Folds:
    """Divide pictures with these group numbers (n,) into folds of about as many pictures.

    The largest groups are dealt out first, each to the smallest fold; groups of one size in random order.
    Fewer groups than folds make as many folds as there are groups.
    """
    names, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    filled, fold_of_group = np.zeros(min(count, len(names)), int), np.zeros(len(names), np.intp)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        fold_of_group[group] = filled.argmin()
        filled[fold_of_group[group]] += sizes[group]
    return fold_of_group[members]


def head_of_folds(folds: Folds) -> Folds:
    """Return the number of the head that did not learn from each of these folds."""
    return folds % HEADS


def positions_of_folds(folds: Folds) -> list[NDArray[np.intp]]:
    """Return the positions of the pictures of each fold; folds are numbered from 0."""
    return [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]
