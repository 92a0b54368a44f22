"""Four simple detectors that a useful detector has to beat.

Three of them compare pixels; the fourth is the article's auto-encoder.  Each is a function from the good
training pictures to a function that scores one picture.  Higher scores and map values are more anomalous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.imaging.resize import fit_to
from inspector.types import Pixels
from models.article.batches import PictureSampler, to_tensor
from models.article.figures import reconstruct
from models.article.learner import ArticleLearner
from models.article.networks import SIDE
from models.article.options import REGULARIZER_WEIGHTS, SMALL_WIDTH, ArticleOptions
from models.article.warm_start import warm_start
from models.training.pace import kept_threads

Floats = NDArray[np.float32]

TOP_SHARE = 0.005  # the score is the mean of this share of a map's pixels, the highest ones
GAIN = (0.4, 2.5)  # limits of the correction of a picture's brightness
LEAST_SPREAD = 2.0  # grey levels, so that noise in a constant pixel is not a defect
THUMBNAIL = 64  # px
PRINCIPAL_COMPONENTS = 32  # more of them begin to copy defects
ARTICLE_WIDTH = SMALL_WIDTH  # a quarter of the article's channels, for a CPU
ARTICLE_WEIGHT = REGULARIZER_WEIGHTS["mmd"]
ARTICLE_STEPS = 150  # about a minute on a CPU


class Scored(NamedTuple):
    """The score of a picture and its anomaly map (h, w) of any size; higher is more anomalous."""

    score: float
    anomaly_map: Floats


Scorer = Callable[[Pixels], Scored]


def template(training: Pixels) -> Scorer:
    """Distance from the mean picture in units of each pixel's spread, `|x − mean| / spread`.

    All pictures are first brought to the same median brightness.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    level = _median_level(training)
    total, squares = np.zeros((2, *training.shape[1:]))
    for picture in training:
        x = _levelled(picture, level)
        total += x
        squares += x.astype(np.float64) ** 2
    mean = total / len(training)
    spread = np.sqrt(np.maximum(squares / len(training) - mean**2, 0)) + LEAST_SPREAD

    def score(picture: Pixels) -> Scored:
        return _pooled((np.abs(_levelled(picture, level) - mean) / spread).mean(axis=2))

    return score


def residual(training: Pixels) -> Scorer:
    """Distance from the plane of the first principal components, `‖x − mean − VᵀV(x − mean)‖`.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    level = _median_level(training)
    rows = _thumbnails(training, level)  # (N, d)
    mean = rows.mean(axis=0)
    count = min(PRINCIPAL_COMPONENTS, len(rows) // 2)
    directions = np.linalg.svd(rows - mean, full_matrices=False)[2][:count]  # (count, d)

    def score(picture: Pixels) -> Scored:
        x = _thumbnails(picture[np.newaxis], level)[0] - mean  # (d,)
        return _pooled(_pixel_errors(x - (directions @ x) @ directions))

    return score


def neighbour(training: Pixels) -> Scorer:
    """Distance from the nearest training picture, `min_i ‖x − x_i‖`; the map is the difference to it.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    level = _median_level(training)
    rows = _thumbnails(training, level)  # (N, d)

    def score(picture: Pixels) -> Scored:
        x = _thumbnails(picture[np.newaxis], level)[0]
        distances = np.sqrt(((rows - x) ** 2).mean(axis=1))  # (N,)
        nearest = int(distances.argmin())
        return Scored(float(distances[nearest]), _pixel_errors(x - rows[nearest]))

    return score


def article(training: Pixels, *, steps: int = ARTICLE_STEPS, width: int | None = None) -> Scorer:
    """Train with `0.05·‖x − x_hat‖² + 100·MMD`; the score is the mean of `(x − x_hat)²`.

    One thread computes, because several threads could change the last digits of the outcome.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)
    steps : int
        Training steps of 50 pictures each.
    width : int, optional
        Channels of the encoder's last convolution; `ARTICLE_WIDTH` by default.

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    sampler = PictureSampler(_small(training), np.arange(len(training)), flip=False, seed=0)
    options = ArticleOptions(width=width or ARTICLE_WIDTH, seed=0, device="cpu")
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


def _median_level(training: Pixels) -> float:
    return float(np.median([np.median(picture) for picture in training]))


def _levelled(picture: Pixels, level: float) -> Floats:
    """Multiply a picture to bring its median to `level`, within the limits of `GAIN`."""
    gain = np.clip(level / max(1.0, float(np.median(picture))), *GAIN)
    return np.asarray(picture * np.float32(gain), np.float32)


def _thumbnails(pictures: Pixels, level: float) -> Floats:
    """Levelled pictures as rows, (N, H, W, 3) to (N, 3·64²)."""
    small = [_levelled(fit_to(picture, THUMBNAIL, THUMBNAIL), level).ravel() for picture in pictures]
    return np.stack(small)


def _pixel_errors(difference: Floats) -> Floats:
    """Mean over colours of the absolute difference, (3·64²,) to (64, 64)."""
    return np.asarray(np.abs(difference).reshape(THUMBNAIL, THUMBNAIL, 3).mean(axis=2), np.float32)


def _pooled(anomaly_map: NDArray[np.floating]) -> Scored:
    """Score a map by the mean of its highest pixels."""
    count = max(1, round(TOP_SHARE * anomaly_map.size))
    highest = np.partition(anomaly_map, -count, axis=None)[-count:]
    return Scored(float(highest.mean()), np.asarray(anomaly_map, np.float32))
