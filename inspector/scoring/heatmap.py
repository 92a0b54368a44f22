"""Anomaly maps: brought to the picture's size, cut into regions, and drawn over the picture.

The colours mean the same on every picture of a model: they are fixed by the limit and the ceiling
that calibration found, never by the picture's own minimum and maximum, so that a good part stays as
it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from inspector.bundle.records import Region

Pixels = npt.NDArray[np.uint8]
AnomalyMap = npt.NDArray[np.float32]

MAX_REGIONS = 20
MIN_AREA_PIXELS = 4

# The warm scale from the first tint to the ceiling: (level, red, green, blue, opacity); the limit
# lies at level .3.  The opacity stays low enough for the defect itself to be seen through it.
_LIMIT_LEVEL = 0.3
_STOPS = np.array(
    [
        (0.00, 255, 222, 120, 0.00),
        (0.15, 255, 210, 100, 0.05),
        (_LIMIT_LEVEL, 255, 190, 70, 0.22),
        (0.55, 250, 128, 40, 0.40),
        (0.80, 228, 48, 48, 0.50),
        (1.00, 184, 10, 88, 0.56),
    ]
)
_OUTLINE, _RIM = (255, 255, 255), (20, 20, 28)


def upsample(anomaly_map: AnomalyMap, height: int, width: int) -> AnomalyMap:
    """Bring a map to the picture's size: linearly where a side grows, by area where it shrinks.

    Parameters
    ----------
    anomaly_map : ndarray of float32, shape (h, w)
        As the detector gives it; higher is more anomalous.
    height, width : int
        The picture's size in pixels.

    Returns
    -------
    ndarray of float32, shape (height, width)
        On the same scale.
    """
    smaller = (min(width, anomaly_map.shape[1]), min(height, anomaly_map.shape[0]))
    resized = np.asarray(anomaly_map, np.float32)
    if smaller != resized.shape[::-1]:
        resized = cast(AnomalyMap, cv2.resize(resized, smaller, interpolation=cv2.INTER_AREA))
    if smaller != (width, height):
        resized = cast(AnomalyMap, cv2.resize(resized, (width, height), interpolation=cv2.INTER_LINEAR))
    return resized


def regions(anomaly_map: AnomalyMap, limit: float) -> tuple[Region, ...]:
    """Find the connected parts of the picture whose map exceeds the limit (equal does not).

    Parameters
    ----------
    anomaly_map : ndarray of float32, shape (H, W)
        In the picture's own pixels; higher is more anomalous.
    limit : float
        The calibrated limit.

    Returns
    -------
    tuple of Region
        8-connected, of at least `MIN_AREA_PIXELS`, the highest peak first, at most `MAX_REGIONS`.
    """
    exceeds = anomaly_map > limit
    left, top, width, height = cv2.boundingRect(exceeds.view(np.uint8))
    window = np.s_[top : top + height, left : left + width]  # mostly small: a search of all takes longer
    exceeds, anomaly_map = exceeds[window], anomaly_map[window]
    if not exceeds.size:
        return ()
    count, labels, boxes, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        exceeds.view(np.uint8),
        8,
        cv2.CV_32S,
        cv2.CCL_GRANA,  # three times as fast as the default where few pixels exceed
    )
    peaks = np.full(count, -np.inf, np.float32)
    np.maximum.at(peaks, labels[exceeds].astype(np.intp), anomaly_map[exceeds])
    highest_first = np.argsort(-peaks[1:], kind="stable") + 1  # label 0 is the background
    large = highest_first[boxes[highest_first, cv2.CC_STAT_AREA] >= MIN_AREA_PIXELS]
    return tuple(
        Region(
            x=left + int(boxes[label, cv2.CC_STAT_LEFT]),
            y=top + int(boxes[label, cv2.CC_STAT_TOP]),
            width=int(boxes[label, cv2.CC_STAT_WIDTH]),
            height=int(boxes[label, cv2.CC_STAT_HEIGHT]),
            area_pixels=int(boxes[label, cv2.CC_STAT_AREA]),
            peak=float(peaks[label]),
        )
        for label in large[:MAX_REGIONS]
    )


def overlay(
    pixels: Pixels,
    anomaly_map: AnomalyMap,
    *,
    limit: float,
    ceiling: float,
    regions: Sequence[Region] = (),
) -> Pixels:
    """Draw a map over its picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB; stretched to the map's size where it was decoded reduced.
    anomaly_map : ndarray of float32, shape (H, W)
        In the picture's own pixels; higher is more anomalous.
    limit, ceiling : float
        The calibrated scale: the picture shows through untouched up to half the limit, is plainly
        tinted at the limit, and has the hottest colour at the ceiling.
    regions : sequence of Region
        These are outlined.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        RGB, a new array.
    """
    height, width = anomaly_map.shape
    if pixels.shape[:2] == (height, width):
        drawn = np.array(pixels)
    else:
        drawn = cast(Pixels, cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
    _tint(drawn, anomaly_map, limit, ceiling)
    _outline(drawn, anomaly_map > limit, regions)
    return drawn


def _tint(drawn: Pixels, anomaly_map: AnomalyMap, limit: float, ceiling: float) -> None:
    """Mix the warm scale into the picture where the map exceeds half the limit."""
    start = limit - abs(limit) / 2
    hot = anomaly_map > start
    knots = (start, limit, max(ceiling, limit + 1e-6))
    level = np.interp(anomaly_map[hot], knots, (0, _LIMIT_LEVEL, 1))
    opacity = np.interp(level, _STOPS[:, 0], _STOPS[:, 4])
    for channel in range(3):
        colour = np.interp(level, _STOPS[:, 0], _STOPS[:, 1 + channel])
        ground = drawn[..., channel][hot]
        drawn[..., channel][hot] = np.rint(ground + (colour - ground) * opacity).astype(np.uint8)


def _outline(drawn: Pixels, exceeds: npt.NDArray[np.bool_], regions: Sequence[Region]) -> None:
    """Draw a light line with a dark rim just outside each region, legible on any ground."""
    kept = np.zeros(exceeds.shape, np.uint8)
    for region in regions:
        window = np.s_[region.y : region.y + region.height, region.x : region.x + region.width]
        kept[window] = exceeds[window]
    thickness = max(1, round(min(exceeds.shape) / 350))
    rim = max(1, round(thickness / 2))
    reach = thickness + 2 * rim + 2
    around = cv2.dilate(kept, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    contours, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    style = cv2.LINE_AA if thickness > 1 else cv2.LINE_8  # smoothing would widen a line of one pixel
    cv2.drawContours(drawn, contours, -1, _RIM, thickness + 2 * rim, style)
    cv2.drawContours(drawn, contours, -1, _OUTLINE, thickness, style)
