"""From an object's mask to its alpha channel: cleaned up, at the picture's size, with a smooth edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from inspector.cutout.frame import Mask, Pixels, Plane
from inspector.errors import UsageError

SMALLEST_PART = 0.02  # of the largest part's area; smaller ones are crumbs
RADIUS, EPSILON = 3, 1e-4  # of the guided filter, in pixels of the mask and in squared intensity
STEEPNESS = 2.0  # of the edge that it draws
BAND = 256  # rows that are brought to full size at once


@dataclass(frozen=True)
class Finish:
    """How a mask is cleaned up.

    Attributes
    ----------
    parts : int
        At most so many separate parts are kept, the largest ones; 0 keeps all that are no crumbs.
    holes : float
        Holes of at most this share of the object are filled; 0 to 1.
    edge_pixels : float
        Width of the smooth edge, 0 (hard) to 20.
    """

    parts: int = 0
    holes: float = 0.01
    edge_pixels: float = 1.5

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if self.parts < 0:
            raise UsageError(f"parts is {self.parts}, allowed is 0 or more", hint="0 keeps all but crumbs")
        if not 0 <= self.holes <= 1:
            raise UsageError(f"holes is {self.holes:g}, allowed is 0 to 1", hint="0 fills none, 1 fills all")
        if not 0 <= self.edge_pixels <= 20:
            raise UsageError(
                f"edge is {self.edge_pixels:g} pixels, allowed is 0 to 20", hint="0 is a hard edge"
            )


def tidy(mask: Mask, finish: Finish) -> Mask:
    """Drop crumbs and fill small holes.

    Examples
    --------
    >>> mask = np.zeros((40, 40), bool)
    >>> mask[5:30, 5:30] = True
    >>> mask[36, 36] = mask[12, 12] = True
    >>> mask[12, 12] = False
    >>> int(tidy(mask, Finish()).sum())
    625
    """
    return _filled(_largest(mask, finish.parts), finish.holes)


def _largest(mask: Mask, parts: int) -> Mask:
    labels, areas, _ = _components(mask, 8)
    if len(areas) < 2:
        return mask
    order = 1 + np.argsort(-areas[1:], kind="stable")[: parts or None]
    kept = np.zeros(len(areas), bool)
    kept[order] = areas[order] >= SMALLEST_PART * areas[1:].max()
    return cast(Mask, kept[labels])


def _filled(mask: Mask, share: float) -> Mask:
    labels, areas, boxes = _components(~mask, 4)
    height, width = mask.shape
    left, top, right, bottom = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    enclosed = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    hole = enclosed & (areas <= share * mask.sum())
    hole[0] = False
    return cast(Mask, mask | hole[labels])


def _components(
    mask: Mask, connectivity: int
) -> tuple[cv2.typing.MatLike, cv2.typing.MatLike, cv2.typing.MatLike]:
    """Return labels, and for each label area and box; label 0 is what is not in the mask."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=connectivity
    )
    return labels, statistics[:, cv2.CC_STAT_AREA], statistics[:, : cv2.CC_STAT_AREA]


def alpha(mask: Mask, pixels: Pixels, finish: Finish) -> Pixels:
    """Draw the alpha channel of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Of the picture, or of the same picture at a smaller size.
    pixels : ndarray of uint8, shape (H, W, 3)
        The picture, RGB.
    finish : Finish
        Width of the edge.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        255 where the object is.  Where the mask is smaller, the edge follows the picture's colours: a guided
        filter [1]_ whose coefficients are those of the small picture [2]_.

    References
    ----------
    .. [1] He, Sun, Tang, "Guided image filtering", IEEE TPAMI 35 (2013).
    .. [2] He, Sun, "Fast guided filter", arXiv 1505.00996.
    """
    hard = mask.astype(np.uint8) * np.uint8(255)
    if mask.shape != pixels.shape[:2]:
        hard = _enlarged(mask, pixels)
    if finish.edge_pixels == 0:
        return cast(Pixels, (hard > 127).astype(np.uint8) * np.uint8(255))
    return cast(Pixels, cv2.GaussianBlur(hard, (0, 0), finish.edge_pixels / 2))


def _enlarged(mask: Mask, pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    slope, offset = _guide(small.astype(np.float32) / np.float32(255), mask.astype(np.float32))
    core = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    solid = mask.astype(np.uint8)
    bounds = cv2.erode(solid, core), cv2.dilate(solid, core)  # the filter decides between the two
    planes = np.dstack([slope, offset, *bounds]).astype(np.float32)
    whole = np.empty((height, width), np.uint8)
    for top in range(0, height, BAND):
        rows = pixels[top : top + BAND].astype(np.float32) / np.float32(255)
        near = _window(planes, top, rows.shape[:2], height)
        soft = (rows * near[..., :3]).sum(axis=2) + near[..., 3]
        steep = np.clip((soft - 0.5) * STEEPNESS + 0.5, near[..., 4], near[..., 5])
        whole[top : top + BAND] = np.clip(steep, 0, 1) * 255 + 0.5
    return whole


def _window(planes: Plane, top: int, shape: tuple[int, ...], height: int) -> Plane:
    """Enlarge the planes, but only so many rows of the full size from `top` on."""
    rows, width = shape
    down, across = planes.shape[0] / height, planes.shape[1] / width
    back = np.array([[across, 0, across / 2 - 0.5], [0, down, (top + 0.5) * down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    parts = [
        cv2.warpAffine(
            np.ascontiguousarray(planes[..., few]),
            back,
            (width, rows),
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for few in (slice(0, 3), slice(3, 6))
    ]
    return np.dstack(parts)


def _guide(picture: Plane, mask: Plane) -> tuple[Plane, Plane]:
    """Fit the mask as slope · colour + offset around each pixel: (h, w, 3) and (h, w)."""
    mean, mean_mask = _mean(picture), _mean(mask)
    spread = np.stack([_mean(picture * picture[..., [k]]) for k in range(3)], axis=-1)
    spread -= mean[..., :, None] * mean[..., None, :] - EPSILON * np.eye(3, dtype=np.float32)
    joint = _mean(picture * mask[..., None]) - mean * mean_mask[..., None]
    slope = np.linalg.solve(spread, joint[..., None])[..., 0]
    offset = mean_mask - (slope * mean).sum(axis=2)
    return _mean(slope), _mean(offset)


def _mean(values: Plane) -> Plane:
    side = 2 * RADIUS + 1
    return cast(Plane, cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT))
