"""What is learned from good pictures before the training: normal models, also without each fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.export.scoring_model import LEARNED_FROM, batches
from models.inspection.cross_fitting import FOLDS, Folds, folds_of_groups
from models.inspection.detector import Normalise
from models.inspection.features import TrunkFeatures, trunk_features
from models.inspection.network import Trunk
from models.inspection.normal_model import Learned, NormalModels, without
from models.inspection.siblings import sibling_groups
from models.split import cross_fitting_groups

MODEL_TICKS = 20  # of the progress bar for the normal models of one fold
LEARNED_PIXELS = (
    LEARNED_FROM * 512 * 512
)  # at most, of all pictures together: their features must fit in memory


@dataclass(frozen=True)
class Normals:
    """The normal models of a fit, and the pictures that they were learned from.

    Attributes
    ----------
    normalise : Normalise
        Brings pictures to the brightness of the good ones.
    rows : int (n,)
        The pictures that the models were learned from, at most 500.
    folds : int (N,)
        The fold of every picture that may be scored.
    models : dict of Learned to NormalModel
    apart : tuple of such dicts
        For each fold the same models, learned without it.
    s16 : Tensor (n, 128, H/16, W/16)
        The trunk's features that latents are computed from.
    """

    normalise: Normalise
    rows: NDArray[np.intp]
    folds: Folds
    models: NormalModels
    apart: tuple[NormalModels, ...]
    s16: Tensor


def chosen_rows(pictures: NDArray[np.intp], side: int) -> NDArray[np.intp]:
    """Return the pictures to learn from: at most 500, and fewer of large ones, at even distances."""
    count = min(len(pictures), LEARNED_FROM, max(2, LEARNED_PIXELS // side**2))
    return np.asarray(pictures[np.linspace(0, len(pictures) - 1, count).astype(int)])


@torch.no_grad()
def learn_normals(
    trunk: Trunk,
    learned: Sequence[Learned],
    pixels: NDArray[np.uint8],
    pictures: NDArray[np.intp],
    groups: NDArray[np.integer],
    seed: int,
    *,
    progress: Callable[[int, int], None],
) -> Normals:
    """Learn normal models from good pictures.

    Parameters
    ----------
    trunk : Trunk
        Pretrained, in evaluation mode.
    learned : sequence of Learned
        The models to learn.
    pixels : uint8 (N, H, W, 3)
    pictures : int (m,)
        The rows of `pixels` that may be learned from.
    groups : int (N,)
        Duplicate groups; their pictures, and siblings, are left out together.
    seed : int
        Chooses the folds, and the entries of memory banks.
    progress : callable
        Called as `progress(done, total)`.
    """
    rows = chosen_rows(pictures, pixels.shape[1])
    normalise = Normalise(float(np.median([pixels[row].mean() for row in rows])) / 255)
    done, total = 0, len(rows) + (1 + FOLDS) * MODEL_TICKS

    def tick(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    seen = _features(trunk, normalise, pixels, rows, tick)
    folds = np.full(len(pixels), -1, np.intp)
    related = _with_siblings(groups, rows, sibling_groups(seen.half_size_embedding, groups[rows], seed))
    folds[pictures] = folds_of_groups(cross_fitting_groups(related[pictures]), seed)
    models = {each: each.learn(*each.inputs_of(seen), groups[rows], seed) for each in learned}
    tick(MODEL_TICKS)
    apart = []
    for fold in range(int(folds.max()) + 1):
        apart.append(without(models, folds[rows] == fold))
        tick(MODEL_TICKS)
    return Normals(normalise, rows, folds, models, tuple(apart), seen.s16)


def _with_siblings(
    groups: NDArray[np.integer], rows: NDArray[np.intp], siblings: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Merge the duplicate groups (N,) of pictures that are siblings; int (n,) of some rows."""
    found = np.asarray(groups, np.int64).copy()
    for number in np.unique(siblings):
        merged = np.unique(groups[rows[siblings == number]])
        found[np.isin(groups, merged)] = merged[0]
    return found


def _features(
    trunk: Trunk,
    normalise: Normalise,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    tick: Callable[[int], None],
) -> TrunkFeatures:
    """Compute the features of pictures, without the two largest ones, which no normal model reads."""
    none = torch.zeros(0)

    def batched() -> Iterator[TrunkFeatures]:
        for batch in batches(pixels, rows):
            yield trunk_features(trunk, normalise(batch))._replace(s4=none, s8=none)
            tick(len(batch))

    return TrunkFeatures(*(torch.cat(parts) for parts in zip(*batched(), strict=True)))
