"""The bins of a histogram of held-out scores, counted by verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_BINS, MOST_BINS = 8, 60


@dataclass(frozen=True)
class Bins:
    """Scores counted in bins (edge, next edge].

    Attributes
    ----------
    edges : array (n + 1,)
        The threshold is one of the edges, so that no bin mixes passes with fails.
    counts : dict of str to int array (n,)
        Number of pictures in each bin, by verdict: "pass", "review", "fail".
    beyond : int
        Number of scores over the last edge.
    """

    edges: Floats
    counts: dict[str, NDArray[np.intp]]
    beyond: int


def score_bins(scores: Sequence[float], threshold: float, review_threshold: float | None = None) -> Bins:
    """Count scores in bins with the edges `threshold + k * bin_width`.

    A bin holds its upper edge and not its lower one, because a score equal to the threshold passes.  A few
    scores far to the right do not squeeze the others: the bins end at twice the threshold's distance from
    the smallest score, and `beyond` counts the scores farther right.

    Parameters
    ----------
    scores : sequence of float, length n >= 1
        Higher is more anomalous.
    threshold, review_threshold : float
        A score over `threshold` fails; a score over `review_threshold`, if given, is for review.

    Returns
    -------
    Bins
    """
    values = np.sort(np.asarray(scores, dtype=np.float64))
    edges = _edges(values, threshold)
    fails = values > threshold
    reviews = ~fails & (values > (threshold if review_threshold is None else review_threshold))
    chosen = {"pass": ~fails & ~reviews, "review": reviews, "fail": fails}
    counts = {
        verdict: np.diff(np.searchsorted(values[rows], edges, side="right"))
        for verdict, rows in chosen.items()
    }
    return Bins(edges, counts, int(np.count_nonzero(values > edges[-1])))


def _edges(values: Floats, threshold: float) -> Floats:
    """Return edges from below the smallest value to the threshold or beyond."""
    smallest, largest = float(values[0]), float(values[-1])
    smallest_span = 1e-4 * max(1.0, abs(threshold))  # equal scores still need an axis
    spans = (threshold - smallest, largest - threshold, abs(threshold) / 2)
    span = next((span for span in spans if span > smallest_span), 1.0)
    furthest = min(largest, threshold + 2 * span)
    width = max(furthest - smallest, span) / np.clip(2 * math.sqrt(values.size), FEWEST_BINS, MOST_BINS)
    first = math.floor((smallest - threshold) / width - 1e-9)  # a bin does not hold its lower edge
    last = math.ceil((furthest - threshold) / width - 1e-9)
    return np.asarray(threshold + width * np.arange(min(first, -1), max(last, 1) + 1))
