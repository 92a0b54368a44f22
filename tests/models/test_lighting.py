"""Changes of light and camera."""

from __future__ import annotations

import numpy as np
import pytest

from models.lighting import refocused, relit
from models.types import Floats


def picture(seed: int = 0) -> Floats:
    """A smooth picture, float32 (48, 64, 3)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:48, :64] / 48
    wave = np.sin(4 * rows + rng.random())[..., None] * columns[..., None] * np.ones(3)
    return np.asarray(0.4 + 0.2 * wave, np.float32)


def test_stronger_changes_change_more() -> None:
    """Strength 0 leaves the picture, and the mean change grows with strength."""
    changes = [
        np.mean(
            [
                np.abs(relit(np.random.default_rng(s), picture(), strength) - picture()).mean()
                for s in range(20)
            ]
        )
        for strength in (0.0, 0.5, 1.0)
    ]
    assert changes[0] == pytest.approx(0, abs=1e-6)
    assert changes[0] < changes[1] < changes[2] < 0.2


def test_order_of_brightness_stays() -> None:
    """Under even light a brighter pixel stays the brighter one."""
    values = np.linspace(0.1, 0.9, 48 * 64, dtype=np.float32).reshape(48, 64, 1) * np.ones(3, np.float32)
    for seed in range(40):
        lit = relit(np.random.default_rng(seed), values, 1.0)
        assert lit.shape == values.shape
        assert 0 <= lit.min() <= lit.max() <= 1
        if np.allclose(np.diff(lit[0, :, 0]), np.diff(lit[0, :, 1])) and np.all(
            np.diff(lit[..., 0].ravel()) >= -1e-6
        ):
            break
    else:
        pytest.fail("no draw kept the order")


def test_refocusing_leaves_most_pictures_and_keeps_the_mean() -> None:
    """About half of the draws change nothing; none moves the mean brightness."""
    unchanged = 0
    for seed in range(100):
        seen = refocused(np.random.default_rng(seed), picture())
        unchanged += int(np.array_equal(seen, picture()))
        assert abs(float(seen.mean() - picture().mean())) < 2e-3
    assert 35 < unchanged < 65
