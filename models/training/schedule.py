"""The learning rate over a training."""

from __future__ import annotations

import math


def warm_up_cosine(step: int, planned: int | None, warm_up: int, *, falls_from: int = 0) -> float:
    """Return the share of the full learning rate at a step: a linear warm-up times a falling cosine.

    `min(1, (t + 1) / w) · ½(1 + cos(π · (t − f) / (T − f)))`, the cosine 1 before step f and 0 from step T.

    Parameters
    ----------
    step : int
        t, counted from 0.
    planned : int or None
        T, the steps of the whole training; the rate does not fall where they are not known.
    warm_up : int
        w, steps.
    falls_from : int
        f.

    Examples
    --------
    >>> [round(warm_up_cosine(step, 100, 10), 3) for step in (0, 9, 50, 100)]
    [0.1, 0.98, 0.5, 0.0]
    """
    warm = min(1.0, (step + 1) / warm_up)
    if planned is None:
        return warm
    done = min(1.0, max(0.0, (step - falls_from) / max(1, planned - falls_from)))
    return warm * 0.5 * (1 + math.cos(math.pi * done))
