"""Lays synthetic defects over normal pictures, and labels them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np

from models.defects.fills import FILLS
from models.defects.masks import MASKS, move_to_structure
from models.types import Floats, Rng

CORRUPTED_SHARE = 0.8  # of the crops get defects
ON_STRUCTURE = 0.5  # of the masks are moved to where the picture has structure
VISIBLE_STEP = 0.22  # a change of this share of the contrast counts as about 60 % visible


class Corrupted(NamedTuple):
    """A crop with defects, and a label of where they are."""

    picture: Floats  # (H, W, 3)
    label: Floats  # (H, W), 0 untouched to 1 plainly visible


def _pick(rng: Rng, table: Mapping[str, tuple[float, object]]) -> str:
    """Draw a name of a table of (chance, function)."""
    names = list(table)
    weights = np.array([table[name][0] for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _lay(rng: Rng, crop: Floats, other: Floats, contrast: float) -> Floats:
    """Return a crop (H, W, 3) with one defect, not clipped to 0 to 1."""
    height, width = crop.shape[:2]
    kind = _pick(rng, MASKS)
    mask = MASKS[kind][1](rng, height, width)
    thin = kind in {"crack", "spots"}
    if rng.random() < ON_STRUCTURE:
        mask = move_to_structure(rng, mask, crop)
    if rng.random() < 0.7:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.4, 1.0 if thin else 2.5))))
    if thin and rng.random() < 0.75:
        step = np.exp(rng.uniform(np.log(0.25), np.log(3.0))) * contrast
        sign = -1.0 if rng.random() < 0.7 else 1.0
        return np.asarray(crop + np.float32(sign * step) * mask[..., None])
    fill = FILLS[_pick(rng, FILLS)][1](rng, crop, other, mask)
    weight = mask.sum()
    if rng.random() < 0.35 and weight > 0:  # same mean: only the texture differs
        shift = ((crop - fill) * mask[..., None]).sum((0, 1)) / weight
        fill = fill + shift
    opacity = np.float32(rng.uniform(0.35, 1.0))
    return np.asarray(crop + opacity * mask[..., None] * (fill - crop))


def corrupt(rng: Rng, crop: Floats, other: Floats, contrast: float) -> Corrupted:
    """Lay up to three defects over a normal crop.

    Parameters
    ----------
    rng : numpy Generator
    crop, other : float32 (H, W, 3) in 0 to 1
        The crop, and a crop of another normal picture, whose texture a defect may show.
    contrast : float
        Standard deviation of the picture's grey values, the scale of a visible change.

    Returns
    -------
    Corrupted
        The label is `1 − exp(−(blur|Δ| / (0.22·contrast))²)`: a change that nobody can see gets none.
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
