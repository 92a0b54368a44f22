"""The article's preset as a detector: the squared error of a DCGAN auto-encoder's copy is the score."""

from __future__ import annotations

import numpy as np

from inspector.imaging.resize import fit_to
from models.article.batches import PictureSampler, to_tensor
from models.article.figures import reconstruct
from models.article.learner import ArticleLearner
from models.article.networks import SIDE
from models.article.options import REGULARIZER_WEIGHTS, SMALL_WIDTH, ArticleOptions
from models.article.warm_start import warm_start
from models.training.pace import kept_threads
from tests.benchmarks.baseline import Pixels, Scored, Scorer

WIDTH = SMALL_WIDTH  # a quarter of the article's channels: it had a GPU
MMD_WEIGHT = REGULARIZER_WEIGHTS["mmd"]
STEPS = 150  # a CPU minute


def article(training: Pixels, *, steps: int = STEPS, width: int | None = None, seed: int = 0) -> Scorer:
    """Train with `0.05·‖x − x_hat‖² + 100·MMD`; the score is the mean of `(x − x_hat)²`.

    One thread computes: more could change the last digits of the outcome.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)
    steps : int
        Of 50 pictures each.
    width : int, optional
        Channels of the encoder's last convolution; `WIDTH` without it.
    seed : int
        The same seed gives the same networks.

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    sampler = PictureSampler(_small(training), np.arange(len(training)), flip=False, seed=seed)
    options = ArticleOptions(width=width or WIDTH, seed=seed, device="cpu")
    learner = ArticleLearner(options, sampler.steps_per_epoch)
    with kept_threads(1):
        warm_start(learner, sampler)
        for step in range(steps):
            learner.learn(sampler.draw(step), step, steps)
    network = learner.network.eval()

    def score(picture: Pixels) -> Scored:
        x = to_tensor(_small(picture[np.newaxis]))
        error = (reconstruct(network, x)[1] - x).square().mean(1)[0]  # (1, 3, 64, 64) -> (64, 64)
        return Scored(float(error.mean()), error.numpy())

    return score


def _small(pictures: Pixels) -> Pixels:
    """Pictures (N, H, W, 3) to (N, 64, 64, 3)."""
    return np.stack([fit_to(picture, SIDE, SIDE) for picture in pictures])
