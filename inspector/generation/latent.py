"""Codes: drawn from the prior, and the way from one to another (numpy only)."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.float32]

_SMALLEST_SINE = 1e-4  # below, the two directions are one, or opposite: no great circle is theirs alone


class Course(StrEnum):
    """How to get from one code to another."""

    ARC = "arc"
    LINE = "line"


def draw(count: int, shape: tuple[int, ...], seed: int) -> Codes:
    """Draw codes from the prior N(0, I).

    Parameters
    ----------
    count : int
    shape : tuple of int
        Of one code.
    seed : int
        With the same seed, the first codes are the same however many are drawn.

    Returns
    -------
    float32 (count, *shape)
    """
    return np.random.default_rng(seed).standard_normal((count, *shape), dtype=np.float32)


def between(first: Codes, second: Codes, steps: int, course: Course = Course.ARC) -> Codes:
    """Go from one code to another in equal steps, both ends included.

    The line is `(1 − t)·a + t·b`.  The arc turns the direction along the great circle and changes the
    length evenly: `|z| = (1 − t)·|a| + t·|b|`.  Codes of a prior N(0, I) in d dimensions have lengths near
    √d, and a line between two of them passes through lengths down to √(d/2), which a decoder has not seen;
    the arc keeps to lengths between those of its ends.  Each place of a spatial latent has a code of its
    own, so each place has its own arc.

    Parameters
    ----------
    first, second : float32 (d,) or (d, h, w)
    steps : int
        At least 2.
    course : Course
        Where the directions are the same or opposite, the arc is the line.

    Returns
    -------
    float32 (steps, d) or (steps, d, h, w)
        The first and the last are `first` and `second` themselves.

    Examples
    --------
    >>> print(between(np.float32([2, 0]), np.float32([0, 2]), 3).round(2))
    [[2.   0.  ]
     [1.41 1.41]
     [0.   2.  ]]
    >>> print(between(np.float32([2, 0]), np.float32([0, 2]), 3, Course.LINE))
    [[2. 0.]
     [1. 1.]
     [0. 2.]]
    """
    a, b = (np.asarray(code, np.float64) for code in (first, second))
    positions = np.linspace(0, 1, steps)
    codes = np.stack([(1 - t) * a + t * b if course is Course.LINE else _on_arc(a, b, t) for t in positions])
    codes[0], codes[-1] = a, b
    return codes.astype(np.float32)


def _on_arc(a: NDArray[np.float64], b: NDArray[np.float64], t: float) -> NDArray[np.float64]:
    """One point of the arc; numbers of one code lie along the first axis."""
    lengths = [np.linalg.norm(code, axis=0, keepdims=True) for code in (a, b)]
    u, v = (code / np.maximum(length, 1e-12) for code, length in zip((a, b), lengths, strict=True))
    angle = np.arccos(np.clip((u * v).sum(axis=0, keepdims=True), -1, 1))
    sine = np.sin(angle)
    direction = (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.maximum(sine, _SMALLEST_SINE)
    arc = direction * ((1 - t) * lengths[0] + t * lengths[1])
    has_arc = (sine > _SMALLEST_SINE) & (np.minimum(*lengths) > 0)
    return np.where(has_arc, arc, (1 - t) * a + t * b)
