"""Random textures, scenes and episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.pretrained import episodes
from models.pretrained.episodes import PICTURES, SIDE, EpisodeSampler, render_bank
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


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody sees."""


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes, rendered by this process."""
    path = tmp_path_factory.mktemp("scenes") / "bank.npy"
    render_bank(path, 3, 1, silent)
    return path


def test_a_bank_does_not_depend_on_the_number_of_workers(bank: Path, tmp_path: Path) -> None:
    """Scene i depends on i alone, whichever process renders it."""
    other = render_bank(tmp_path / "other.npy", 2, 2, silent)
    assert other.shape == (2, PICTURES, SIDE, SIDE, 3)
    np.testing.assert_array_equal(other, np.load(bank)[:2])


def test_a_rendered_bank_is_not_rendered_again(bank: Path) -> None:
    """A call that finds all scenes rendered writes nothing."""
    stamp = bank.stat().st_mtime_ns
    render_bank(bank, 3, 1, silent)
    assert bank.stat().st_mtime_ns == stamp


def test_an_interrupted_bank_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenes of before stay, the others are rendered, and the progress counts both."""
    monkeypatch.setattr(episodes, "BLOCK", 1)
    seen: list[int] = []

    def until_two(_stage: str, done: int, _total: int) -> None:
        seen.append(done)
        if seen == [0, 1, 2]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_bank(tmp_path / "bank.npy", 3, 1, until_two)
    first = np.load(tmp_path / "bank.npy")
    assert not first[2].any()
    whole = render_bank(tmp_path / "bank.npy", 3, 1, until_two)
    assert seen == [0, 1, 2, 2, 3]
    np.testing.assert_array_equal(whole[:2], first[:2])
    assert whole[2].any()


def test_episodes_depend_on_seed_and_step_alone(bank: Path) -> None:
    """Step 3 is the same whatever was drawn before; most pictures have a defect."""
    scenes = np.load(bank)
    sampler = EpisodeSampler(scenes, scenes=3, seed=1)
    episode = sampler.draw(3)
    sampler.draw(4)
    again = EpisodeSampler(scenes, scenes=3, seed=1).draw(3)
    assert episode.pictures.equal(again.pictures)
    assert episode.label.equal(again.label)
    assert episode.pictures.shape == (3 * PICTURES, 3, SIDE, SIDE)
    assert 0 <= float(episode.pictures.min()) <= float(episode.pictures.max()) < 3
    assert 0.3 < float((episode.label.amax((1, 2, 3)) > 0.5).float().mean()) < 0.95
