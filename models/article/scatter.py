"""Draws latents as points, in the plane in which they look least like the prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]

REACH = 4.0  # standard deviations of the prior from the middle of the picture to its edge
PLANES = 500  # random ones
BACKGROUND, AXES = 255, 225


def non_gaussianity(points: Floats) -> float:
    """Distance of projected latents (n, 2) from N(0, I), by their first four moments; 0 for equal moments.

    `‖mean‖² + ‖covariance − I‖² + Σ skewness² / 6 + Σ excess kurtosis² / 24`.  The last two terms are those
    of the Jarque-Bera statistic for the standardised columns.
    """
    mean, covariance = points.mean(0), np.cov(points.T)
    spread = np.maximum(points.std(0), 1e-12)
    z = (points - mean) / spread
    skewness, kurtosis = (z**3).mean(0), (z**4).mean(0) - 3
    shape = (skewness**2).sum() / 6 + (kurtosis**2).sum() / 24
    return float((mean**2).sum() + ((covariance - np.eye(2)) ** 2).sum() + shape)


def least_gaussian(latents: Floats) -> Floats:
    """Return the plane in which latents look least Gaussian, two orthonormal columns (d, 2).

    Tries 500 random planes, and three planes of principal directions: the two widest, the two narrowest, and
    the widest with the narrowest.

    Parameters
    ----------
    latents : array (n, d)
        n at least 3.
    """
    d = latents.shape[1]
    if d == 2:
        return np.eye(2)
    rng = np.random.default_rng(0)
    axes = np.linalg.eigh(np.cov(latents.T))[1]  # by rising spread
    planes = [axes[:, [-1, -2]], axes[:, [1, 0]], axes[:, [-1, 0]]]
    planes += [np.linalg.qr(rng.normal(size=(d, 2)))[0] for _ in range(PLANES)]
    return np.asarray(max(planes, key=lambda plane: non_gaussianity(latents @ plane)))


def draw(samples: Sequence[tuple[Floats, Colour]], side: int = 384) -> NDArray[np.uint8]:
    """Draw points (n, 2) as small squares, later samples over earlier ones, uint8 (side, side, 3).

    The picture reaches to 4 in each direction; points beyond are drawn at its edge.
    """
    picture = np.full((side, side, 3), BACKGROUND, np.uint8)
    picture[side // 2], picture[:, side // 2] = AXES, AXES
    for points, colour in samples:
        positions = np.clip((points / REACH + 1) / 2 * (side - 1), 2, side - 3).round().astype(int)
        for x, y in positions:
            row = side - 1 - y
            picture[row - 1 : row + 2, x - 1 : x + 2] = colour
    return picture
