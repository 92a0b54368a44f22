"""Drift: a kernel two-sample test of new pictures against the held-out normals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspector.bundle.folder import Bundle
from inspector.bundle.reference import heldout_latents
from inspector.errors import ImageError, TooFewImagesError
from inspector.imaging.source import Source
from inspector.imaging.unusable import LeftOut, counted
from inspector.scoring.detector import Detector
from inspector.scoring.preparation import ScaleTally

Floats = NDArray[np.float64]

IMQ_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The scales with which the auto-encoder is trained."""

SIGNIFICANCE = 0.01
"""A smaller p-value counts as drift: one false alarm in a hundred tests of pictures without drift."""

_CHUNK_NUMBERS = 2_000_000  # permutations are computed in chunks of about 16 MB
_BATCH = 16


@dataclass(frozen=True)
class MmdTest:
    """Outcome of a two-sample test.

    Attributes
    ----------
    statistic : float
        Unbiased squared MMD; higher for samples that lie further apart.  For two samples from one
        distribution it is about 0, and may be negative.
    p_value : float
        `(1 + #{permuted >= statistic}) / (n_permutations + 1)`; lower for samples that lie further apart.
    reference_rows, rows : int
        Sizes of the two samples.
    """

    statistic: float
    p_value: float
    reference_rows: int
    rows: int

    @property
    def drifted(self) -> bool:
        """True if the p-value is below 0.01."""
        return self.p_value < SIGNIFICANCE


def mmd_test(x: ArrayLike, y: ArrayLike, *, n_permutations: int = 1000, seed: int = 0) -> MmdTest:
    """Test whether two samples come from one distribution.

    The statistic is the unbiased squared MMD with the inverse multiquadratic kernel summed over seven
    scales, `k_s(a, b) = s·C / (s·C + ‖a − b‖²)`.  C is the median squared distance of the pooled rows.  The
    training takes its C from the prior, but latents averaged over a picture lie much closer together than
    samples of the prior.  C does not depend on which row belongs to which sample, so the p-value is exact:
    under exchangeability it is at most u with probability at most u.

    Parameters
    ----------
    x, y : array-like (n, d), (m, d)
        One row per picture; n, m >= 2.  Patches of one picture depend on each other, so they must not be
        rows.
    n_permutations : int
        Number of random permutations; the p-value is at least `1 / (n_permutations + 1)`.
    seed : int
        Seed of the permutations.

    Returns
    -------
    MmdTest

    Raises
    ------
    ValueError
        Wrong shapes, fewer than two rows, numbers that are not finite, or no permutation.

    References
    ----------
    Gretton et al., "A kernel two-sample test", JMLR 13, 2012, equation 3 and section 8.1.
    Phipson and Smyth, "Permutation p-values should never be zero", 2010.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(60, 4)), rng.normal(size=(40, 4))
    >>> mmd_test(x, y).drifted, mmd_test(x, y + 1).drifted
    (False, True)
    """
    rows_x, rows_y = _rows("x", x), _rows("y", y)
    if rows_x.shape[1] != rows_y.shape[1]:
        raise ValueError(f"x has {rows_x.shape[1]} columns and y has {rows_y.shape[1]}; they must agree")
    if n_permutations < 1:
        raise ValueError(f"n_permutations is {n_permutations}; it must be at least 1")
    n, m = len(rows_x), len(rows_y)
    kernel = _kernel(np.concatenate([rows_x, rows_y]))  # (n + m, n + m), zero diagonal
    belongs = np.zeros((1, n + m))
    belongs[0, :n] = 1
    statistic = float(_mmd(kernel, belongs, n, m)[0])
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_NUMBERS // (n + m))
    reached = 0
    # Sums of the same numbers in another order may differ in the last digits; a tie counts as reached.
    limit = statistic - 1e-9 * max(1.0, abs(statistic))
    for start in range(0, n_permutations, chunk):
        count = min(chunk, n_permutations - start)
        shuffled = rng.permuted(np.repeat(belongs, count, axis=0), axis=1)
        reached += int(np.count_nonzero(_mmd(kernel, shuffled, n, m) >= limit))
    return MmdTest(statistic, (1 + reached) / (n_permutations + 1), n, m)


