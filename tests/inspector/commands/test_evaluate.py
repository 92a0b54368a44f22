"""`inspector evaluate` says how far its pixel figures reach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.inspector.commands.conftest import Plant
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import bad_picture, good_picture, write_picture


@pytest.fixture
def test_dir(tmp_path: Path) -> Path:
    """Two good pictures, and three holes of which two have a mask in the test folder itself."""
    test = tmp_path / "test"
    mask = np.zeros((64, 64), np.uint8)
    mask[8:21, 8:21] = 1
    for number in range(2):
        write_picture(test / "good" / f"{number}.png", good_picture(number))
        write_picture(test / "ground_truth" / "hole" / f"{number}.png", mask)
    for number in range(3):
        write_picture(test / "hole" / f"{number}.png", bad_picture(number))
    return test


def test_a_table_counts_masks(command: Command, plant: Plant, test_dir: Path) -> None:
    """The table counts the masks, stderr names pictures without one, and no folder of masks is a kind."""
    ended = command("evaluate", test_dir, "--format", "table")
    assert ended.code == 0, ended.err
    assert "tiny@1 on 5 pictures" in ended.out
    assert "masks of 2 of 3 pictures of defects" in ended.out
    assert "ground_truth" not in ended.out
    assert "masks: 1 of 3 pictures of defects have no mask" in ended.err
    assert "hole/2.png" in ended.err


def test_json_has_the_same_facts(command: Command, plant: Plant, test_dir: Path) -> None:
    """In a pipe the facts are an object, and stdout has nothing else."""
    ended = command("evaluate", test_dir)
    figures = json.loads(ended.out)
    assert figures["masks"]["counted"] == figures["pixel"]["masks"] == 2
    assert figures["masks"]["missing"] == ["hole/2.png"]
    assert figures["pixel"]["auroc"] > 0.9
    assert "masks: 1 of 3" in ended.err


def test_a_mask_that_cannot_be_used_is_one_line(command: Command, plant: Plant, test_dir: Path) -> None:
    """A mask of another size, and a damaged one, are named, and the evaluation goes on."""
    mask = test_dir / "ground_truth" / "hole" / "1.png"
    write_picture(mask, np.zeros((32, 64), np.uint8))
    ended = command("evaluate", test_dir)
    assert ended.code == 0
    assert list(json.loads(ended.out)["masks"]["unusable"]) == ["hole/1.png"]
    assert "masks: 1 mask cannot be used, and " in ended.err
    assert "1.png has 64 x 32 pixels, its picture 64 x 64" in ended.err
    mask.write_bytes(b"no picture")
    assert "masks: 1 mask cannot be used, and " in command("evaluate", test_dir).err
