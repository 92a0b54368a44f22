"""Finds the object of a picture: iterated graph cuts on colours and other cues.

GrabCut [1]_ fits Gaussian mixtures to the inside and the outside of a rectangle, and cuts.  Its cut is
used here, with other evidence.  For a pixel of colour c,

    evidence = log (F(c) + ε) / (B(c) + ε) + cues

where F and B are colour histograms of object and background, the cues are those of
`inspector.cutout.cue`, and the cut minimises

    -w Σ evidence over the object + 50 Σ exp(-β |difference|²) over neighbours on two sides of its outline.

F and B begin as everything inside of a border and as that border, and are counted anew after each cut;
w grows from 1 to 3, so that the first cuts find the body and the last ones its details.  The object may
reach over one side of the picture: what is on one side of the border alone does not count against it.
Nothing is drawn by chance: the same picture gives the same object.

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

from inspector.cutout.cue import beyond_colour
from inspector.cutout.frame import Colour, Mask, Pixels, Plane, border, sides
from inspector.errors import UsageError

BORDER = 0.06  # of the shorter side: what the background is learned from at first
BINS = 16  # of a histogram, for each channel
PSEUDOCOUNT, SCALE = 2.0, 1e4  # ε, of histograms that add up to so much
LARGEST_EVIDENCE = 6.0  # of colour, either way
WEIGHTS = 1.0, 3.0  # of the evidence against the outline's length, in the first and the last cut
STRONGER = 1.0, 2.0, 4.0  # what the weights are multiplied by while nothing is found
LEVELS = 4.0  # of the third channel, for each unit of evidence
SMALLEST_SHARE, LARGEST_SHARE = 0.002, 0.97  # of what lies inside the margin


@dataclass(frozen=True)
class Search:
    """How an object is looked for.

    Attributes
    ----------
    iterations : int
        Graph cuts, 1 to 50.
    margin : float
        Share of the shorter side that is background for sure, all around; 0.005 to 0.45.
    keep, remove : tuple of (red, green, blue)
        Colours of the object, and of the background.
    """

    iterations: int = 5
    margin: float = 0.03
    keep: tuple[Colour, ...] = ()
    remove: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if not 1 <= self.iterations <= 50:
            raise UsageError(
                f"iterations is {self.iterations}, allowed is 1 to 50",
                hint="5 is a good number to start with",
            )
        if not 0.005 <= self.margin <= 0.45:
            raise UsageError(
                f"margin is {self.margin:g}, allowed is 0.005 to 0.45", hint="0.03 leaves 3 % on each side"
            )


def find_object(pixels: Pixels, search: Search = Search()) -> Mask | None:
    """Tell the object from its background.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.
    search : Search
        Options.

    Returns
    -------
    ndarray of bool, shape (H, W), or None
        True where the object is; None where nothing stands out from the border.

    Notes
    -----
    Takes about a second for a picture of 600 x 600 pixels: reduce larger ones before.
    """
    outside = border(pixels.shape[:2], search.margin)
    cues, colours = beyond_colour(pixels, search.keep, search.remove), _Colours(pixels)
    for factor in STRONGER:
        found = _iterate(colours, cues, outside, search.iterations, factor)
        share = found.sum() / (~outside).sum()
        if share >= SMALLEST_SHARE:
            return found if share <= LARGEST_SHARE else None
    return None


def _iterate(colours: _Colours, cues: Plane, outside: Mask, iterations: int, factor: float) -> Mask:
    evidence = colours.first_evidence() + cues
    for cut_number, weight in enumerate(np.linspace(*WEIGHTS, iterations), 1):
        last = cut_number == iterations
        background = outside & (evidence <= 0) if last else outside  # at last it may reach over the margin
        found = _cut(colours.axes, factor * weight * evidence, background)
        if last or not found.any():
            break
        evidence = colours.evidence(found) + cues
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: several pictures are worked on at once, and one core is enough for each."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


# --- colour ---------------------------------------------------------------------------------


class _Colours:
    """The colours of a picture, as histogram bins and along their two main axes."""

    def __init__(self, pixels: Pixels) -> None:
        quiet = cv2.GaussianBlur(pixels, (0, 0), 0.6).astype(np.int32) * BINS // 256
        self._bins = (quiet[..., 0] * BINS + quiet[..., 1]) * BINS + quiet[..., 2]
        self.axes = _main_axes(pixels)

    def evidence(self, found: Mask) -> Plane:
        """Logarithm of how much likelier each pixel's colour is among `found` than elsewhere."""
        return self._evidence(self._histogram(found), self._histogram(~found))

    def first_evidence(self) -> Plane:
        """Likewise of what lies inside the border, over the border without each colour's richest side."""
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
        for _ in range(3):  # along each axis, which the transpositions bring to the front
            rows = _smoothed_down(smooth.reshape(BINS, BINS * BINS))
            smooth = np.ascontiguousarray(rows.reshape(BINS, BINS, BINS).transpose(1, 2, 0))
        return smooth * np.float32(SCALE / max(float(smooth.sum()), 1.0))


def _smoothed_down(rows: Plane) -> Plane:
    kernel = cv2.getGaussianKernel(5, 0.7, cv2.CV_32F)
    return cast(Plane, cv2.filter2D(rows, -1, kernel, borderType=cv2.BORDER_CONSTANT))


def _main_axes(pixels: Pixels) -> Pixels:
    """Project the colours on their two main axes in CIE Lab: uint8 (H, W, 2)."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    lab -= lab.mean(axis=0)
    _, directions = np.linalg.eigh((lab.T @ lab).astype(np.float64))
    along = lab @ directions[:, 1:].astype(np.float32)
    along *= np.float32(127 / max(3 * float(along[:, 1].std()), 1.0))
    return np.clip(along + 128, 0, 255).astype(np.uint8).reshape(*pixels.shape[:2], 2)


# --- the cut --------------------------------------------------------------------------------


def _cut(axes: Pixels, evidence: Plane, outside: Mask) -> Mask:
    """Cut once.

    `cv2.grabCut` with frozen models takes the evidence as a third channel: both models are one Gaussian,
    flat along the colours, at 0 and at 255 along the evidence, and so wide that the logarithm of their
    ratio is the evidence again.
    """
    levels = np.clip(128 + LEVELS * evidence, 0, 255).astype(np.uint8)
    labels = np.where(evidence > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[outside] = cv2.GC_BGD
    picture, nowhere = np.dstack([axes, levels]), (0, 0, 0, 0)
    cv2.grabCut(picture, labels, nowhere, _gaussian(0), _gaussian(255), 1, cv2.GC_EVAL_FREEZE_MODEL)
    return (labels & 1).astype(bool)


def _gaussian(level: float) -> npt.NDArray[np.float64]:
    """One Gaussian as OpenCV writes a mixture of five: weights, means, covariances."""
    model = np.zeros((1, 65))
    model[0, 0] = 1
    model[0, 5:8] = 128, 128, level
    model[0, 20:29] = np.diag([1e5, 1e5, 255 * LEVELS]).ravel()
    return model
