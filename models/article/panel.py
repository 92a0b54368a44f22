"""What a training with the article's preset shows while it runs, without leaving a trace in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inspector.imaging import montage
from models.article.batches import to_pixels, to_tensor
from models.article.costs import squared_error
from models.article.figure import copies, decoded, fixed_noise, least_sharpness
from models.article.network import ArticleLearner, learning_rate
from models.article.scatter import draw, least_gaussian
from models.training.tensorboard import CURVE_POINTS, PANELS, Board, due, pairs_in_rows

LOOKED_AT = 200  # held-out pictures, and as many training pictures
SHOWN, ACROSS = 16, 8
SAMPLES = 64
PRIOR, TRAINING, HELDOUT = (190, 190, 190), (31, 119, 180), (255, 127, 14)


class Panel:
    """Writes curves and pictures of one training.

    Parameters
    ----------
    board : Board
    learner : ArticleLearner
        Is looked at in evaluation mode, and left as it was.
    pixels : uint8 (N, 64, 64, 3)
    training, heldout : int (n,)
    """

    def __init__(
        self,
        board: Board,
        learner: ArticleLearner,
        pixels: NDArray[np.uint8],
        training: NDArray[np.intp],
        heldout: NDArray[np.intp],
    ) -> None:
        self._board, self._learner = board, learner
        self._training, self._heldout = (
            to_tensor(np.array(pixels[rows[_spread(len(rows))]])) for rows in (training, heldout)
        )
        self._noise = fixed_noise(SAMPLES, learner.options.latent_dim)
        self._before: Tensor | None = None

    def watch(self, step: int, steps: int, losses: dict[str, float]) -> None:
        """Write what is due after a step."""
        if due(step, steps, CURVE_POINTS):
            rate = learning_rate(step - 1, steps, self._learner.options.steps_per_epoch)
            curves = {f"loss/{name}": value for name, value in losses.items()}
            self._board.scalars(curves | {"learning_rate": rate}, step)
        if due(step, steps, PANELS):
            self._look(step)

    def _look(self, step: int) -> None:
        """Write what the network makes of fixed pictures and fixed noise."""
        network, board = self._learner.network, self._board
        z_training, x_training = copies(network, self._training)
        z, x_hat = copies(network, self._heldout)
        samples = decoded(network, self._noise)
        board.scalars(
            {
                "heldout/squared_error": float(squared_error(x_hat, self._heldout).mean()),
                "training/squared_error": float(squared_error(x_training, self._training).mean()),
                "sharpness/pictures": least_sharpness(self._heldout),
                "sharpness/copies": least_sharpness(x_hat),
                "sharpness/samples": least_sharpness(samples),
                **self._movement(z),
            },
            step,
        )
        for name, x, copy in (
            ("copies/training", self._training, x_training),
            ("copies/heldout", self._heldout, x_hat),
        ):
            board.picture(name, pairs_in_rows(to_pixels(x[:SHOWN]), to_pixels(copy[:SHOWN]), ACROSS), step)
        board.picture("samples", montage.lay_out(list(to_pixels(samples)), ACROSS), step)
        board.picture("codes", scatter(z_training, z), step)

    def _movement(self, z: Tensor) -> dict[str, float]:
        """How far held-out codes went since they were last looked at: `mean ‖z − z_before‖ / √d`."""
        before, self._before = self._before, z
        if before is None:
            return {}
        return {"codes/movement": float((z - before).norm(dim=1).mean() / z.shape[1] ** 0.5)}


def _spread(count: int) -> NDArray[np.intp]:
    return np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(np.intp)


def scatter(training: Tensor, heldout: Tensor) -> NDArray[np.uint8]:
    """Codes (n, d) and (m, d) in the plane where the training codes look least Gaussian, over the prior.

    The prior is grey, training codes are blue, held-out ones orange.
    """
    codes = training.double().numpy()
    plane = least_gaussian(codes)
    draws = np.random.default_rng(0).normal(size=(500, 2))
    return draw([(draws, PRIOR), (codes @ plane, TRAINING), (heldout.double().numpy() @ plane, HELDOUT)])
