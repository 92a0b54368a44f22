"""`python -m models.pretrained`: from rendered scenes to a file of weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models.pretrained import __main__ as pretraining


@pytest.fixture(autouse=True)
def _small_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "SCENES_OF_AN_EPISODE", 2)


def made(work: Path, stop: int) -> dict[str, torch.Tensor]:
    """The weights of a trunk after so many steps."""
    output = work / "trunk.safetensors"
    words = ["--scenes", "2", "--threads", "1", "--steps", "4", "--stop", str(stop)]
    assert pretraining.main(["trunk", str(work), "--output", str(output), *words]) == 0
    return load_file(output)


def test_the_same_command_resumes(tmp_path: Path) -> None:
    """One step and then another give the weights of two steps; the card says how they were made."""
    made(tmp_path / "halves", 1)
    (tmp_path / "whole").mkdir()
    for name in ("scenes.npy", "scenes.done"):  # spares the rendering
        shutil.copy(tmp_path / "halves" / name, tmp_path / "whole" / name)
    whole, resumed = made(tmp_path / "whole", 2), made(tmp_path / "halves", 2)
    assert all(whole[name].equal(resumed[name]) for name in whole)
    with safe_open(tmp_path / "halves" / "trunk.safetensors", "pt") as file:
        assert file.metadata() == {
            "made from": "2 invented scenes, no photographs, no other weights",
            "steps": "2 of 4",
            "seed": "5",
        }


def test_the_recipe_gives_the_defaults() -> None:
    """Without options a network is trained as the shipped weights were."""
    trunk = pretraining.parse(["trunk", "work", "--output", "file"])
    head = pretraining.parse(["head", "work", "--output", "file", "--seed", "3"])
    assert (trunk.steps, trunk.stop, trunk.seed, trunk.scenes) == (3000, 1250, 5, 12000)
    assert (head.steps, head.stop, head.seed) == (1500, 1500, 3)
