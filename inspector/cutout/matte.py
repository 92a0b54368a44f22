"""Makes the alpha matte of an object: its mask cleaned up, at the picture's size, with a smooth edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from inspector.cutout.border import Plane
from inspector.errors import UsageError
from inspector.rate import rate_error
from inspector.types import Mask, Pixels

SMALLEST_PART = 0.02  # share of the largest part's area; a smaller part is dropped
RADIUS, EPSILON = 3, 1e-4  # guided filter: pixels of the mask, squared intensity
STEEPNESS = 2.0  # contrast of the edge after the guided filter
BAND = 256  # rows enlarged at once, to bound the memory


@dataclass(frozen=True)
class MatteOptions:
    """Options for cleaning up a mask and drawing its edge.

    Attributes
    ----------
    parts : int
        Number of separate parts to keep, the largest first; 0 keeps every part above 2 % of the largest.
    holes : float
        Fill holes up to this share of the object's area, 0 to 1.
    edge_pixels : float
        Width of the smooth edge, 0 (hard) to 20.
    """

    parts: int = 0
    holes: float = 0.01
    edge_pixels: float = 1.5

    def __post_init__(self) -> None:
        """Refuse options that are out of range."""
        if self.parts < 0:
            raise UsageError(
                f"parts is {self.parts}, allowed is 0 or more", hint="0 keeps all parts but tiny ones"
            )
        if not 0 <= self.holes <= 1:
            raise rate_error("--holes", self.holes, "0 to 1", 1)
        if not 0 <= self.edge_pixels <= 20:
            raise UsageError(
                f"edge is {self.edge_pixels:g} pixels, allowed is 0 to 20", hint="0 is a hard edge"
            )


def clean(mask: Mask, options: MatteOptions) -> Mask:
    """Drop tiny parts and fill small holes.

    Examples
    --------
    >>> mask = np.zeros((40, 40), bool)
    >>> mask[5:30, 5:30] = True
    >>> mask[36, 36] = mask[12, 12] = True
    >>> mask[12, 12] = False
    >>> int(clean(mask, MatteOptions()).sum())
    625
    """
    return _filled(_largest(mask, options.parts), options.holes)


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
    """Return the label of each pixel, then area and box of each label; label 0 lies outside the mask."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=connectivity
    )
    return labels, statistics[:, cv2.CC_STAT_AREA], statistics[:, : cv2.CC_STAT_AREA]


def alpha(mask: Mask, pixels: Pixels, options: MatteOptions) -> Pixels:
    """Draw the alpha channel of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Mask of the object, at the picture's size or smaller.
    pixels : ndarray of uint8, shape (H, W, 3)
        The picture, RGB.
    options : MatteOptions
        Gives the width of the edge.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        255 inside the object.  A smaller mask is enlarged by a guided filter [1]_ with coefficients from the
        small picture [2]_, so that the edge follows the picture's colours.

    References
    ----------
    .. [1] He, Sun, Tang, "Guided image filtering", IEEE TPAMI 35 (2013).
    .. [2] He, Sun, "Fast guided filter", arXiv 1505.00996.
    """
    hard = mask.astype(np.uint8) * np.uint8(255)
    if mask.shape != pixels.shape[:2]:
        hard = _enlarged(mask, pixels)
    if options.edge_pixels == 0:
        return cast(Pixels, (hard > 127).astype(np.uint8) * np.uint8(255))
    return cast(Pixels, cv2.GaussianBlur(hard, (0, 0), options.edge_pixels / 2))


def _enlarged(mask: Mask, pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    slope, offset = _guide(small.astype(np.float32) / np.float32(255), mask.astype(np.float32))
    core = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    solid = mask.astype(np.uint8)
    bounds = (
        cv2.erode(solid, core),
        cv2.dilate(solid, core),
    )  # the filter only moves the edge between these two
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
    """Enlarge the planes to full size, only for a band of rows from `top` on."""
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
    """Fit mask = slope · colour + offset around each pixel; return slope (h, w, 3) and offset (h, w)."""
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
