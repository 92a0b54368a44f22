"""The contents of synthetic defects: the pixels that a mask lays over a crop."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from models.defects.masks import perlin
from models.types import Floats, Rng

# Of the crop (H, W, 3) in 0 to 1, a crop of another picture, and the mask (H, W).
Fill = Callable[[Rng, Floats, Floats, Floats], Floats]


def _other(_rng: Rng, _crop: Floats, other: Floats, _mask: Floats) -> Floats:
    """Return the crop of the other picture."""
    return other


def _flat(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return one colour."""
    colour = rng.uniform(0, 1, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0, 1))
    return np.broadcast_to(colour.astype(np.float32), crop.shape).copy()


def _texture(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return smooth noise with a grain."""
    noise = perlin(rng, *crop.shape[:2])[..., None]
    grain = rng.standard_normal(crop.shape, dtype=np.float32) * rng.uniform(0, 0.1)
    tint = rng.uniform(0.4, 1, 3) if rng.random() < 0.5 else np.ones(3)
    return (rng.uniform(0.1, 0.9) + 0.15 * noise * tint.astype(np.float32) + grain).astype(np.float32)


def _gain(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return the crop brighter or darker."""
    gain = np.exp(rng.uniform(-0.7, 0.7))
    bias = rng.uniform(-0.2, 0.2)
    return np.asarray(crop * np.float32(gain) + np.float32(bias))


def _degrade(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return the crop blurred, noisy, or in coarse pixels."""
    how = rng.integers(0, 3)
    if how == 0:
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(1.5, 6))))
    if how == 1:
        return crop + rng.standard_normal(crop.shape, dtype=np.float32) * np.float32(rng.uniform(0.03, 0.2))
    height, width = crop.shape[:2]
    factor = int(rng.integers(3, 10))
    small = cv2.resize(crop, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST))


def _moved(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return the crop shifted, turned or warped, so that structure lies in the wrong position."""
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


def _missing(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return the mean colour of a random patch, as where structure is missing."""
    height, width = crop.shape[:2]
    y, x = int(rng.integers(0, height - 8)), int(rng.integers(0, width - 8))
    colour = crop[y : y + 8, x : x + 8].mean((0, 1))
    grain = rng.standard_normal(crop.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.02))
    return np.asarray(colour + grain)


def _bent(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return the crop warped around one point, as if a finger had pushed it."""
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


def _thickened(rng: Rng, crop: Floats, *_: Floats) -> Floats:
    """Return the crop with its bright or its dark structure thickened."""
    side = int(rng.integers(3, 8))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray((cv2.dilate if rng.random() < 0.5 else cv2.erode)(crop, kernel))


def _erased(rng: Rng, crop: Floats, _other: Floats, mask: Floats) -> Floats:
    """Return the crop with the area under the mask inpainted from its surroundings."""
    bytes_ = np.round(np.clip(crop, 0, 1) * 255).astype(np.uint8)
    filled = cv2.inpaint(bytes_, (mask > 0.05).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    grain = rng.standard_normal(crop.shape[:2], dtype=np.float32)[..., None] * np.float32(
        rng.uniform(0, 0.02)
    )
    return np.asarray(filled.astype(np.float32) / 255 + grain)


# The chance of each content, relative to the others, and the function that makes it.
FILLS: dict[str, tuple[float, Fill]] = {
    "other": (0.22, _other),
    "texture": (0.10, _texture),
    "flat": (0.15, _flat),
    "gain": (0.25, _gain),
    "degrade": (0.08, _degrade),
    "moved": (0.12, _moved),
    "missing": (0.08, _missing),
    "bent": (0.10, _bent),
    "thickened": (0.07, _thickened),
    "erased": (0.10, _erased),
}
