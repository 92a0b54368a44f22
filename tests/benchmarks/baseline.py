"""What a detector has to beat: three that look at pixels alone, without any learning of features.

Each is a function from the good training pictures to a function that scores one picture.  Scores and maps
rise with anomaly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.imaging.resize import fit_to

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

TOP_SHARE = 0.005  # of a map's places, whose mean is the score: defects are small
GAIN = (0.4, 2.5)  # by how much a picture's light may be corrected
LEAST_SPREAD = 2.0  # grey levels; a pixel that never changed would make noise a defect
THUMBNAIL = 64  # px
COMPONENTS = 32  # most of what good pictures share; more begin to copy defects


class Scored(NamedTuple):
    """A picture's score, and its map (h, w) of any size; both rise with anomaly."""

    score: float
    anomaly_map: Floats


Scorer = Callable[[Pixels], Scored]


def template(training: Pixels) -> Scorer:
    """Distance from the mean picture in units of each pixel's spread, `|x − mean| / spread`.

    Pictures are brought to one median brightness before.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    level = _usual_level(training)
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
    level = _usual_level(training)
    rows = _thumbnails(training, level)  # (N, d)
    mean = rows.mean(axis=0)
    count = min(COMPONENTS, len(rows) // 2)
    directions = np.linalg.svd(rows - mean, full_matrices=False)[2][:count]  # (count, d)

    def score(picture: Pixels) -> Scored:
        x = _thumbnails(picture[np.newaxis], level)[0] - mean  # (d,)
        return _pooled(_place_errors(x - (directions @ x) @ directions))

    return score


def neighbour(training: Pixels) -> Scorer:
    """Distance from the nearest training picture, `min_i ‖x − x_i‖`; its map is the difference to that one.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    level = _usual_level(training)
    rows = _thumbnails(training, level)  # (N, d)

    def score(picture: Pixels) -> Scored:
        x = _thumbnails(picture[np.newaxis], level)[0]
        distances = np.sqrt(((rows - x) ** 2).mean(axis=1))  # (N,)
        nearest = int(distances.argmin())
        return Scored(float(distances[nearest]), _place_errors(x - rows[nearest]))

    return score


def _usual_level(training: Pixels) -> float:
    return float(np.median([np.median(picture) for picture in training]))


def _levelled(picture: Pixels, level: float) -> Floats:
    """Multiply a picture so that its median is the usual one, as far as a change of light explains it."""
    gain = np.clip(level / max(1.0, float(np.median(picture))), *GAIN)
    return np.asarray(picture * np.float32(gain), np.float32)


def _thumbnails(pictures: Pixels, level: float) -> Floats:
    """Levelled pictures as rows, (N, H, W, 3) to (N, 3·64²)."""
    small = [_levelled(fit_to(picture, THUMBNAIL, THUMBNAIL), level).ravel() for picture in pictures]
    return np.stack(small)


def _place_errors(difference: Floats) -> Floats:
    """Mean absolute difference of each place, (3·64²,) to (64, 64)."""
    return np.asarray(np.abs(difference).reshape(THUMBNAIL, THUMBNAIL, 3).mean(axis=2), np.float32)


def _pooled(anomaly_map: NDArray[np.floating]) -> Scored:
    """Score a map by the mean of its highest places."""
    count = max(1, round(TOP_SHARE * anomaly_map.size))
    highest = np.partition(anomaly_map, -count, axis=None)[-count:]
    return Scored(float(highest.mean()), np.asarray(anomaly_map, np.float32))
