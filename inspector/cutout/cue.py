"""What speaks for the object besides its colour: sharpness, edges around it, hints.

Which of the first two counts depends on how much detail the border has.  Before a background with
detail, the object may be what is in focus.  Before a plain one, it is what lies behind an edge: light
that falls off, and soft shadows, have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from inspector.cutout.frame import Colour, Mask, Pixels, Plane, sides

BORDER = 0.04  # of the shorter side: what is compared with
PLAIN, DETAILED = 30.0, 90.0  # usual gradient of a border: noise makes 20, things out of focus 100 and more
REACH = 25  # sharpness is averaged over this fraction of the longer side
SHARE_TRUSTED = 0.3, 0.7  # of the middle that is sharper than the border: none and full trust
CONNECTED_EVIDENCE = 3.0  # against what a way without an edge connects with the border
EDGE = 1.5  # times the gradient that nearly none of the border exceeds
HINT_EVIDENCE, HINT_REACH = 12.0, 12.0  # of a hinted colour itself; its reach in CIE Lab


def beyond_colour(pixels: Pixels, keep: Sequence[Colour], remove: Sequence[Colour]) -> Plane:
    """Add up the evidence for the object, in logarithms of a likelihood ratio: float32 (H, W).

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.
    keep, remove : sequence of (red, green, blue)
        Hints: colours of the object, and of the background.
    """
    values = pixels.astype(np.float32)
    gradient = _gradient(values)
    detailed = _share(_detail(gradient), PLAIN, DETAILED)
    evidence = hints(pixels, keep, remove)
    if detailed > 0:
        evidence += np.float32(detailed) * sharpness(values, gradient)
    if detailed < 1:
        evidence -= np.float32((1 - detailed) * CONNECTED_EVIDENCE) * connected(values)
    return evidence


def _share(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))


def _gradient(values: Plane) -> Plane:
    across, down = cv2.Sobel(values, cv2.CV_32F, 1, 0), cv2.Sobel(values, cv2.CV_32F, 0, 1)
    return cast(Plane, np.sqrt((across * across + down * down).sum(axis=2)))


def _detail(gradient: Plane) -> float:
    """Return the gradient that is usual on the border."""
    around = cast(Plane, cv2.GaussianBlur(gradient * gradient, (0, 0), max(gradient.shape) / REACH))
    return float(np.sqrt(np.median(_of_sides(around, 50))))


def _of_sides(values: Plane, percentile: float) -> list[float]:
    """Return a percentile of each side of the border, in rising order."""
    return sorted(float(np.percentile(values[side], percentile)) for side in sides(values.shape, BORDER))


def sharpness(values: Plane, gradient: Plane) -> Plane:
    """Evidence from what is sharper than the border.

    Sharpness is the gradient over what is left of it after a blur [1]_, averaged over a neighbourhood with
    the squared gradient as weight.  It is standardised on the border's sides, apart from the sharpest one
    (0 at the median, 1 at the ninth decile), and counts for nothing where the middle is hardly sharper than
    they are: then the background is in focus as well.

    Parameters
    ----------
    values : ndarray of float32, shape (H, W, 3)
        The picture, 0 to 255.
    gradient : ndarray of float32, shape (H, W)
        Of it.

    References
    ----------
    .. [1] Zhuo, Sim, "Defocus map estimation from a single image", Pattern Recognition 44 (2011).
    """
    blurred = cast(Plane, cv2.GaussianBlur(values, (0, 0), 1.5))
    weight, reach = gradient * gradient, max(gradient.shape) / REACH
    average = cv2.GaussianBlur(weight * gradient / (_gradient(blurred) + np.float32(8)), (0, 0), reach)
    measured = cast(Plane, average / (cv2.GaussianBlur(weight, (0, 0), reach) + 1))
    height, width = measured.shape
    middle = measured[height // 4 : height - height // 4, width // 4 : width - width // 4]
    median = float(np.median(_of_sides(measured, 50)))
    high = _of_sides(measured, 90)[2]  # the object may reach over the sharpest side
    trust = _share(float((middle > high).mean()), *SHARE_TRUSTED)
    standardised = (measured - median) / (high - median + 1e-6)
    return cast(Plane, ((np.clip(standardised, -1, 3) - 1) * trust).astype(np.float32))


def connected(values: Plane) -> Mask:
    """Mark what a way without an edge connects with two sides of the picture: a plain background.

    An object that reaches over one side is connected with that one only.
    """
    gradient = _gradient(cast(Plane, cv2.GaussianBlur(values, (0, 0), 1.0)))
    edge = EDGE * _of_sides(gradient, 98)[0]  # of the plainest side: gaps in edges harm more than false ones
    count, labels = cv2.connectedComponents((gradient <= edge).astype(np.uint8), connectivity=4)
    touched = np.zeros(count, int)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        touched[np.unique(side)] += 1
    touched[0] = 0  # the edges themselves
    return cast(Mask, (touched >= 2)[labels])


def hints(pixels: Pixels, keep: Sequence[Colour], remove: Sequence[Colour]) -> Plane:
    """Evidence from colours that a person named: for the object near one to keep, against it near others."""
    evidence = np.zeros(pixels.shape[:2], np.float32)
    if not keep and not remove:
        return evidence
    lab = _lab(pixels)
    for colours, sign in ((keep, 1), (remove, -1)):
        for colour in colours:
            apart = ((lab - _lab(np.array([[colour]], np.uint8))) ** 2).sum(axis=2)
            evidence += np.float32(sign * HINT_EVIDENCE) * np.exp(apart / np.float32(-2 * HINT_REACH**2))
    return evidence


def _lab(pixels: Pixels) -> Plane:
    return cast(Plane, cv2.cvtColor(pixels.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB))
