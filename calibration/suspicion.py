"""Finds pictures among the good ones that may not be good: their scores lie clearly above the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FENCE = 1.5
LEAST_RANGE = 0.1  # of a score: a tenth of the spread of the training pictures


def outlyingness(scores: ArrayLike) -> NDArray[np.float64]:
    r"""Say how far each score lies above the upper quartile of all, in interquartile ranges.

    .. math:: o_i = \frac{s_i - Q_3}{\max(Q_3 - Q_1,\ 0.1)}

    A picture with :math:`o_i > 1.5` is suspicious: it lies beyond Tukey's fence, the whiskers of a box
    plot [1]_.  Bad pictures do not move the fence unless they are a quarter of all.  Scores of good pictures
    are skewed, and a few in a hundred lie beyond it: to look at these is cheap, to miss a bad one is not.

    Parameters
    ----------
    scores : array-like (n,)
        Scores of one kind: all of held-out pictures, or all of training pictures.

    Returns
    -------
    float64 (n,)
        Rises with the score.

    References
    ----------
    .. [1] J. W. Tukey, "Exploratory Data Analysis", Addison-Wesley, 1977, chapter 2.

    Examples
    --------
    >>> outlyingness([1.0, 2.0, 3.0, 4.0, 13.0]).round(1).tolist()
    [-1.5, -1.0, -0.5, 0.0, 4.5]
    """
    values = np.asarray(scores, dtype=np.float64)
    if not values.size:
        return values
    lower, upper = np.quantile(values, [0.25, 0.75])
    return np.asarray((values - upper) / max(upper - lower, LEAST_RANGE))
