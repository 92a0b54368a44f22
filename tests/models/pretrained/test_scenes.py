"""Invented materials, scenes and episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.pretrained.episodes import PICTURES, SIDE, EpisodeSampler, render_bank
from models.pretrained.scenes import Scene
from models.pretrained.textures import KINDS, Ingredient, Material


@pytest.mark.parametrize("kind", KINDS)
def test_each_pattern_is_the_same_surface_and_another_patch(kind: str) -> None:
    """Two draws of one pattern are standardised, finite and differ; the same chance gives the same patch."""
    for shape in (0.1, 0.5, 0.9):
        ingredient = Ingredient(kind, 8.0, 0.7, shape, 0.5)
        first, again, other = (ingredient.draw(np.random.default_rng(seed), 96) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert first.shape == (96, 96)
        assert first.dtype == np.float32
        assert abs(float(first.mean())) < 1e-3
        assert float(first.std()) == pytest.approx(1, abs=1e-3)
        assert float(np.abs(first - other).mean()) > 0.05


def test_materials_are_many() -> None:
    """Fifty materials have fifty different mean colours and contrasts."""
    seen = set()
    for seed in range(50):
        rng = np.random.default_rng(seed)
        patch = Material.invent(rng).draw(rng, 64)
        assert patch.shape == (64, 64, 3)
        assert np.isfinite(patch).all()
        seen.add((round(float(patch.mean()), 4), round(float(patch.std()), 4)))
    assert len(seen) == 50


def test_pictures_of_a_scene_resemble_each_other_more_than_those_of_others() -> None:
    """A scene's pictures have about one colour: they differ less from each other than from other scenes'."""
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


def test_a_bank_is_the_same_wherever_and_in_how_many_calls_it_is_rendered(tmp_path: Path) -> None:
    """Scene i depends on i alone, and a call that finds everything done renders nothing."""
    first = render_bank(tmp_path / "first.npy", 3, workers=1)
    second = render_bank(tmp_path / "second.npy", 3, workers=2)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (3, PICTURES, SIDE, SIDE, 3)
    stamp = (tmp_path / "first.npy").stat().st_mtime_ns
    render_bank(tmp_path / "first.npy", 3, workers=1)
    assert (tmp_path / "first.npy").stat().st_mtime_ns == stamp


def test_episodes_depend_on_seed_and_step_alone(tmp_path: Path) -> None:
    """Pictures lie in a sensible range, most have a defect, and step 3 is step 3 whatever came before."""
    bank = render_bank(tmp_path / "bank.npy", 4, workers=1)
    sampler = EpisodeSampler(bank, scenes=3, seed=1)
    episode = sampler.draw(3)
    sampler.draw(4)
    again = EpisodeSampler(bank, scenes=3, seed=1).draw(3)
    assert episode.pictures.equal(again.pictures)
    assert episode.label.equal(again.label)
    assert episode.pictures.shape == (3 * PICTURES, 3, SIDE, SIDE)
    assert 0 <= float(episode.pictures.min()) <= float(episode.pictures.max()) < 3
    assert 0.3 < float((episode.label.amax((1, 2, 3)) > 0.5).float().mean()) < 0.95
