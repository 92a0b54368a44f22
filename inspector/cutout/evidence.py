"""Evidence for the object besides its colour: sharpness, enclosing edges, colour hints.

The detail of the border decides between the first two.  In front of a detailed background, sharpness counts:
the object may be the part in focus.  In front of a plain background, edges count: the object has one around
it, while falling light and soft shadows have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from inspector.cutout.border import Plane, sides
from inspector.imaging.colour import Colour
from inspector.types import Mask, Pixels

BORDER = 0.04  # width of the border, as a share of the shorter side
PLAIN, DETAILED = 30.0, 90.0  # median gradient of a border; noise alone gives 20, a blurred scene 100
REACH = 25  # sharpness is averaged over the longer side divided by this
SHARE_TRUSTED = 0.3, 0.7  # share of the middle sharper than the border, for no trust and for full trust
CONNECTED_EVIDENCE = 3.0  # against pixels that no edge separates from the border
EDGE = 1.5  # an edge exceeds the 98th percentile of the border's gradient by this factor
HINT_EVIDENCE, HINT_REACH = 12.0, 12.0  # evidence at a hinted colour; standard deviation in CIE Lab


def further_evidence(pixels: Pixels, keep: Sequence[Colour], remove: Sequence[Colour]) -> Plane:
    """Return the log likelihood ratio of object to background, colour histograms aside: float32 (H, W).

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.
    keep, remove : sequence of (red, green, blue)
        Colours of the object, and of the background, that a person named.
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
    """Return the median gradient of the border, as root mean square over a neighbourhood."""
    around = cast(Plane, cv2.GaussianBlur(gradient * gradient, (0, 0), max(gradient.shape) / REACH))
    return float(np.sqrt(np.median(_of_sides(around, 50))))


def _of_sides(values: Plane, percentile: float) -> list[float]:
    """Return a percentile of the values on each side of the border, sorted upwards."""
    return sorted(float(np.percentile(values[side], percentile)) for side in sides(values.shape, BORDER))


def sharpness(values: Plane, gradient: Plane) -> Plane:
    """Return evidence for pixels that are sharper than the border, float32 (H, W).

    Sharpness is the gradient divided by the gradient after a blur [1]_, averaged over a neighbourhood with
    the squared gradient as weight.  It is standardised on the sides of the border: 0 is their median, 1 their
    ninth decile; the sharpest side is left out, because the object may reach over it.  If the middle of the
    picture is hardly sharper than the border, the background is in focus as well, and the evidence is 0.

    Parameters
    ----------
    values : ndarray of float32, shape (H, W, 3)
        The picture, 0 to 255.
    gradient : ndarray of float32, shape (H, W)
        Gradient of the picture.

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
    high = _of_sides(measured, 90)[2]  # without the sharpest side
    trust = _share(float((middle > high).mean()), *SHARE_TRUSTED)
    standardised = (measured - median) / (high - median + 1e-6)
    return cast(Plane, ((np.clip(standardised, -1, 3) - 1) * trust).astype(np.float32))


def connected(values: Plane) -> Mask:
    """Mark pixels that are connected with at least two sides of the picture without crossing an edge.

    A plain background is.  An object that one side of the picture cuts off is connected with that side only.
    """
    gradient = _gradient(cast(Plane, cv2.GaussianBlur(values, (0, 0), 1.0)))
    edge = EDGE * _of_sides(gradient, 98)[0]  # plainest side: a missed edge harms more than a false one
    count, labels = cv2.connectedComponents((gradient <= edge).astype(np.uint8), connectivity=4)
    touched = np.zeros(count, int)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        touched[np.unique(side)] += 1
    touched[0] = 0  # label 0 is the edges
    return cast(Mask, (touched >= 2)[labels])


def hints(pixels: Pixels, keep: Sequence[Colour], remove: Sequence[Colour]) -> Plane:
    """Return evidence for colours near one of `keep`, and against colours near one of `remove`."""
    evidence = np.zeros(pixels.shape[:2], np.float32)
    if not keep and not remove:
        return evidence
    lab = _lab(pixels)
    for colours, sign in ((keep, 1), (remove, -1)):
        for colour in colours:
            distance = ((lab - _lab(np.array([[colour]], np.uint8))) ** 2).sum(axis=2)
            evidence += np.float32(sign * HINT_EVIDENCE) * np.exp(distance / np.float32(-2 * HINT_REACH**2))
    return evidence


def _lab(pixels: Pixels) -> Plane:
    return cast(Plane, cv2.cvtColor(pixels.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB))
