"""A trained model that is ready for export, and the scores of the normal pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inspector.bundle.records import Column
from inspector.types import RawScores

LEARNED_FROM = 500  # pictures at most that the normal models are learned from
SCORING_BATCH = 8


@dataclass(frozen=True)
class CalibrationFold:
    """A fold of the pictures that set the thresholds.

    Attributes
    ----------
    positions : int (k,)
        Of its pictures among them.
    constants : dict of str to array
        The constants of the exported detector that differ if it is learned without these pictures.
    """

    positions: NDArray[np.intp]
    constants: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class ScoringModel:
    """The three graphs of a model, and the scores of the pictures that it was fitted to.

    Attributes
    ----------
    architecture : str
    columns : tuple of Column
        The columns of the statistics.
    weights : dict of str to float
        The weight of each component that counts in the score.
    detector, encoder, decoder : Module
        On the processor, in evaluation mode.
    parameters : dict of str to int
        The number of parameters of each part of the network.
    memory_bank : float32 (m, d)
        Latents of normal pictures.
    training_rows : int (n,)
        The pictures of `training`.
    training : RawScores
        Pictures that the model was learned from, each scored without itself.
    disturbed_statistics : float32 (m, C), optional
        Statistics of such pictures after harmless changes.
    calibration_rows : int (h,)
        The pictures that set the thresholds: some of `training_rows`, or pictures that were held out of
        everything.
    calibration_scores : RawScores
        These pictures, each scored without what was learned from it.
    calibration_folds : tuple of CalibrationFold
        Their folds: with the constants of each fold, the exported graph must give the same scores.
    heldout_positions : int (k,)
        Those of these pictures that the auto-encoder did not learn from: drift is measured against them.
    try_int8 : bool
        True if a graph with 8-bit convolutions may be worth it.
    figures : dict of str to float
        Other measurements, for the manifest.
    heldout_errors : tuple of float
        The squared error of the reconstruction of each held-out picture, if it was measured.
    """

    architecture: str
    columns: tuple[Column, ...]
    weights: dict[str, float]
    detector: nn.Module
    encoder: nn.Module
    decoder: nn.Module
    parameters: dict[str, int]
    memory_bank: NDArray[np.float32]
    training_rows: NDArray[np.intp]
    training: RawScores
    disturbed_statistics: NDArray[np.float32] | None
    calibration_rows: NDArray[np.intp]
    calibration_scores: RawScores
    calibration_folds: tuple[CalibrationFold, ...]
    heldout_positions: NDArray[np.intp]
    try_int8: bool = False
    figures: dict[str, float] = field(default_factory=dict)
    heldout_errors: tuple[float, ...] = ()

    @property
    def is_cross_fitted(self) -> bool:
        """True if the pictures that set the thresholds are among those that the model was learned from."""
        return bool(np.isin(self.calibration_rows, self.training_rows).all())


def batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[Tensor]:
    """Return pictures as tensors uint8 (8, H, W, 3); the last batch has the rest."""
    for start in range(0, len(rows), SCORING_BATCH):
        yield torch.from_numpy(np.array(pixels[rows[start : start + SCORING_BATCH]]))
