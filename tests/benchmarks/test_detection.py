"""The command lines of the benchmarks, on rendered parts."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from inspector.errors import UsageError
from models.inspection.components import COMPONENTS
from models.inspection.options import InspectionOptions
from tests.benchmarks import ablation, autoencoders, detection
from tests.benchmarks.baseline_figures import NAMES
from tests.benchmarks.command import arguments, requests
from tests.benchmarks.conftest import detection_table
from tests.benchmarks.measurement import code, replaced_constants
from tests.benchmarks.request import Effort, Request
from tests.benchmarks.result import Stored, load_all, write

Output = pytest.CaptureFixture[str]


def test_a_folder_is_measured_once(data: Path, results: Path) -> None:
    """The second run reads its files and prints the same as the first: fits, headline, baselines."""
    first = (results / "printed.txt").read_text()
    times = {path: path.stat().st_mtime_ns for path in results.rglob("*.json")}
    assert detection_table(data, results) == first
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*.json")} == times
    measured, headline, beside = first.split("\n\n")
    assert measured.splitlines()[1].split()[:2] == ["flange", "0"]
    assert [line.split()[0] for line in headline.splitlines()[:3]] == ["set", "flange", "mean"]
    assert "The promise is " in headline
    assert all(name in beside.splitlines()[0] for name in NAMES)
    assert len(load_all(results)) == 1


def test_an_ablation_compares_with_the_defaults(
    data: Path, stored: Stored, tmp_path: Path, capsys: Output
) -> None:
    """Stored results are read; the row of a variant shows its difference from the defaults."""
    steps, variant = Effort(steps=1), "resolution 128"
    for auroc, name, changes in ((0.75, None, {}), (0.875, variant, ablation.VARIANTS[variant].changes)):
        asked = Request(data / "flange", steps, variant=name, changes=changes)
        result = stored.result | {
            "request": asked.asked(code().digest),
            "image": stored.result["image"] | {"auroc": auroc},
        }
        write(asked.place(tmp_path), result, stored.timing)
    assert ablation.main([str(data), "--steps", "1", "--results", str(tmp_path), "--variants", variant]) == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line.split() for line in table] == [
        ["flange", "mean"],
        ["defaults", "0.750", "0.750"],
        ["resolution", "128", "0.875", "+.125", "0.875", "+.125"],
    ]


@pytest.mark.parametrize("variant", ablation.VARIANTS)
def test_a_variant_changes_existing_options_and_constants(variant: str) -> None:
    """A renamed constant, or one that has the variant's value already, fails here and not after an hour."""
    changes, constants, without = ablation.VARIANTS[variant]
    assert changes or constants or without
    assert all(getattr(InspectionOptions(), name) != value for name, value in changes.items())
    for name, value in constants.items():
        module, _, constant = name.rpartition(".")
        assert getattr(importlib.import_module(module), constant) != value


@pytest.mark.parametrize("component", ["head", "context"])
def test_without_a_component_the_others_keep_their_weights(component: str, data: Path) -> None:
    """The component has no weight during the fit, and the request names it in its file."""
    asked = Request(data / "flange", without=component)
    ((name, table),) = replaced_constants(asked).items()
    assert name == "models.inspection.components.COMPONENTS"
    expected = [(row.name, None if row.name == component else row.weight) for row in COMPONENTS]
    assert [(row.name, row.weight) for row in table] == expected
    assert json.loads(json.dumps(asked.asked("code")))["without"] == component


def test_a_set_that_cannot_be_fitted_does_not_end_the_others(tmp_path: Path, capsys: Output) -> None:
    """A set without pictures gives a line in the table and the exit code 1."""
    for name in ("train/good", "test/good"):
        (tmp_path / "data" / "empty" / name).mkdir(parents=True)
    command = [str(tmp_path / "data"), "--steps", "1", "--results", str(tmp_path)]
    for main, fits in ((detection.main, 1), (autoencoders.main, len(autoencoders.METHODS))):
        assert main(command) == 1
        said = capsys.readouterr().out
        assert (said.count("empty: error: "), said.count("no picture")) == (fits, fits)


def test_a_folder_without_sets_is_said_to_be_one(tmp_path: Path, capsys: Output) -> None:
    """A folder without sets gives an error with a hint, and the exit code 2."""
    assert detection.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: no set in {tmp_path}",
        "hint: a set has train/good and test/good",
    ]


def test_requests_follow_the_command_line(data: Path) -> None:
    """All sets come with the first seed, then with the next; a budget replaces the preset."""
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
