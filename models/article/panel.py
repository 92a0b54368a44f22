"""Shows a training of the article's auto-encoder in TensorBoard, without changing the training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inspector.imaging import montage
from models.article.batches import to_pixels, to_tensor
from models.article.costs import squared_error
from models.article.figures import decode, fixed_noise, min_sharpness, reconstruct
from models.article.learner import ArticleLearner
from models.article.scatter import draw, least_gaussian
from models.training.tensorboard import CURVE_POINTS, PANELS, Board, due, pairs_in_rows

SHOWN_LATENTS = 200  # of held-out pictures, and as many of training pictures
SHOWN, PER_ROW = 16, 8  # pictures of a montage
SAMPLES = 64
GREY, BLUE, ORANGE = (190, 190, 190), (31, 119, 180), (255, 127, 14)


class ArticlePanel:
    """Writes curves and pictures of one training.

    Parameters
    ----------
    board : Board
    learner : ArticleLearner
        Evaluated, and left as it was.
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
            to_tensor(np.array(pixels[rows[_evenly(len(rows))]])) for rows in (training, heldout)
        )
        self._noise = fixed_noise(SAMPLES, learner.options.latent_dim)
        self._before: Tensor | None = None

    def watch(self, step: int, steps: int, losses: dict[str, float]) -> None:
        """Write the curves and pictures that are due after a step."""
        if due(step, steps, CURVE_POINTS):
            curves = {f"loss/{name}": value for name, value in losses.items()}
            self._board.scalars(curves | {"learning_rate": self._learner.learning_rate}, step)
        if due(step, steps, PANELS):
            self._show(step)

    def _show(self, step: int) -> None:
        """Write reconstructions of fixed pictures, and samples from fixed noise."""
        network, board = self._learner.network, self._board
        z_training, x_training = reconstruct(network, self._training)
        z, x_hat = reconstruct(network, self._heldout)
        samples = decode(network, self._noise)
        board.scalars(
            {
                "heldout/squared_error": float(squared_error(x_hat, self._heldout).mean()),
                "training/squared_error": float(squared_error(x_training, self._training).mean()),
                "sharpness/pictures": min_sharpness(self._heldout),
                "sharpness/reconstructions": min_sharpness(x_hat),
                "sharpness/samples": min_sharpness(samples),
                **self._movement(z),
            },
            step,
        )
        for name, x, y in (
            ("reconstructions/training", self._training, x_training),
            ("reconstructions/heldout", self._heldout, x_hat),
        ):
            board.picture(name, pairs_in_rows(to_pixels(x[:SHOWN]), to_pixels(y[:SHOWN]), PER_ROW), step)
        board.picture("samples", montage.lay_out(list(to_pixels(samples)), PER_ROW), step)
        board.picture("latents", scatter(z_training, z), step)

    def _movement(self, z: Tensor) -> dict[str, float]:
        """Return how far held-out latents moved since the last call: `mean ‖z − z_before‖ / √d`."""
        before, self._before = self._before, z
        if before is None:
            return {}
        return {"latents/movement": float((z - before).norm(dim=1).mean() / z.shape[1] ** 0.5)}


def _evenly(count: int) -> NDArray[np.intp]:
    return np.linspace(0, count - 1, min(count, SHOWN_LATENTS)).astype(np.intp)


def scatter(training: Tensor, heldout: Tensor) -> NDArray[np.uint8]:
    """Draw training latents (n, d) in blue and held-out ones (m, d) in orange over the prior in grey.

    The plane is the one in which the training latents look least Gaussian.
    """
    latents = training.double().numpy()
    plane = least_gaussian(latents)
    draws = np.random.default_rng(0).normal(size=(500, 2))
    return draw([(draws, GREY), (latents @ plane, BLUE), (heldout.double().numpy() @ plane, ORANGE)])
