"""Painted pictures of discs, with their true masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.imaging.encode import encode_png
from inspector.types import Mask, Pixels

SIDE = 160


def noisy(values: NDArray[np.floating], seed: int = 0) -> Pixels:
    """Add the noise of a camera."""
    noise = np.random.default_rng(seed).normal(0, 2, values.shape)
    return np.clip(values + noise, 0, 255).astype(np.uint8)


def disc(x: int = 80, y: int = 80, radius: int = 40) -> Mask:
    """Return the mask of a disc."""
    row, column = np.indices((SIDE, SIDE))
    return np.asarray((row - y) ** 2 + (column - x) ** 2 <= radius**2)


def painted(ground: NDArray[np.floating], mask: Mask, colour: tuple[int, int, int]) -> Pixels:
    """Return a picture of one colour where the mask is, on a ground."""
    values = ground.copy()
    values[mask] = colour
    return noisy(values)


def plain(grey: float = 200) -> NDArray[np.floating]:
    """Return a ground of one grey."""
    return np.full((SIDE, SIDE, 3), grey)


def overlap(found: Mask | None, true: Mask) -> float:
    """Intersection over union."""
    assert found is not None
    return float((found & true).sum() / (found | true).sum())


def write(folder: Path, count: int) -> Path:
    """Write pictures of discs into a new folder."""
    folder.mkdir()
    for place in range(count):
        mask = disc(70 + 2 * place, 80)
        picture = encode_png(painted(plain(), mask, (180, 60, 40)))
        (folder / f"{place:02}.png").write_bytes(picture)
    return folder
