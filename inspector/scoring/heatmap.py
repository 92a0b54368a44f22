"""Anomaly maps: resizes them, finds regions in them, draws them over the picture.

A colour means the same on every picture of a model.  The limit and the ceiling from calibration fix the
scale, never the picture's own minimum and maximum, so a good part is drawn without any tint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from inspector.imaging.resize import fit_to
from inspector.scoring.records import Region
from inspector.types import Pixels, Verdict

AnomalyMap = npt.NDArray[np.float32]

MAX_REGIONS = 20
MIN_AREA_PIXELS = 4

# The strongest place of a calm map: the area around the peak that lies above this share of the way from the
# map's median to its peak.  Half of the way marks half of a part, and nine tenths a dot.
PLACE_SHARE = 0.7
FLAT_SHARE = 0.01  # of the limit: no place of a map stands out if its peak is less above its median

# The colour scale, from the first tint at level 0 to the ceiling at level 1: (level, red, green, blue,
# opacity).  The opacity is low, so that the defect stays visible under the colour.
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
    """Resize a map to the picture's size; see `fit_to`.

    Parameters
    ----------
    anomaly_map : ndarray of float32, shape (h, w)
        As the detector graph returns it; higher is more anomalous.
    height, width : int
        The picture's size in pixels.

    Returns
    -------
    ndarray of float32, shape (height, width)
        On the same scale.
    """
    return fit_to(np.asarray(anomaly_map, np.float32), height, width)


def listed_regions(
    verdict: Verdict, anomaly_map: AnomalyMap, picture_size: tuple[int, int], limit: float
) -> tuple[Region, ...]:
    """Decide which regions of a picture are listed and drawn: none if it passed, else those above the limit.

    If the map exceeds the limit nowhere, its strongest place is listed instead.  So every picture that did
    not pass has a place, unless the map is flat: then the whole picture is unusual, and no place stands out.

    The command line, JSON, the console and reports all show the regions that this function returns.

    Parameters
    ----------
    verdict : Verdict
        The verdict of the picture.
    anomaly_map : ndarray of float32, shape (h, w)
        As the detector graph returns it; higher is more anomalous.
    picture_size : tuple of int
        The picture's height and width in pixels.
    limit : float
        The calibrated limit of the map.

    Returns
    -------
    tuple of Region
        In the picture's own pixels, highest peak first; empty for a picture that passed.
    """
    if verdict == "pass":
        return ()
    fine = upsample(anomaly_map, *picture_size)
    return find_regions(fine, limit) or _strongest_place(anomaly_map, fine, limit)


def _strongest_place(anomaly_map: AnomalyMap, fine: AnomalyMap, limit: float) -> tuple[Region, ...]:
    """Return the area around the peak of a map, resized to `fine`; nothing if the map is flat.

    The map adds the maps of all components that count in the score, so its peak is the place that raised the
    score most.
    """
    if not float(fine.max()) - float(np.median(anomaly_map)) > FLAT_SHARE * abs(limit):
        return ()
    found = find_regions(fine, _place_level(anomaly_map, fine), smallest=1)[:1]
    return tuple(place.model_copy(update={"above_limit": place.peak > limit}) for place in found)


def _place_level(anomaly_map: AnomalyMap, fine: AnomalyMap) -> float:
    """Return the level that bounds the strongest place of a map, resized to `fine`."""
    typical = float(np.median(anomaly_map))
    return typical + PLACE_SHARE * (float(fine.max()) - typical)


def find_regions(
    anomaly_map: AnomalyMap, limit: float, smallest: int = MIN_AREA_PIXELS
) -> tuple[Region, ...]:
    """Find the connected areas of a map that exceed the limit; a value equal to the limit does not.

    Parameters
    ----------
    anomaly_map : ndarray of float32, shape (H, W)
        In the picture's own pixels; higher is more anomalous.
    limit : float
        The calibrated limit.
    smallest : int
        Areas of fewer pixels are left out.

    Returns
    -------
    tuple of Region
        8-connected areas, highest peak first, at most `MAX_REGIONS`.
    """
    exceeds = anomaly_map > limit
    left, top, width, height = cv2.boundingRect(exceeds.view(np.uint8))
    window = np.s_[top : top + height, left : left + width]  # usually small: faster than all
    exceeds, anomaly_map = exceeds[window], anomaly_map[window]
    if not exceeds.size:
        return ()
    count, labels, boxes, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        exceeds.view(np.uint8),
        8,
        cv2.CV_32S,
        cv2.CCL_GRANA,  # the fastest algorithm if few pixels exceed
    )
    peaks = np.full(count, -np.inf, np.float32)
    np.maximum.at(peaks, labels[exceeds].astype(np.intp), anomaly_map[exceeds])
    highest_first = np.argsort(-peaks[1:], kind="stable") + 1  # label 0 is the background
    large = highest_first[boxes[highest_first, cv2.CC_STAT_AREA] >= smallest]
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
    picture_size: tuple[int, int] | None = None,
) -> Pixels:
    """Draw a map over its picture and outline regions.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, in the size to draw.
    anomaly_map : ndarray of float32, any shape (rows, columns)
        Higher is more anomalous; resized to the pixels.
    limit, ceiling : float
        The calibrated scale: no tint up to half the limit, a clear tint at the limit, the hottest colour
        at the ceiling.
    regions : sequence of Region
        The regions to outline: with a line, and with a dashed line below the limit.
    picture_size : tuple of int, optional
        Height and width of the picture in which the regions were found; default: those of `pixels`.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB, a new array.
    """
    drawn = np.array(pixels)
    height, width = pixels.shape[:2]
    fine = upsample(anomaly_map, height, width)
    _tint(drawn, fine, limit, ceiling)
    rows, columns = picture_size or (height, width)
    calm = any(not region.above_limit for region in regions)
    level = _place_level(anomaly_map, fine) if calm else limit
    boxes = [_box(region, height / rows, width / columns) for region in regions]
    _outline(drawn, fine > level, boxes, dashed=calm)
    return drawn


def _tint(drawn: Pixels, anomaly_map: AnomalyMap, limit: float, ceiling: float) -> None:
    """Blend the colour scale into the picture where the map exceeds half the limit."""
    start = limit - abs(limit) / 2
    hot = anomaly_map > start
    knots = (start, limit, max(ceiling, limit + 1e-6))
    level = np.interp(anomaly_map[hot], knots, (0, _LIMIT_LEVEL, 1))
    opacity = np.interp(level, _STOPS[:, 0], _STOPS[:, 4])
    for channel in range(3):
        colour = np.interp(level, _STOPS[:, 0], _STOPS[:, 1 + channel])
        ground = drawn[..., channel][hot]
        drawn[..., channel][hot] = np.rint(ground + (colour - ground) * opacity).astype(np.uint8)


def _box(region: Region, down: float, across: float) -> tuple[slice, slice]:
    """Return rows and columns of a region in a picture that is scaled by `down` and `across`."""
    return (
        slice(math.floor(region.y * down), math.ceil((region.y + region.height) * down)),
        slice(math.floor(region.x * across), math.ceil((region.x + region.width) * across)),
    )


def _outline(
    drawn: Pixels, exceeds: npt.NDArray[np.bool_], boxes: Sequence[tuple[slice, slice]], *, dashed: bool
) -> None:
    """Draw a light line with a dark rim just outside each region, visible on any background."""
    kept = np.zeros(exceeds.shape, np.uint8)
    for box in boxes:
        kept[box] |= exceeds[box] if exceeds[box].any() else True  # shrinking the map may flatten a peak
    thickness = max(1, round(min(exceeds.shape) / 350))
    rim = max(1, round(thickness / 2))
    reach = thickness + 2 * rim + 2
    around = cv2.dilate(kept, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    contours, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    lines = [dash for line in contours for dash in _dashes(line, 5 * thickness)] if dashed else contours
    style = cv2.LINE_AA if thickness > 1 else cv2.LINE_8  # antialiasing would widen a line of one pixel
    cv2.polylines(drawn, lines, not dashed, _RIM, thickness + 2 * rim, style)
    cv2.polylines(drawn, lines, not dashed, _OUTLINE, thickness, style)


def _dashes(line: npt.NDArray[Any], pixels: int) -> list[npt.NDArray[Any]]:
    """Cut a line of points (n, 1, 2) into pieces of so many pixels, with gaps of the same length."""
    return [line[start : start + pixels] for start in range(0, len(line), 2 * pixels)]
