"""Shows the training of the inspection network in TensorBoard, without changing it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.inspection.detector import Normalise
from models.inspection.learner import InspectionLearner
from models.training.tensorboard import CURVE_POINTS, PANELS, Board, due, pairs_in_rows

SHOWN, ACROSS = 8, 4


class InspectionPanel:
    """Writes curves, and reconstructions of held-out pictures by the averaged network.

    Parameters
    ----------
    board : Board
    learner : InspectionLearner
        The learner in training.
    pixels : uint8 (N, H, W, 3)
    heldout : int (n,)
    target_mean : float
        Brightness that pictures are brought to, 0 to 1.
    """

    def __init__(
        self,
        board: Board,
        learner: InspectionLearner,
        pixels: NDArray[np.uint8],
        heldout: NDArray[np.intp],
        target_mean: float,
    ) -> None:
        self._board, self._learner = board, learner
        with torch.no_grad():
            self._x = Normalise(target_mean)(torch.from_numpy(np.array(pixels[heldout[:SHOWN]])))

    def watch(self, step: int, steps: int, losses: dict[str, float]) -> None:
        """Write the curves and pictures that are due after a step."""
        if due(step, steps, CURVE_POINTS):
            curves = {f"loss/{name}": value for name, value in losses.items()}
            self._board.scalars(curves | {"learning_rate": self._learner.learning_rate}, step)
        if due(step, steps, PANELS):
            self._look(step)

    def _look(self, step: int) -> None:
        network = self._learner.averaged()  # a copy, in evaluation mode and on the processor
        with torch.no_grad():
            z = network.encoder(self._x).z
            x_hat = network.decoder(z)
        self._board.scalars(
            {
                "heldout/absolute_error": float((x_hat - self._x).abs().mean()),
                "latents/mean_square": float(z.square().mean()),
            },
            step,
        )
        pairs = pairs_in_rows(_to_pixels(self._x), _to_pixels(x_hat), ACROSS)
        self._board.picture("reconstructions/heldout", pairs, step)


def _to_pixels(x: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) in 0 to 1 to uint8 (N, H, W, 3)."""
    return (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
