"""The command lines of the benchmarks, on rendered parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import ablation, detection
from tests.benchmarks.comparison import NAMES
from tests.benchmarks.request import arguments, requests
from tests.benchmarks.result import load_all

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of results for both commands."""
    return tmp_path_factory.mktemp("results")


def test_a_folder_is_measured_once(data: Path, results: Path, capsys: Output) -> None:
    """The second run prints the same table as the first, from its files, with the baselines below."""
    command = [str(data), "--steps", "1", "--results", str(results), "--article-steps", "1"]
    assert detection.main(command) == 0
    first = capsys.readouterr().out
    assert detection.main(command) == 0
    assert capsys.readouterr().out == first
    measured, beside = first.split("\n\n")
    assert measured.splitlines()[1].split()[:2] == ["flange", "0"]
    assert all(name in beside.splitlines()[0] for name in NAMES)
    assert len(load_all(results)) == 1


def test_an_ablation_shares_the_fits_of_the_defaults(data: Path, results: Path, capsys: Output) -> None:
    """Only the changed option is fitted anew; its row says how far its mean is from the defaults."""
    command = [str(data), "--steps", "1", "--results", str(results), "--parts", "resolution 128"]
    before = {path: path.read_bytes() for path in results.rglob("*.json")}
    assert ablation.main(command) == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line[:14].strip() for line in table] == ["", "defaults", "resolution 128"]
    assert {path: path.read_bytes() for path in before} == before
    changed = [stored.result for stored in load_all(results) if stored.result["request"]["part"]]
    assert [result["options"]["image_size"] for result in changed] == [128]
    default = next(stored.result for stored in load_all(results) if not stored.result["request"]["part"])
    difference = changed[0]["image"]["auroc"] - default["image"]["auroc"]
    shown = table[2].split()[3].replace("−", "-").replace("±", "")
    assert float(shown) == pytest.approx(difference, abs=6e-4)


def test_a_set_that_cannot_be_fitted_does_not_end_the_others(tmp_path: Path, capsys: Output) -> None:
    """A set without pictures is a line in the table and an exit code of 1."""
    for name in ("train/good", "test/good"):
        (tmp_path / "data" / "empty" / name).mkdir(parents=True)
    command = [str(tmp_path / "data"), "--steps", "1", "--results", str(tmp_path), "--no-baselines"]
    assert detection.main(command) == 1
    assert "empty: error: no pictures in" in capsys.readouterr().out


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
    assert requests(read([*words, "--sets", "other"])) == []
