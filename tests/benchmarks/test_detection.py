"""The command lines of the benchmarks, on rendered parts."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from inspector.errors import UsageError
from models.inspection.detector import FUSED, WEIGHTS
from models.inspection.options import InspectionOptions
from tests.benchmarks import ablation, detection, penalties
from tests.benchmarks.comparison import NAMES
from tests.benchmarks.conftest import detection_table
from tests.benchmarks.measurement import code
from tests.benchmarks.request import Effort, Request, arguments, requests
from tests.benchmarks.result import Stored, load_all, write

Output = pytest.CaptureFixture[str]


def test_a_folder_is_measured_once(data: Path, results: Path) -> None:
    """The second run prints the same table as the first, from its files, with the baselines below."""
    first = (results / "printed.txt").read_text()
    times = {path: path.stat().st_mtime_ns for path in results.rglob("*.json")}
    assert detection_table(data, results) == first
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*.json")} == times
    measured, beside = first.split("\n\n")
    assert measured.splitlines()[1].split()[:2] == ["flange", "0"]
    assert all(name in beside.splitlines()[0] for name in NAMES)
    assert len(load_all(results)) == 1


def test_an_ablation_compares_with_the_defaults(
    data: Path, stored: Stored, tmp_path: Path, capsys: Output
) -> None:
    """What is there is read, the defaults' fits included; a part's row says how far it is from them."""
    steps, part = Effort(steps=1), "resolution 128"
    for auroc, name, changes in ((0.75, None, {}), (0.875, part, ablation.PARTS[part].changes)):
        asked = Request(data / "flange", steps, part=name, changes=changes)
        result = stored.result | {
            "request": asked.asked(code().digest),
            "image": stored.result["image"] | {"auroc": auroc},
        }
        write(asked.place(tmp_path), result, stored.timing)
    assert ablation.main([str(data), "--steps", "1", "--results", str(tmp_path), "--parts", part]) == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line.split() for line in table] == [
        ["flange", "mean"],
        ["defaults", "0.750", "0.750"],
        ["resolution", "128", "0.875", "+.125", "0.875", "+.125"],
    ]


@pytest.mark.parametrize("part", ablation.PARTS)
def test_what_a_part_changes_is_there_to_be_changed(part: str) -> None:
    """A constant that has another name, or the part's value already, shows now, not after an hour of fits."""
    changes, constants = ablation.PARTS[part]
    assert changes or constants
    assert all(getattr(InspectionOptions(), name) != value for name, value in changes.items())
    for name, value in constants.items():
        module, _, constant = name.rpartition(".")
        assert getattr(importlib.import_module(module), constant) != value


def test_without_a_component_the_others_keep_their_weights() -> None:
    """Of the layout, the last one, nothing is left."""
    constants = ablation.PARTS["no layout"].constants
    assert constants["models.inspection.detector.FUSED"] == FUSED[:-1]
    assert constants["models.inspection.detector.WEIGHTS"] == WEIGHTS[:-1]


def test_a_set_that_cannot_be_fitted_does_not_end_the_others(tmp_path: Path, capsys: Output) -> None:
    """A set without pictures is a line in the table and an exit code of 1."""
    for name in ("train/good", "test/good"):
        (tmp_path / "data" / "empty" / name).mkdir(parents=True)
    command = [str(tmp_path / "data"), "--steps", "1", "--results", str(tmp_path)]
    for main, fits in ((detection.main, 1), (penalties.main, len(penalties.METHODS))):
        assert main(command) == 1
        assert capsys.readouterr().out.count("empty: error: no pictures in ") == fits


def test_a_folder_without_sets_is_said_to_be_one(tmp_path: Path, capsys: Output) -> None:
    """Nothing to measure is an error with a hint, and an exit code of 2."""
    assert detection.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: no set in {tmp_path}",
        "hint: a set has train/good and test/good",
    ]


def test_requests_follow_the_command_line(data: Path) -> None:
    """Every set comes with the first seed before the next one; a budget stands in for the preset."""
    read = arguments("").parse_args
    words = [str(data), "--preset", "quick", "--seeds", "3", "4"]
    asked = requests(read(words))
    assert [(one.seed, one.effort.name, one.threads) for one in asked] == [(3, "quick", 0), (4, "quick", 0)]
    budget = requests(read([*words, "--budget", "2m"]))[0]
    assert (budget.effort.name, budget.options()) == ("budget-120s", {"time_budget_seconds": 120.0})
    steps = requests(read([*words, "--steps", "5"]))[0]
    assert (steps.effort.name, steps.options(), steps.threads) == ("steps-5", {"steps": 5}, 1)
    with pytest.raises(UsageError, match="no set of the names other in"):
        requests(read([*words, "--sets", "other"]))
