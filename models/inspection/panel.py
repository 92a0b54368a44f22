"""Shows the training of the inspection network in TensorBoard, without changing it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.inspection.learner import InspectionLearner
from models.inspection.normals import Normals
from models.training.tensorboard import CURVE_POINTS, PANELS, Board, due, pairs_in_rows

SHOWN, ACROSS = 8, 4


class InspectionPanel:
    """Writes curves, and reconstructions of held-out pictures by the averaged network.

    Parameters
    ----------
    board : Board
    learner : InspectionLearner
        The learner in training.
    normals : Normals
    pixels : uint8 (N, H, W, 3)
    heldout : int (n,)
        Pictures that the auto-encoder does not learn from.
    """

    def __init__(
        self,
        board: Board,
        learner: InspectionLearner,
        normals: Normals,
        pixels: NDArray[np.uint8],
        heldout: NDArray[np.intp],
    ) -> None:
        self._board, self._learner = board, learner
        with torch.no_grad():
            self._x = normals.normalise(torch.from_numpy(np.array(pixels[heldout[:SHOWN]])))

    def watch(self, step: int, steps: int, losses: dict[str, float]) -> None:
        """Write the curves and pictures that are due after a step."""
        if due(step, steps, CURVE_POINTS):
            curves = {f"loss/{name}": value for name, value in losses.items()}
            self._board.scalars(curves | {"learning_rate": self._learner.learning_rate}, step)
        if due(step, steps, PANELS):
            self._look(step)

    def _look(self, step: int) -> None:
        network, _ = self._learner.averaged()  # copies, in evaluation mode and on the processor
        with torch.no_grad():
            z = network.encoder(self._x)
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
