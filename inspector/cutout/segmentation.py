"""Finds the object of a picture by iterated graph cuts on colour histograms and further evidence.

GrabCut [1]_ fits Gaussian mixtures to the inside and the outside of a rectangle, and cuts.  This module uses
its cut with other evidence.  For a pixel of colour c,

    evidence = log (F(c) + ε) / (B(c) + ε) + further evidence

F and B are colour histograms of object and background; `inspector.cutout.evidence` computes the rest.  The
cut minimises

    -w Σ evidence over the object + 50 Σ exp(-β |difference|²) over neighbours on two sides of its outline.

At first F counts every pixel inside a border, and B the border itself; both are counted anew after each cut.
The weight w rises from 1 to 3: the first cuts find the body, the last ones its details.  The object may reach
over one side of the picture, so colours that occur on one side of the border only do not count as background.
Nothing is random: the same picture gives the same object.

References
----------
.. [1] Rother, Kolmogorov, Blake, "GrabCut: interactive foreground extraction using iterated graph cuts",
   SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from inspector.cutout.border import Plane, border, sides
from inspector.cutout.evidence import further_evidence
from inspector.errors import UsageError
from inspector.imaging.colour import Colour
from inspector.rate import rate_error
from inspector.types import Mask, Pixels

BORDER = 0.06  # width of the border, as a share of the shorter side
BINS = 16  # of a histogram, per channel
PSEUDOCOUNT, SCALE = 2.0, 1e4  # ε, and the sum of each histogram
LARGEST_EVIDENCE = 6.0  # bound of the colour evidence, both ways
WEIGHTS = 1.0, 3.0  # w in the first and in the last cut
FACTORS = 1.0, 2.0, 4.0  # factors of w, tried in turn until an object is found
LEVELS = 4.0  # levels of the third channel per unit of evidence
SMALLEST_SHARE, LARGEST_SHARE = 0.002, 0.97  # of the area inside the margin


@dataclass(frozen=True)
class SegmentationOptions:
    """Options for finding the object.

    Attributes
    ----------
    iterations : int
        Number of graph cuts, 1 to 50.
    margin : float
        Width of the border that is certainly background, as a share of the shorter side; 0.005 to 0.45.
    keep, remove : tuple of (red, green, blue)
        Colours of the object, and of the background, that a person named.
    """

    iterations: int = 5
    margin: float = 0.03
    keep: tuple[Colour, ...] = ()
    remove: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        """Refuse options that are out of range."""
        if not 1 <= self.iterations <= 50:
            raise UsageError(
                f"iterations is {self.iterations}, allowed is 1 to 50",
                hint="5 is a good number to start with",
            )
        if not 0.005 <= self.margin <= 0.45:
            raise rate_error("--margin", self.margin, "0.005 to 0.45", 0.45)


def find_object(pixels: Pixels, options: SegmentationOptions = SegmentationOptions()) -> Mask | None:
    """Separate the object from its background.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.
    options : SegmentationOptions
        How to options.

    Returns
    -------
    ndarray of bool, shape (H, W), or None
        True inside the object; None if nothing stands out from the border.

    Notes
    -----
    Takes about a second for 600 x 600 pixels; reduce larger pictures first.
    """
    outside = border(pixels.shape[:2], options.margin)
    further, colours = further_evidence(pixels, options.keep, options.remove), _Colours(pixels)
    for factor in FACTORS:
        found = _iterate(colours, further, outside, options.iterations, factor)
        share = found.sum() / (~outside).sum()
        if share >= SMALLEST_SHARE:
            return found if share <= LARGEST_SHARE else None
    return None


def _iterate(colours: _Colours, further: Plane, outside: Mask, iterations: int, factor: float) -> Mask:
    evidence = colours.first_evidence() + further
    for cut_number, weight in enumerate(np.linspace(*WEIGHTS, iterations), 1):
        last = cut_number == iterations
        background = outside & (evidence <= 0) if last else outside  # the last cut may reach over the margin
        found = _cut(colours.axes, factor * weight * evidence, background)
        if last or not found.any():
            break
        evidence = colours.evidence(found) + further
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit OpenCV to one thread, because each of several pictures at once has a core of its own."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


# --- colour ---------------------------------------------------------------------------------


class _Colours:
    """The colours of a picture: histogram bins, and coordinates along their two main axes."""

    def __init__(self, pixels: Pixels) -> None:
        quiet = cv2.GaussianBlur(pixels, (0, 0), 0.6).astype(np.int32) * BINS // 256
        self._bins = (quiet[..., 0] * BINS + quiet[..., 1]) * BINS + quiet[..., 2]
        self.axes = _main_axes(pixels)

    def evidence(self, found: Mask) -> Plane:
        """Return the log likelihood ratio of each pixel's colour, inside `found` to outside it."""
        return self._evidence(self._histogram(found), self._histogram(~found))

    def first_evidence(self) -> Plane:
        """Return the log likelihood ratio, inside to border; each colour's richest side is left out."""
        shape = self._bins.shape
        each = np.stack([self._histogram(side) for side in sides(shape, BORDER)])
        elsewhere = (each.sum(axis=0) - each.max(axis=0)) / np.float32(3)
        return self._evidence(self._histogram(~border(shape, BORDER)), elsewhere)

    def _evidence(self, inside: Plane, elsewhere: Plane) -> Plane:
        ratio = np.log((inside + PSEUDOCOUNT) / (elsewhere + PSEUDOCOUNT))
        return cast(Plane, np.clip(ratio, -LARGEST_EVIDENCE, LARGEST_EVIDENCE).ravel()[self._bins])

    def _histogram(self, mask: Mask) -> Plane:
        counts = np.bincount(self._bins[mask], minlength=BINS**3).astype(np.float32)
        smooth = counts.reshape(BINS, BINS, BINS)
        for _ in range(3):  # one axis of the histogram after the other
            rows = _smoothed_down(smooth.reshape(BINS, BINS * BINS))
            smooth = np.ascontiguousarray(rows.reshape(BINS, BINS, BINS).transpose(1, 2, 0))
        return smooth * np.float32(SCALE / max(float(smooth.sum()), 1.0))


