"""Random textures and scenes."""

from __future__ import annotations

import numpy as np
import pytest

from models.pretrained.scenes import Scene
from models.pretrained.textures import KINDS, Pattern, Texture


@pytest.mark.parametrize("kind", KINDS)
def test_each_pattern_is_the_same_surface_and_another_patch(kind: str) -> None:
    """Two draws of one pattern are standardised and differ; the same seed gives the same patch."""
    for shape in (0.1, 0.5, 0.9):
        pattern = Pattern(kind, 8.0, 0.7, shape, 0.5)
        first, again, other = (pattern.draw(np.random.default_rng(seed), 96) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert first.shape == (96, 96)
        assert first.dtype == np.float32
        assert abs(float(first.mean())) < 1e-3
        assert float(first.std()) == pytest.approx(1, abs=1e-3)
        assert float(np.abs(first - other).mean()) > 0.05


def test_textures_differ() -> None:
    """Fifty textures have fifty different mean colours and contrasts."""
    seen = set()
    for seed in range(50):
        rng = np.random.default_rng(seed)
        patch = Texture.random(rng).draw(rng, 64)
        assert patch.shape == (64, 64, 3)
        assert np.isfinite(patch).all()
        seen.add((round(float(patch.mean()), 4), round(float(patch.std()), 4)))
    assert len(seen) == 50


def test_pictures_of_a_scene_resemble_each_other_more_than_those_of_others() -> None:
    """Mean colours inside a scene differ by less than half as much as between scenes."""
    within, across = [], []
    before = None
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scene = Scene(rng)
        colours = [scene.draw(rng).mean((0, 1)) for _ in range(3)]
        within.append(np.abs(colours[0] - colours[1]).mean())
        if before is not None:
            across.append(np.abs(colours[0] - before).mean())
        before = colours[2]
    assert np.mean(within) < 0.5 * np.mean(across)
