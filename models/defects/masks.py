"""The shapes of synthetic defects: float32 masks (H, W) in 0 to 1."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.types import Floats, Rng


def perlin(rng: Rng, height: int, width: int) -> Floats:
    """Draw smooth noise of three octaves (height, width) with a mean of about 0."""
    total = np.zeros((height, width), np.float32)
    first = int(rng.integers(0, 4))
    for octave in range(first, first + 3):
        cells = 2 + 2**octave
        grid = rng.standard_normal((cells, cells), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6 ** (octave - first)
    return total


def _noise_mask(rng: Rng, height: int, width: int) -> Floats:
    """Draw patches of thresholded noise inside a circle."""
    noise = perlin(rng, height, width)
    mask = (noise > np.quantile(noise, rng.uniform(0.85, 0.985))).astype(np.float32)
    y, x = rng.integers(0, height), rng.integers(0, width)
    window = np.zeros_like(mask)
    cv2.circle(window, (int(x), int(y)), int(rng.uniform(0.12, 0.6) * height), 1.0, -1)
    return np.asarray(mask * window)


def _polygon_mask(rng: Rng, height: int, width: int) -> Floats:
    """Draw a random polygon."""
    corners = int(rng.integers(4, 13))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    size = np.exp(rng.uniform(np.log(3), np.log(0.28 * height)))
    radii = size * rng.uniform(0.35, 1.0, corners)
    stretch = rng.uniform(0.4, 1.0)
    turn = rng.uniform(0, np.pi)
    px, py = radii * np.cos(angles), radii * np.sin(angles) * stretch
    points = np.stack([px * np.cos(turn) - py * np.sin(turn), px * np.sin(turn) + py * np.cos(turn)], 1)
    points += rng.uniform(0, (width, height))
    return _filled(points, height, width)


def _rectangle_mask(rng: Rng, height: int, width: int) -> Floats:
    """Draw a rotated rectangle."""
    sides = np.exp(rng.uniform(np.log(3), np.log(0.4 * height), 2))
    box = cv2.boxPoints((tuple(rng.uniform(0, (width, height))), tuple(sides), float(rng.uniform(0, 180))))
    return _filled(np.asarray(box), height, width)


def _filled(points: NDArray[np.floating], height: int, width: int) -> Floats:
    """Fill a polygon (n, 2)."""
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.round(points * 8).astype(np.int32)], 1.0, lineType=cv2.LINE_AA, shift=3)
    return mask


def _crack_mask(rng: Rng, height: int, width: int) -> Floats:
    """Draw one to three wandering lines."""
    mask = np.zeros((height, width), np.float32)
    starts = [(rng.uniform(0, (width, height)), rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 1.0) * height)]
    thickness = int(rng.integers(1, 6))
    wobble = rng.uniform(0.05, 0.5)
    for _ in range(int(rng.integers(0, 3))):
        starts.append((starts[0][0], rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5) * height))
    for start, heading, length in starts:
        steps = max(2, int(length / 5))
        headings = heading + np.cumsum(rng.normal(0, wobble, steps))
        path = start + np.cumsum(5 * np.stack([np.cos(headings), np.sin(headings)], 1), 0)
        cv2.polylines(
            mask, [np.round(path * 8).astype(np.int32)], False, 1.0, thickness, cv2.LINE_AA, shift=3
        )
    return mask


def _spot_mask(rng: Rng, height: int, width: int) -> Floats:
    """Draw a cluster of up to nine spots."""
    mask = np.zeros((height, width), np.float32)
    centre = rng.uniform(0, (width, height))
    spread = rng.uniform(3, 0.2 * height)
    for _ in range(int(rng.integers(1, 10))):
        x, y = np.round((centre + rng.normal(0, spread, 2)) * 8).astype(int)
        radius = int(8 * np.exp(rng.uniform(np.log(0.8), np.log(6))))
        cv2.circle(mask, (int(x), int(y)), radius, 1.0, -1, cv2.LINE_AA, shift=3)
    return mask


# The chance of each shape, and the function that draws it.
MASKS: dict[str, tuple[float, Callable[[Rng, int, int], Floats]]] = {
    "noise": (0.30, _noise_mask),
    "polygon": (0.25, _polygon_mask),
    "rectangle": (0.13, _rectangle_mask),
    "crack": (0.20, _crack_mask),
    "spots": (0.12, _spot_mask),
}


def _grey(picture: Floats) -> Floats:
    """Average the three channels, (H, W, 3) to (H, W); much faster than `picture.mean(2)`."""
    return np.asarray((picture[..., 0] + picture[..., 1] + picture[..., 2]) * np.float32(1 / 3))


def move_to_structure(rng: Rng, mask: Floats, crop: Floats) -> Floats:
    """Move a mask so that one of its pixels lies on structure of the crop, such as an edge."""
    smooth = cv2.blur(_grey(crop), (3, 3))
    slope = cv2.blur(np.abs(cv2.Sobel(smooth, -1, 1, 0)) + np.abs(cv2.Sobel(smooth, -1, 0, 1)), (5, 5))
    chance = np.cumsum(slope.ravel(), dtype=np.float64)
    rows, columns = np.nonzero(mask > 0.5)
    if not len(rows) or chance[-1] <= 0:
        return mask
    target = int(np.searchsorted(chance, rng.random() * chance[-1]))
    y, x = divmod(min(target, mask.size - 1), mask.shape[1])
    pixel = int(rng.integers(0, len(rows)))
    move = np.array([[1, 0, x - columns[pixel]], [0, 1, y - rows[pixel]]], np.float32)
    return np.asarray(cv2.warpAffine(mask, move, mask.shape[::-1]))
