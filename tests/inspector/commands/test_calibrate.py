"""`inspector calibrate` names the threshold that it replaces, and the reasons for a difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inspector.bundle.records import CalibrationMethod
from inspector.bundle.store import Store
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill, write_picture


@pytest.fixture
def good(store: Store, tmp_path: Path) -> Path:
    """A folder of good pictures that the current model of the store does not know."""
    store.publish("tiny", tiny_fill(training_digests=()))
    for number in range(12):
        write_picture(tmp_path / "good" / f"{number:02d}.png", good_picture(100 + number))
    return tmp_path / "good"


def test_old_and_new_threshold(command: Command, good: Path) -> None:
    """The table has both thresholds, and the facts that differ; JSON has the old calibration as an object."""
    asked = ("calibrate", good, "--max-false-reject", "0.2")
    ended = command(*asked, "--format", "table")
    assert "before     20.000 in tiny@1; 0 of 12 new pictures score above it\n" in ended.out
    assert "different  other pictures: 12 new good pictures from good instead of " in ended.out
    assert "; another rate: at most 20 % of good parts may fail instead of 5 %\n" in ended.out

    again = json.loads(command(*asked).out)
    assert again["changes"] == []  # the same pictures, the same rate
    assert again["threshold"] == again["before"]["threshold"]
    assert again["before"]["model"]["version"] == 2
    assert again["method"] == again["before"]["method"] == CalibrationMethod.NEW

    third = json.loads(command("calibrate", good, "--model", "tiny@1").out)
    shown = json.loads(command("models", "show", "tiny@1", "--format", "json").out)
    for name in ("threshold", "review_threshold", "asked_false_reject_rate", "calibrated"):
        assert third["before"][name] == shown[name]
    assert third["before"]["images"] == shown["heldout_images"] == 19


def test_the_list_says_when_and_for_which_rate(command: Command, good: Path) -> None:
    """Each version has its own time and rate, although both were fitted at the same time."""
    command("calibrate", good, "--max-false-reject", "0.2")
    new, old = json.loads(command("models", "list", "--format", "json").out)
    assert new["created"] == old["created"]
    assert new["calibrated"] > old["calibrated"]
    assert (new["asked_false_reject_rate"], old["asked_false_reject_rate"]) == (0.2, 0.05)
    assert new["calibration_source"] == "12 new good pictures from good"
    _, first, second = command("models", "list", "--format", "table").out.splitlines()
    assert new["calibrated"][:16] in first
    assert " 20 % " in first
    assert old["calibrated"][:16] in second
    assert " 20 % " not in second


def test_defects_among_the_good_pictures_are_named(command: Command, good: Path) -> None:
    """More pictures above the threshold before than it promised: the result counts them and names three."""
    for number in range(4):
        write_picture(good / "shelf 2" / f"{number}.png", bad_picture(number))
    ended = command("calibrate", good, "--max-false-reject", "0.2", "--format", "table")
    assert "4 of 16 new pictures score above the threshold before (20.000), such as shelf 2/" in ended.out
    assert "pictures of 2 folders: the top folder 12, shelf 2 4\n" in ended.out
    assert ": look at them before you rely on this threshold" in ended.out
    result = json.loads(command("calibrate", good, "--model", "tiny@1", "--max-false-reject", "0.2").out)
    assert (result["above_threshold_before"], result["more_above_than_promised"]) == (4, True)
    assert result["folders"] == {".": 12, "shelf 2": 4}
    assert len(result["highest_above_before"]) == 3
    assert all(Path(name).parent.name == "shelf 2" for name in result["highest_above_before"])
    assert any("4 of 16 new pictures score above" in remark for remark in result["remarks"])
