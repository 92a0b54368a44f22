"""Changes of light and focus that leave a good part good."""

from __future__ import annotations

import cv2
import numpy as np

from models.types import Floats, Rng

UNEVEN_SHARE = 0.5  # of the pictures get uneven light


def relit(rng: Rng, picture: Floats, strength: float) -> Floats:
    """Change contrast and gamma, and make the light of every second picture uneven.

    Parameters
    ----------
    picture : float32 (H, W, 3) in 0 to 1
    strength : float
        1 changes the contrast by a factor of up to 1.4, gamma by up to 1.35, and the light by 15 % (one
        standard deviation) over the picture.

    Returns
    -------
    float32 (H, W, 3) in 0 to 1
    """
    mean = picture.mean()
    contrast = np.exp(strength * rng.uniform(-0.35, 0.35))
    lit = np.clip((picture - mean) * contrast + mean, 0, 1) ** np.exp(strength * rng.uniform(-0.3, 0.3))
    if rng.random() < UNEVEN_SHARE:
        grid = rng.standard_normal((3, 3)).astype(np.float32)
        field = cv2.resize(grid, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        lit = np.clip(lit * (1 + strength * 0.15 * field[..., None]), 0, 1)
    return np.asarray(lit, np.float32)


def refocused(rng: Rng, picture: Floats) -> Floats:
    """Blur some pictures slightly, and add sensor noise to some; float32 (H, W, 3)."""
    if rng.random() < 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 0.8))), np.float32)
    if rng.random() < 0.35:
        channels = 1 if rng.random() < 0.5 else 3
        noise = rng.standard_normal((*picture.shape[:2], channels), dtype=np.float32)
        picture = picture + np.float32(rng.uniform(0, 0.02)) * noise
    return np.asarray(picture, np.float32)