def _rows(name: str, values: ArrayLike) -> Floats:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[0] < 2 or rows.shape[1] < 1:
        raise ValueError(f"{name} has shape {rows.shape}; it must be (rows, columns) with at least two rows")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return rows


def _kernel(rows: Floats) -> Floats:
    """Return the sum of the seven kernels between all rows, (N, N), with a diagonal of 0."""
    centred = rows - rows.mean(0)  # keeps the distances, and more of their digits
    square = np.einsum("ij,ij->i", centred, centred)
    distances = np.maximum(square[:, np.newaxis] + square - 2 * centred @ centred.T, 0)
    typical = float(np.median(distances[np.triu_indices(len(rows), 1)]))
    if typical <= 0:  # most rows are equal
        typical = float(distances.mean()) or 1.0
    total = np.zeros_like(distances)
    for scale in IMQ_SCALES:
        total += scale * typical / (scale * typical + distances)
    np.fill_diagonal(total, 0)
    return np.asarray(total)


def _mmd(kernel: Floats, belongs: Floats, n: int, m: int) -> Floats:
    """Return the unbiased squared MMD of P partitions; `belongs` (P, n + m) is 1 for rows of x, else 0."""
    within_x = np.einsum("pi,pi->p", belongs @ kernel, belongs)
    with_all = belongs @ kernel.sum(1)
    between = with_all - within_x
    within_y = kernel.sum() - with_all - between
    return np.asarray(within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m))


def latents(
    detector: Detector,
    sources: Sequence[Source],
    progress: Callable[[int, int], None] | None = None,
    scale: ScaleTally | None = None,
) -> tuple[NDArray[np.float32], list[LeftOut]]:
    """Return the latents of pictures, averaged over patches.

    Parameters
    ----------
    detector : Detector
    sources : sequence of path, bytes or array
    progress : callable, optional
        Called as `progress(done, total)`.
    scale : ScaleTally, optional
        Counts the pictures whose brightness scale is odd for the model.

    Returns
    -------
    float32 (n, d), list of (name, reason)
        One row per readable picture; and the unreadable pictures.
    """
    found: list[NDArray[np.float32]] = []
    batch: list[NDArray[np.uint8]] = []
    unreadable: list[LeftOut] = []
    for done, source in enumerate(sources, 1):
        try:
            picture, pixels = detector.prepare(source)
        except ImageError as error:
            name = source.name if isinstance(source, Path) else f"picture {done}"
            unreadable.append((name, error.reason))
        else:
            batch.append(pixels)
            if scale is not None:
                scale.add(picture.bits, picture.clipped_pixels)
        if batch and (len(batch) == _BATCH or done == len(sources)):
            found.append(detector.raw(np.stack(batch)).latent)
            batch.clear()
        if progress is not None:
            progress(done, len(sources))
    rows = np.concatenate(found) if found else np.empty((0, detector.manifest.latent_dim), np.float32)
    return rows, unreadable


def compare(bundle: Bundle, rows: NDArray[np.floating], unreadable: Sequence[LeftOut] = ()) -> MmdTest:
    """Test latents (n, d) against those of the held-out normals that calibrated the model.

    Unreadable pictures are counted in the error.

    Raises
    ------
    TooFewImagesError
        With so few pictures no outcome could count as drift.
    """
    reference = heldout_latents(bundle)
    least = fewest(len(reference))
    if least is None or len(rows) < least:
        wanted = "more held-out normals" if least is None else f"at least {least} pictures"
        left_out = f" ({counted(unreadable)})" if unreadable else ""
        raise TooFewImagesError(
            f"{len(rows)} readable pictures{left_out} against {len(reference)} held-out normals "
            f"cannot show drift; {wanted} are needed",
            hint="add pictures" if least else "calibrate the model with more normal pictures",
        )
    return mmd_test(reference, rows)


def fewest(reference: int) -> int | None:
    """Return the smallest number of pictures that can show drift; None if 1,000 pictures cannot.

    Parameters
    ----------
    reference : int
        Number of held-out normals.

    Notes
    -----
    The pooled pictures must have at least 200 splits into samples of these sizes, twice as many as a p-value
    of 0.01 needs.
    """
    if reference < 2:
        return None
    allowed = (k for k in range(2, 1001) if math.comb(reference + k, k) * SIGNIFICANCE >= 2)
    return next(allowed, None)
