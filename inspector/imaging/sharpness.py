"""The sharpness of a picture: the variance of its Laplacian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Return the variance of the 3 x 3 Laplacian of the grey picture; higher is sharper.

    `Var(g(y−1, x) + g(y+1, x) + g(y, x−1) + g(y, x+1) − 4·g(y, x))`, over all pixels that have four
    neighbours.  Noise counts as sharpness, just as detail does.

    Parameters
    ----------
    pixels : uint8 (H, W, 3)
        RGB, at least 3 pixels on a side.

    Returns
    -------
    float
        In squared grey levels of 0 to 255; 0 for a flat picture.

    References
    ----------
    J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study",
    ICPR 2000.

    Examples
    --------
    >>> sharpness(np.full((8, 8, 3), 200, np.uint8))
    0.0
    """
    grey = np.round(pixels @ _LUMA, 6)  # so that a flat picture has exactly 0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * grey[1:-1, 1:-1]))
