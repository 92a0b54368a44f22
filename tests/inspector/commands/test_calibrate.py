"""`inspector calibrate` says which threshold it replaces, and what is different now."""

from __future__ import annotations

import json

from inspector.bundle.records import CalibrationMethod
from tests.inspector.commands.conftest import Plant
from tests.inspector.conftest import Command


def test_old_and_new_threshold(command: Command, plant: Plant) -> None:
    """The table has both thresholds, and the facts that differ; JSON has the old calibration as an object."""
    asked = ("calibrate", plant.good, "--max-false-reject", "0.2")
    ended = command(*asked, "--model", "tiny@1", "--format", "table")
    before = command("models", "show", "tiny@1", "--format", "json").out
    assert "before     20.000 in tiny@1\n" in ended.out
    assert "different  other pictures: " in ended.out
    assert "new good pictures from good instead of " in ended.out
    assert "; another rate: at most 20 % of good parts may fail instead of 5 %\n" in ended.out

    again = json.loads(command(*asked).out)
    assert again["changes"] == []  # the same pictures, the same rate
    assert again["threshold"] == again["before"]["threshold"]
    assert again["before"]["model"]["version"] == again["model"]["version"] - 1
    assert again["method"] == again["before"]["method"] == CalibrationMethod.NEW

    ended = command("calibrate", plant.good, "--model", "tiny@1")
    third = json.loads(ended.out)
    assert ended.err.endswith("tiny@4 is now current; a daemon or watch that uses tiny changes to it\n")
    shown = json.loads(before)
    for name in ("threshold", "review_threshold", "asked_false_reject_rate", "calibrated"):
        assert third["before"][name] == shown[name]
    assert third["before"]["images"] == shown["heldout_images"] == 19


def test_the_list_says_when_and_for_which_rate(command: Command, plant: Plant) -> None:
    """Each version has its own time and rate, although both were fitted at the same time."""
    command("calibrate", plant.good, "--max-false-reject", "0.2")
    new, *_, old = json.loads(command("models", "list", "--format", "json").out)
    assert new["created"] == old["created"]
    assert new["calibrated"] > old["calibrated"]
    assert (new["asked_false_reject_rate"], old["asked_false_reject_rate"]) == (0.2, 0.05)
    assert new["calibration_source"].endswith("new good pictures from good")
    _, first, *_, last = command("models", "list", "--format", "table").out.splitlines()
    assert new["calibrated"][:16] in first
    assert " 20 % " in first
    assert old["calibrated"][:16] in last
    assert " 20 % " not in last
