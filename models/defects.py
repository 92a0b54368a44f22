"""Synthetic defects laid over normal pictures: what the network learns to repair and to point at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rng = np.random.Generator

CORRUPTED_SHARE = 0.8  # of the crops that are corrupted at all
VISIBLE_STEP = 0.22  # a change of this share of the contrast counts as half visible


class Corrupted(NamedTuple):
    """A corrupted crop and where it was changed."""

    picture: Floats  # (H, W, 3)
    label: Floats  # (H, W), 0 untouched to 1 plainly visible


def perlin(rng: Rng, height: int, width: int) -> Floats:
    """Smooth noise of two to five octaves, shape (height, width), about zero mean."""
    total = np.zeros((height, width), np.float32)
    first = int(rng.integers(0, 4))
    for octave in range(first, first + 3):
        cells = 2 + 2**octave
        grid = rng.standard_normal((cells, cells), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6 ** (octave - first)
    return total


def grey(picture: Floats) -> Floats:
    """Mean of the three channels, (H, W, 3) to (H, W); an order faster than `picture.mean(2)`."""
    return np.asarray((picture[..., 0] + picture[..., 1] + picture[..., 2]) * np.float32(1 / 3))


# --- masks: float32 (H, W), 0 or 1, before feathering ----------------------------------------


def _noise_mask(rng: Rng, height: int, width: int) -> Floats:
    noise = perlin(rng, height, width)
    mask = (noise > np.quantile(noise, rng.uniform(0.85, 0.985))).astype(np.float32)
    y, x = rng.integers(0, height), rng.integers(0, width)
    window = np.zeros_like(mask)
    cv2.circle(window, (int(x), int(y)), int(rng.uniform(0.12, 0.6) * height), 1.0, -1)
    return np.asarray(mask * window)


def _polygon_mask(rng: Rng, height: int, width: int) -> Floats:
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
    sides = np.exp(rng.uniform(np.log(3), np.log(0.4 * height), 2))
    box = cv2.boxPoints((tuple(rng.uniform(0, (width, height))), tuple(sides), float(rng.uniform(0, 180))))
    return _filled(np.asarray(box), height, width)


def _filled(points: NDArray[np.floating], height: int, width: int) -> Floats:
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.round(points * 8).astype(np.int32)], 1.0, lineType=cv2.LINE_AA, shift=3)
    return mask


def _crack_mask(rng: Rng, height: int, width: int) -> Floats:
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
    mask = np.zeros((height, width), np.float32)
    centre = rng.uniform(0, (width, height))
    spread = rng.uniform(3, 0.2 * height)
    for _ in range(int(rng.integers(1, 10))):
        x, y = np.round((centre + rng.normal(0, spread, 2)) * 8).astype(int)
        radius = int(8 * np.exp(rng.uniform(np.log(0.8), np.log(6))))
        cv2.circle(mask, (int(x), int(y)), radius, 1.0, -1, cv2.LINE_AA, shift=3)
    return mask


# --- fills: what is put under the mask -------------------------------------------------------


def _flat(rng: Rng, crop: Floats) -> Floats:
    colour = rng.uniform(0, 1, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0, 1))
    return np.broadcast_to(colour.astype(np.float32), crop.shape).copy()


def _texture(rng: Rng, crop: Floats) -> Floats:
    noise = perlin(rng, *crop.shape[:2])[..., None]
    grain = rng.standard_normal(crop.shape, dtype=np.float32) * rng.uniform(0, 0.1)
    tint = rng.uniform(0.4, 1, 3) if rng.random() < 0.5 else np.ones(3)
    return (rng.uniform(0.1, 0.9) + 0.15 * noise * tint.astype(np.float32) + grain).astype(np.float32)


def _gain(rng: Rng, crop: Floats) -> Floats:
    gain = np.exp(rng.uniform(-0.7, 0.7))
    bias = rng.uniform(-0.2, 0.2)
    return np.asarray(crop * np.float32(gain) + np.float32(bias))


def _degrade(rng: Rng, crop: Floats) -> Floats:
    how = rng.integers(0, 3)
    if how == 0:
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(1.5, 6))))
    if how == 1:
        return crop + rng.standard_normal(crop.shape, dtype=np.float32) * np.float32(rng.uniform(0.03, 0.2))
    height, width = crop.shape[:2]
    factor = int(rng.integers(3, 10))
    small = cv2.resize(crop, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST))


def _moved(rng: Rng, crop: Floats) -> Floats:
    """Return the crop itself, shifted, turned or bent: structure in the wrong place."""
    height, width = crop.shape[:2]
    if rng.random() < 0.4:
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        reach = rng.uniform(2, 8)
        dx, dy = perlin(rng, height, width) * reach, perlin(rng, height, width) * reach
        return np.asarray(
            cv2.remap(crop, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        )
    angle = rng.uniform(-180, 180) if rng.random() < 0.5 else 0.0
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(angle), float(rng.uniform(0.8, 1.25)))
    turn[:, 2] += rng.uniform(4, 0.35 * width, 2) * rng.choice([-1, 1], 2)
    return np.asarray(
        cv2.warpAffine(crop, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    )


def _missing(rng: Rng, crop: Floats) -> Floats:
    """Return what is left when structure is gone: the colour of a random place, softened."""
    height, width = crop.shape[:2]
    y, x = int(rng.integers(0, height - 8)), int(rng.integers(0, width - 8))
    colour = crop[y : y + 8, x : x + 8].mean((0, 1))
    grain = rng.standard_normal(crop.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.02))
    return np.asarray(colour + grain)


def _bent(rng: Rng, crop: Floats) -> Floats:
    """Return the crop pulled over one place, as if it had been pushed with a finger."""
    height, width = crop.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    reach = rng.uniform(0.08, 0.3) * height
    near = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * reach**2)).astype(np.float32)
    pull = rng.uniform(3, 12) * rng.choice([-1, 1], 2)
    return np.asarray(
        cv2.remap(
            crop,
            columns + np.float32(pull[0]) * near,
            rows + np.float32(pull[1]) * near,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    )


def _thickened(rng: Rng, crop: Floats) -> Floats:
    """Return the crop with its bright or its dark structure grown."""
    side = int(rng.integers(3, 8))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray((cv2.dilate if rng.random() < 0.5 else cv2.erode)(crop, kernel))


def _erased(rng: Rng, crop: Floats, mask: Floats) -> Floats:
    """Return the crop with what is under the mask continued from around it: structure is gone."""
    bytes_ = np.round(np.clip(crop, 0, 1) * 255).astype(np.uint8)
    filled = cv2.inpaint(bytes_, (mask > 0.05).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    grain = rng.standard_normal(crop.shape[:2], dtype=np.float32)[..., None] * np.float32(
        rng.uniform(0, 0.02)
    )
    return np.asarray(filled.astype(np.float32) / 255 + grain)


def _placed(rng: Rng, mask: Floats, crop: Floats) -> Floats:
    """Move a mask so that its middle lies on structure, where there is some."""
    smooth = cv2.blur(grey(crop), (3, 3))
    slope = cv2.blur(np.abs(cv2.Sobel(smooth, -1, 1, 0)) + np.abs(cv2.Sobel(smooth, -1, 0, 1)), (5, 5))
    chance = np.cumsum(slope.ravel(), dtype=np.float64)
    rows, columns = np.nonzero(mask > 0.5)
    if not len(rows) or chance[-1] <= 0:
        return mask
    target = int(np.searchsorted(chance, rng.random() * chance[-1]))
    y, x = divmod(min(target, mask.size - 1), mask.shape[1])
    middle = int(rng.integers(0, len(rows)))
    move = np.array([[1, 0, x - columns[middle]], [0, 1, y - rows[middle]]], np.float32)
    return np.asarray(cv2.warpAffine(mask, move, mask.shape[::-1]))


MASKS: dict[str, tuple[float, Callable[[Rng, int, int], Floats]]] = {
    "noise": (0.30, _noise_mask),
    "polygon": (0.25, _polygon_mask),
    "rectangle": (0.13, _rectangle_mask),
    "crack": (0.20, _crack_mask),
    "spots": (0.12, _spot_mask),
}
FILLS: dict[str, tuple[float, Callable[[Rng, Floats], Floats] | None]] = {
    "other": (0.22, None),  # another normal picture, handed in by the caller
    "texture": (0.10, _texture),
    "flat": (0.15, _flat),
    "gain": (0.25, _gain),
    "degrade": (0.08, _degrade),
    "moved": (0.12, _moved),
    "missing": (0.08, _missing),
    "bent": (0.10, _bent),
    "thickened": (0.07, _thickened),
    "erased": (0.10, None),  # needs the mask
}
ON_STRUCTURE = 0.5  # of the masks are moved to where the picture has structure


def _pick(rng: Rng, table: Mapping[str, tuple[float, object]]) -> str:
    names = list(table)
    weights = np.array([table[name][0] for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _lay(rng: Rng, crop: Floats, other: Floats, contrast: float) -> Floats:
    """Lay one defect over a crop (H, W, 3) and return the changed crop."""
    height, width = crop.shape[:2]
    kind = _pick(rng, MASKS)
    mask = MASKS[kind][1](rng, height, width)
    thin = kind in {"crack", "spots"}
    if rng.random() < ON_STRUCTURE:
        mask = _placed(rng, mask, crop)
    if rng.random() < 0.7:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.4, 1.0 if thin else 2.5))))
    if thin and rng.random() < 0.75:
        step = np.exp(rng.uniform(np.log(0.25), np.log(3.0))) * contrast
        sign = -1.0 if rng.random() < 0.7 else 1.0
        return np.asarray(crop + np.float32(sign * step) * mask[..., None])
    fill_kind = _pick(rng, FILLS)
    fill = _fill(rng, fill_kind, crop, other, mask)
    weight = mask.sum()
    if rng.random() < 0.35 and weight > 0:  # same mean: only the texture gives it away
        shift = ((crop - fill) * mask[..., None]).sum((0, 1)) / weight
        fill = fill + shift
    opacity = np.float32(rng.uniform(0.35, 1.0))
    return np.asarray(crop + opacity * mask[..., None] * (fill - crop))


def _fill(rng: Rng, kind: str, crop: Floats, other: Floats, mask: Floats) -> Floats:
    if kind == "other":
        return other
    if kind == "erased":
        return _erased(rng, crop, mask)
    make = FILLS[kind][1]
    assert make is not None
    return make(rng, crop)


def corrupt(rng: Rng, crop: Floats, other: Floats, contrast: float) -> Corrupted:
    """Lay one to three defects over a normal crop.

    Parameters
    ----------
    rng : numpy Generator
    crop, other : float32 (H, W, 3) in 0 to 1
        The crop, and a crop of another normal picture to take texture from.
    contrast : float
        Standard deviation of the picture's grey values: what counts as a visible change.

    Returns
    -------
    Corrupted
        The label is `1 − exp(−(blur|Δ| / (0.22·contrast))²)`, so that an edit that nobody could see
        is not labelled.
    """
    if rng.random() >= CORRUPTED_SHARE:
        return Corrupted(crop, np.zeros(crop.shape[:2], np.float32))
    count = 1 if rng.random() < 0.7 else int(rng.integers(2, 4))
    picture = crop
    for _ in range(count):
        picture = _lay(rng, picture, other, contrast)
    picture = np.clip(picture, 0, 1)
    red, green, blue = cv2.split(np.abs(picture - crop))
    change = np.maximum(np.maximum(red, green), blue)
    soft = cv2.blur(change, (5, 5))
    visible = 1 - np.exp(-((soft / (VISIBLE_STEP * contrast)) ** 2))
    touched = cv2.dilate((change > 1e-3).astype(np.float32), np.ones((3, 3), np.uint8))
    return Corrupted(picture.astype(np.float32), np.asarray(visible * touched, dtype=np.float32))
