"""Old spellings of the command line go on working, and one line on stderr names the new ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inspector.commands.conftest import Plant
from tests.inspector.commands.refusal import refused
from tests.inspector.conftest import Command


@pytest.mark.parametrize("verb", ["calibrate", "drift", "generate", "interpolate"])
def test_the_model_may_stand_first(command: Command, plant: Plant, tmp_path: Path, verb: str) -> None:
    """`inspector VERB MODEL …` does the same as `inspector VERB … --model MODEL`, and says so in one line."""
    arguments: dict[str, tuple[str | Path, ...]] = {
        "calibrate": (plant.good, "--output", tmp_path / "new"),
        "drift": (plant.good,),
        "generate": ("--output", tmp_path / "a.png"),
        "interpolate": (plant.part, plant.good / "01.png", "--output", tmp_path / "a.png"),
    }
    old = command(verb, "tiny@1", *arguments[verb])
    assert old.code == 0, old.err
    assert old.err.splitlines()[-1] == "note: the model tiny@1 is now given as --model tiny@1"
    assert old.err.count("note: ") == 1
    if verb == "calibrate":  # a folder takes one bundle
        assert json.loads(old.out)["model"]["version"] == 2
        return
    new = command(verb, *arguments[verb], "--model", "tiny@1")
    assert new.out == old.out
    assert "note: " not in new.err


def test_options_may_stand_between(command: Command, plant: Plant) -> None:
    """The order of options and arguments does not matter to the old spelling."""
    old = command("drift", "--format", "json", "tiny", "--threads", "1", plant.good)
    assert json.loads(old.out)["images"] == 12


def test_the_model_twice(command: Command, plant: Plant) -> None:
    """A model before the arguments and one after `--model` is a usage error."""
    ended = command("drift", "tiny", plant.good, "--model", "tiny@1")
    refused(ended, 2, "the model is given twice: 'tiny' and --model 'tiny@1'")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["drift"], "missing argument 'DIR'"),
        (["drift", "tiny", "a", "b"], "unexpected extra argument(s) (b)"),
        (["generate", "a", "b", "--output", "a.png"], "unexpected extra argument(s) (b)"),
        (["interpolate", "a.png", "--output", "b.png"], "missing argument 'B'"),
        (["evaluate", "tiny", "a"], "unexpected extra argument(s) (a)"),
        (["score", "--json", "a.png"], "no such option: --json"),
    ],
)
def test_nothing_else_is_an_old_spelling(
    command: Command, plant: Plant, words: list[str], named: str
) -> None:
    """Too few or too many arguments stay usage errors, and so do options that a verb never had."""
    refused(command(*words), 2, named)


@pytest.mark.parametrize("verb", ["calibrate", "cutout"])
def test_json_was_an_option(command: Command, plant: Plant, tmp_path: Path, verb: str) -> None:
    """`--json` is `--format json`."""
    ended = command(verb, plant.good, "--output", tmp_path / "out", "--json")
    assert json.loads(ended.out)
    assert ended.err.splitlines()[-1] == "note: --json is now --format json"


def test_both_old_spellings_make_one_line(command: Command, plant: Plant, tmp_path: Path) -> None:
    """One line names all new spellings."""
    ended = command("calibrate", "tiny", plant.good, "--output", tmp_path / "out", "--json")
    note = "note: --json is now --format json; the model tiny is now given as --model tiny"
    assert ended.err.splitlines() == [note]


@pytest.mark.parametrize("joint", [" ", "="])
def test_latents_were_called_codes(command: Command, plant: Plant, tmp_path: Path, joint: str) -> None:
    """`--codes FILE` and `--codes=FILE` write the latents."""
    file = tmp_path / "latents.npy"
    ended = command("generate", "--output", tmp_path / "a.png", *f"--codes{joint}{file}".split(" "))
    assert json.loads(ended.out)["latents"] == str(file)
    assert file.exists()
    assert ended.err.splitlines()[-1] == "note: --codes is now --latents"


def test_behind_two_dashes_nothing_is_an_option(command: Command, plant: Plant) -> None:
    """A file may be called `--json`."""
    refused(command("cutout", "--output", "out", "--", "--json"), 4, "--json does not exist")


def test_old_spellings_are_not_in_the_help(command: Command) -> None:
    """The help shows the new spelling alone."""
    for verb in ("fit", "calibrate", "cutout"):
        shown = command(verb, "--help").out
        assert "--json" not in shown
        assert "prior " not in shown
    assert "MODEL" not in command("drift", "--help").out.splitlines()[0]
