"""Every verb that prints a result: a table or JSON, alone on stdout, with the model that it used."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from inspector.commands.main import app
from inspector.commands.output import pairs, print_result
from tests.inspector.commands.conftest import Plant
from tests.inspector.commands.refusal import refused
from tests.inspector.conftest import Command
from tests.journey.program import undocumented

Words = list[str | Path]

# Verbs that use a model, with the words that make them print a result of the model `tiny`.
VERBS: dict[str, Callable[[Plant, Path], Words]] = {
    "score": lambda plant, _: [plant.part],
    "evaluate": lambda plant, _: [plant.labelled],
    "calibrate": lambda plant, place: [plant.good, "--output", place / "new"],
    "drift": lambda plant, _: [plant.good],
    "generate": lambda _, place: ["--output", place / "a.png"],
    "interpolate": lambda plant, place: [plant.part, plant.good / "01.png", "--output", place / "a.png"],
    "models verify": lambda _plant, _place: [],
}


def leaves(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every verb with its full name."""
    for short in group.list_commands(None):
        command = group.get_command(None, short)
        if hasattr(command, "list_commands"):
            yield from leaves(command, f"{name}{short} ")
        else:
            yield f"{name}{short}", command


def formats(command: Any) -> list[str]:
    """Return the values of a verb's `--format`; none if the verb has no such option."""
    option = option_of(command)
    return [] if option is None else option.get_help_record(typer.Context(command))[0][10:-1].split("|")


def option_of(command: Any) -> Any:
    """Return the option `--format` of a verb; None if there is none."""
    return next((option for option in command.params if "--format" in option.opts), None)


def test_every_verb_that_prints_a_result_has_the_option() -> None:
    """All verbs take `--format`, but for those that print no result."""
    without = {name for name, command in leaves(typer.main.get_command(app)) if not formats(command)}
    changing = {f"models {verb}" for verb in ("promote", "rollback", "remove", "export", "import")}
    assert without == {"serve"} | changing


def test_the_option_is_the_same_everywhere() -> None:
    """Table and JSON come first, and the help says which one is printed without the option."""
    for name, command in leaves(typer.main.get_command(app)):
        if formats(command):
            assert formats(command)[:2] == ["table", "jsonl" if name == "watch" else "json"], name
            assert "table on a terminal" in option_of(command).help, name


@pytest.mark.parametrize("verb", VERBS)
def test_a_pipe_gets_json_that_names_the_model(
    command: Command, plant: Plant, tmp_path: Path, verb: str
) -> None:
    """Without `--format`, stdout in a pipe is JSON and nothing else."""
    ended = command(*verb.split(), *VERBS[verb](plant, tmp_path))
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["model"]["name"] == "tiny"


@pytest.mark.parametrize("verb", VERBS)
def test_a_table_names_the_model(command: Command, plant: Plant, tmp_path: Path, verb: str) -> None:
    """The table shows name and version; `score` shows them in its foot on stderr."""
    ended = command(*verb.split(), *VERBS[verb](plant, tmp_path), "--format", "table")
    assert ended.code == 0, ended.err
    version = 2 if verb == "calibrate" else 1
    assert f"tiny@{version}" in (ended.err if verb == "score" else ended.out)
    with pytest.raises(ValueError, match=r"Expecting|Extra data"):
        json.loads(ended.out)


@pytest.mark.parametrize("verb", ["calibrate"])
def test_every_field_is_documented(command: Command, plant: Plant, tmp_path: Path, verb: str) -> None:
    """The reference names each field of the result."""
    result = json.loads(command(verb, *VERBS[verb](plant, tmp_path)).out)
    assert not undocumented(verb, result)


def on_terminal(*arguments: str | Path) -> str:
    """Run the program at a terminal, and return what it shows."""
    mine, theirs = pty.openpty()
    program = [sys.executable, "-m", "inspector", *map(str, arguments)]
    with subprocess.Popen(
        program, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "dumb"}
    ):
        os.close(theirs)
        seen = b""
        while part := _read(mine):
            seen += part
    os.close(mine)
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when the other side is closed
        return b""


def test_a_watch_prints_json_lines_or_a_table(command: Command, plant: Plant, tmp_path: Path) -> None:
    """With `--output -` the results go to stdout in the form of `score`; a file has JSON lines alone."""
    ended = command("watch", plant.good, "--once", "--settle", "0", "--output", "-")
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [row["model"]["name"] for row in rows] == ["tiny"] * 12
    assert "modified" in rows[0]
    words = ("watch", plant.good, "--once", "--settle", "0", "--format", "table")
    ended = command(*words, "--output", "-")
    header, *lines = ended.out.splitlines()
    assert ended.err == "model tiny@1\n"
    assert header.split()[0] == "verdict"
    assert [line.split()[0] for line in lines] == ["pass"] * 12
    refused(command(*words, "--output", tmp_path / "a.jsonl"), 2, "--format table belongs to --output -")


def test_a_terminal_gets_a_table(plant: Plant) -> None:
    """Without `--format`, a terminal shows a table, and JSON is indented there."""
    assert "no drift found" in on_terminal("drift", plant.good)
    shown = on_terminal("models", "verify", "--format", "json")
    assert json.loads(shown)["files"] == 10
    assert '\n  "files": 10' in shown.replace("\r\n", "\n")


def test_remarks_end_the_table_and_stand_beside_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Sentences are part of the table; beside JSON and JSON lines they go to stderr."""
    result = {"model": {"name": "a"}, "rows": [{"n": 1}, {"n": 2}]}
    print_result(result, "n", "table", rows="rows", remarks=["done"])
    assert capsys.readouterr() == ("n\ndone\n", "")
    print_result(result, "n", "jsonl", rows="rows", remarks=["done"])
    assert capsys.readouterr() == ('{"n": 1}\n{"n": 2}\n', "done\n")
    print_result(result, "n", None, rows="rows", remarks=["done"])
    printed = capsys.readouterr()
    assert (json.loads(printed.out), printed.err) == (result, "done\n")


def test_an_empty_table_prints_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table prints no line."""
    print_result([], "", "table")
    assert capsys.readouterr() == ("", "")
    assert pairs({"a": None, "long": 1}) == "a     -\nlong  1"
