"""Invented scenes as one array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.pretrained import scene_bank
from models.pretrained.scene_bank import PICTURES, SIDE, render_bank


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
    monkeypatch.setattr(scene_bank, "BLOCK", 1)
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
