"""Finds pictures among the good ones that may not be good: their scores lie clearly above the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from inspector.imaging.files import printable

FENCE = 1.5
LEAST_RANGE = 0.1  # of a score: a tenth of the spread of the training pictures
SIGNIFICANCE = 0.01
NAMED = 3  # pictures in a sentence


def outlyingness(scores: ArrayLike) -> NDArray[np.float64]:
    r"""Return the distance of each score above the upper quartile of all, in interquartile ranges.

    .. math:: o_i = \frac{s_i - Q_3}{\max(Q_3 - Q_1,\ 0.1)}

    A picture with :math:`o_i > 1.5` is suspicious: it lies beyond Tukey's fence, the whiskers of a box
    plot [1]_.  Bad pictures do not move the fence unless they are a quarter of all.  Scores of good pictures
    are skewed, so a few in a hundred lie beyond it.  Looking at those costs little; missing a bad one costs
    much.

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


@dataclass(frozen=True)
class AboveBefore:
    """The new good pictures that the threshold before would reject.

    Attributes
    ----------
    threshold, rate : float
        The threshold before, and the share of good pictures that it promised to reject at most.
    images : int
        Number of all new pictures.
    names : tuple of str
        The pictures above the threshold, the highest score first.
    """

    threshold: float
    rate: float
    images: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, scores: ArrayLike, names: Sequence[str], threshold: float, rate: float) -> AboveBefore:
        """Find the pictures of these scores (n,) and names that score above a threshold."""
        values = np.asarray(scores, dtype=np.float64)
        order = [int(i) for i in np.argsort(-values, kind="stable") if values[i] > threshold]
        return cls(threshold, rate, len(values), tuple(names[i] for i in order))

    @property
    def too_many(self) -> bool:
        """True if the promise does not explain so many: a one-sided binomial test rejects it at 1 %."""
        if not self.names:
            return False
        found = binomtest(len(self.names), self.images, self.rate, alternative="greater")
        return bool(found.pvalue < SIGNIFICANCE)

    def in_words(self) -> list[str]:
        """Return one sentence if there are too many; it names the three with the highest scores.

        Examples
        --------
        >>> found = AboveBefore.of([3.0, 1.0, 4.0], ["a.png", "b.png", "c.png"], 1.449, 0.05)
        >>> found.in_words()[0].split(":")[0]
        '2 of 3 new pictures score above the threshold before (1.449), such as c.png, a.png'
        """
        if not self.too_many:
            return []
        named = ", ".join(map(printable, self.names[:NAMED]))
        return [
            f"{len(self.names)} of {self.images} new pictures score above the threshold before "
            f"({self.threshold:.3f}), such as {named}: look at them before you rely on this threshold"
        ]
