"""From raw statistics to a verdict; every score is higher for a more anomalous picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.records import Column, Fusion
from inspector.types import Verdict

Floats = NDArray[np.float64]


def standardise(statistics: NDArray[np.floating], fusion: Fusion) -> Floats:
    """Express raw statistics in units of the training pictures' spread: `(x - center) / scale`.

    Parameters
    ----------
    statistics : array (n_images, n_columns)
        As `detector.onnx` returns them.
    fusion : Fusion
        Holds `center` and `scale`, each of length n_columns.

    Returns
    -------
    array (n_images, n_columns), float64
    """
    center = np.asarray(fusion.center)
    scale = np.asarray(fusion.scale)
    return np.asarray((np.asarray(statistics, dtype=np.float64) - center) / scale)


def component_scores(
    statistics: NDArray[np.floating], columns: Sequence[Column], fusion: Fusion
) -> dict[str, Floats]:
    """Return the score of each component: the mean of its standardised columns, shape (n_images,)."""
    z = standardise(statistics, fusion)
    members: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        members.setdefault(column.component, []).append(i)
    return {name: z[:, rows].sum(axis=1) / len(rows) for name, rows in members.items()}


def fuse(components: dict[str, Floats], fusion: Fusion) -> Floats:
    """Return the score of each picture: the weighted mean of the components named in `fused`.

    With a `floor`, a component below it counts as the floor: a very usual value of one component must not
    make up for an anomalous value of another.
    """
    floor = -np.inf if fusion.floor is None else fusion.floor
    parts = np.maximum([components[name] for name in fusion.fused], floor)  # (n_fused, n_images)
    if not fusion.weights:
        return np.asarray(parts.mean(axis=0))
    weights = np.array(fusion.weights)[:, np.newaxis]  # numpy.average is slower
    return np.asarray((parts * weights).sum(axis=0) / weights.sum())


def score(statistics: NDArray[np.floating], columns: Sequence[Column], fusion: Fusion) -> Floats:
    """Return one score for each row of raw statistics (n_images, n_columns), shape (n_images,)."""
    return fuse(component_scores(statistics, columns, fusion), fusion)


def is_flagged(score: float, threshold: float) -> bool:
    """Return whether a score is flagged: `score > threshold`; equal is not flagged."""
    return score > threshold


def p_value(score: float, heldout_scores: Sequence[float]) -> float:
    """Return `(1 + #{h >= s}) / (n + 1)`: the new picture counts among those that score at least as high.

    Lower is more anomalous, and never below `1 / (n + 1)`: n held-out normals cannot show that a score is
    rarer than that.  If the picture is exchangeable with the held-out normals, the p-value is at most u with
    probability at most u (split conformal prediction).
    """
    heldout = np.asarray(heldout_scores)
    return float((1 + np.count_nonzero(heldout >= score)) / (heldout.size + 1))


def number_as_high(p_value: float, heldout: int) -> int:
    """Return the number of held-out normals that score at least as high, from a p-value.

    Examples
    --------
    >>> number_as_high(0.05, 19), number_as_high(p_value(2.0, [1.0, 2.0, 3.0]), 3)
    (0, 2)
    """
    return round(p_value * (heldout + 1)) - 1


def verdict(score: float, threshold: float, review_threshold: float | None) -> Verdict:
    """Return `fail` above the threshold, `review` between the two thresholds, else `pass`."""
    if is_flagged(score, threshold):
        return "fail"
    if review_threshold is not None and is_flagged(score, review_threshold):
        return "review"
    return "pass"
