"""Latents: sampled from the prior, and interpolated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.float32]

_SMALLEST_SINE = 1e-4  # below, two directions are the same or opposite, and no single great circle joins them


def sample_prior(count: int, shape: tuple[int, ...], seed: int) -> Latents:
    """Sample latents from the prior N(0, I).

    Parameters
    ----------
    count : int
        Number of latents.
    shape : tuple of int
        Shape of one latent.
    seed : int
        The same seed gives the same first latents, whatever the count.

    Returns
    -------
    float32 (count, *shape)
    """
    return np.random.default_rng(seed).standard_normal((count, *shape), dtype=np.float32)


def interpolate(first: Latents, second: Latents, steps: int, *, straight: bool = False) -> Latents:
    """Interpolate between two latents in equal steps, both ends included.

    A straight line is `(1 − t)·a + t·b`.  Spherical interpolation turns the direction along the great circle
    and changes the length evenly: `|z| = (1 − t)·|a| + t·|b|`.  Latents from N(0, I) in d dimensions have
    lengths near √d.  A straight line between two of them passes through lengths down to √(d/2), for which the
    decoder was not trained; spherical interpolation keeps to the lengths of its ends.  The vector at each
    position of a spatial latent is interpolated on its own.

    Parameters
    ----------
    first, second : float32 (d,) or (d, h, w)
    steps : int
        At least 2.
    straight : bool
        Use the straight line, as for directions that are the same or opposite.

    Returns
    -------
    float32 (steps, d) or (steps, d, h, w)
        The first is `first`, and the last is `second`.

    Examples
    --------
    >>> print(interpolate(np.float32([2, 0]), np.float32([0, 2]), 3).round(2))
    [[2.   0.  ]
     [1.41 1.41]
     [0.   2.  ]]
    >>> print(interpolate(np.float32([2, 0]), np.float32([0, 2]), 3, straight=True))
    [[2. 0.]
     [1. 1.]
     [0. 2.]]
    """
    a, b = (np.asarray(latent, np.float64) for latent in (first, second))
    positions = np.linspace(0, 1, steps)
    latents = np.stack([(1 - t) * a + t * b if straight else _on_sphere(a, b, t) for t in positions])
    latents[0], latents[-1] = a, b
    return latents.astype(np.float32)


def _on_sphere(a: NDArray[np.float64], b: NDArray[np.float64], t: float) -> NDArray[np.float64]:
    """Return one point of the spherical interpolation; vectors lie along the first axis."""
    lengths = [np.linalg.norm(latent, axis=0, keepdims=True) for latent in (a, b)]
    u, v = (latent / np.maximum(length, 1e-12) for latent, length in zip((a, b), lengths, strict=True))
    angle = np.arccos(np.clip((u * v).sum(axis=0, keepdims=True), -1, 1))
    sine = np.sin(angle)
    direction = (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.maximum(sine, _SMALLEST_SINE)
    arc = direction * ((1 - t) * lengths[0] + t * lengths[1])
    has_arc = (sine > _SMALLEST_SINE) & (np.minimum(*lengths) > 0)
    return np.where(has_arc, arc, (1 - t) * a + t * b)
