"""A wrong command line is refused in one line that names the value, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inspector.commands.conftest import Plant
from tests.inspector.commands.refusal import refused
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import good_picture, write_picture
from tests.journey.program import listing

VALUES = [
    ["fit", "parts", "--preset", "fast"],
    ["fit", "parts", "--time-budget", "5x"],
    ["fit", "parts", "--time-budget", "0m"],
    ["fit", "parts", "--image-size", "100"],
    ["fit", "parts", "--image-size", "32"],
    ["fit", "parts", "--max-false-reject", "2"],
    ["fit", "parts", "--max-false-reject", "0"],
    ["fit", "parts", "--max-false-reject", "nan"],
    ["fit", "parts", "--max-review", "0"],
    ["fit", "parts", "--device", "tpu"],
    ["fit", "parts", "--steps", "0"],
    ["fit", "parts", "--steps", "many"],
    ["fit", "parts", "--seed", "-1"],
    ["fit", "parts", "--width", "0"],
    ["fit", "parts", "--latent-dim", "0"],
    ["fit", "parts", "--regularizer", "l2"],
    ["fit", "parts", "--background", "blue"],
    ["fit", "parts", "--name", "///"],
    ["fit", "parts", "--nonsense", "1"],
    ["fit"],
    ["score"],
    ["score", "part.png", "--format", "xml"],
    ["score", "part.png", "--threads", "-1"],
    ["score", "nosuch.png"],
    ["score", "*.nosuch"],
    ["evaluate", "parts", "--format", "csv"],
    ["calibrate", "parts", "--max-false-reject", "2"],
    ["calibrate", "parts", "--format", "jsonl"],
    ["sweep", "parts", "--device", "tpu"],
    ["sweep", "parts", "--latent-dim", "2,x"],
    ["sweep", "parts", "--latent-dim", "8,8"],
    ["sweep", "parts", "--lambda", "-1"],
    ["sweep", "parts", "--budget-each", "soon"],
    ["models", "frobnicate"],
    ["models", "list", "--format", "xml"],
    ["models", "import", "nosuch.inspector"],
    ["frobnicate"],
    ["scroe", "part.png"],
]


@pytest.mark.parametrize("words", VALUES, ids=" ".join)
def test_unknown_values(
    words: list[str], command: Command, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2; the message names the option or its value."""
    for path in ("part.png", "parts/a.png"):
        write_picture(tmp_path / path, good_picture())
    monkeypatch.chdir(tmp_path)
    before = listing(tmp_path), listing(plant.store.root)
    ended = command(*words)
    refused(ended, 2, "")
    if len(words) > 1:
        assert words[-1] in ended.err or words[-2] in ended.err
    assert (listing(tmp_path), listing(plant.store.root)) == before


# Options of `fit` that do not go together.
COMBINATIONS = [
    (["--preset", "article", "--image-size", "256"], "--image-size is 256"),
    (["--preset", "article", "--split"], "--split belongs to"),
    (["--preset", "article", "--lambda", "-1"], "--lambda is -1"),
    (["--preset", "article", "--width", "12"], "--width is 12"),
    (["--preset", "article", "--regularizer", "none", "--lambda", "3"], "--regularizer none"),
    (["--decoder", "dcgan_mod"], "--decoder belongs to --preset article"),
    (["--lambda", "10"], "--lambda belongs to --preset article"),
    (["--regularizer", "gan"], "allowed with --preset standard are mmd, none"),
]


@pytest.mark.parametrize(("words", "named"), COMBINATIONS)
def test_options_that_do_not_go_together(
    words: list[str], named: str, command: Command, plant: Plant, tmp_path: Path
) -> None:
    """Exit code 2, and one line that names option and value."""
    refused(command("fit", plant.good, *words), 2, named)
    assert not listing(tmp_path)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["fit", "--max-false-reject", "5"], "5 % is written --max-false-reject 0.05"),
        (["fit", "--max-review", "10"], "10 % is written --max-review 0.1"),
        (["calibrate", "--max-false-reject", "1"], "1 % is written --max-false-reject 0.01"),
        (["calibrate", "--max-review", "20"], "20 % is written --max-review 0.2"),
        (["cutout", "--output", "cut", "--margin", "3"], "3 % is written --margin 0.03"),
        (["cutout", "--output", "cut", "--holes", "2"], "2 % is written --holes 0.02"),
    ],
)
def test_a_rate_in_percent(
    words: list[str],
    hint: str,
    command: Command,
    plant: Plant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A percentage without its sign is refused, and the hint says how it is written."""
    monkeypatch.chdir(tmp_path)
    ended = command(words[0], plant.good, *words[1:])
    refused(ended, 2, f"{words[-2]} is {words[-1]}")
    assert hint in ended.err
    assert not listing(tmp_path)


@pytest.mark.parametrize("rate", ["10%", "0,1"])
def test_a_rate_with_a_percent_sign_or_a_comma(
    rate: str, command: Command, plant: Plant, tmp_path: Path
) -> None:
    """Both spellings are the rate that they look like."""
    options = ("--output", tmp_path / "bundle", "--max-false-reject", rate, "--format", "json")
    ended = command("calibrate", plant.good, *options)
    assert ended.code == 0
    assert json.loads(ended.out)["asked_false_reject_rate"] == pytest.approx(0.1)


def test_a_bad_environment(command: Command, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with a value that is not allowed is named with the value."""
    monkeypatch.setenv("INSPECTOR_MAX_PIXELS", "lots")
    ended = command("score", plant.part)
    refused(ended, 2, "INSPECTOR_MAX_PIXELS is 'lots'")
    assert "INSPECTOR_MAX_PIXELS" in ended.err.splitlines()[1]


def test_calibrate_takes_every_rate_of_its_help(command: Command, plant: Plant, tmp_path: Path) -> None:
    """Rates of a calibration reach further than those of a fit, and its help says so."""
    told = " ".join(command("calibrate", "--help").out.split())
    assert "may fail, above 0 and below 1." in told
    assert "sent to review, above 0; with those that fail below 1." in told
    for number, rates in enumerate(((0.9, 0.05), (0.05, 0.9), (0.00001, 0.00001))):
        options = ("--max-false-reject", f"{rates[0]:f}", "--max-review", f"{rates[1]:f}")
        assert command("calibrate", plant.good, "--output", tmp_path / str(number), *options).code == 0