def _smoothed_down(rows: Plane) -> Plane:
    kernel = cv2.getGaussianKernel(5, 0.7, cv2.CV_32F)
    return cast(Plane, cv2.filter2D(rows, -1, kernel, borderType=cv2.BORDER_CONSTANT))


def _main_axes(pixels: Pixels) -> Pixels:
    """Project the colours onto their two principal axes in CIE Lab, uint8 (H, W, 2)."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    lab -= lab.mean(axis=0)
    _, directions = np.linalg.eigh((lab.T @ lab).astype(np.float64))
    along = lab @ directions[:, 1:].astype(np.float32)
    along *= np.float32(127 / max(3 * float(along[:, 1].std()), 1.0))
    return np.clip(along + 128, 0, 255).astype(np.uint8).reshape(*pixels.shape[:2], 2)


# --- the cut --------------------------------------------------------------------------------


def _cut(axes: Pixels, evidence: Plane, outside: Mask) -> Mask:
    """Cut once with `cv2.grabCut`, which gets the evidence as a third channel.

    Both of its models are frozen to one Gaussian.  The Gaussians are flat along the colours and lie at 0 and
    at 255 along the third channel; they are so wide that their log likelihood ratio is the evidence.
    """
    levels = np.clip(128 + LEVELS * evidence, 0, 255).astype(np.uint8)
    labels = np.where(evidence > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[outside] = cv2.GC_BGD
    picture, nowhere = np.dstack([axes, levels]), (0, 0, 0, 0)
    cv2.grabCut(picture, labels, nowhere, _gaussian(0), _gaussian(255), 1, cv2.GC_EVAL_FREEZE_MODEL)
    return (labels & 1).astype(bool)


def _gaussian(level: float) -> npt.NDArray[np.float64]:
    """Return one Gaussian in OpenCV's layout of a mixture of five: weights, means, covariances."""
    model = np.zeros((1, 65))
    model[0, 0] = 1
    model[0, 5:8] = 128, 128, level
    model[0, 20:29] = np.diag([1e5, 1e5, 255 * LEVELS]).ravel()
    return model
