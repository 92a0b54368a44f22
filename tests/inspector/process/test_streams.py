"""Closed and broken standard streams change neither exit codes nor files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pytest

from inspector.bundle.store import Store
from inspector.process.streams import messages_to
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill, write_picture

CLOSED = [(1,), (2,), (0, 1, 2)]


@pytest.fixture
def folder(store: Store, tmp_path: Path) -> Path:
    """A folder with a good and a bad picture, and a store with a model."""
    store.publish("tiny", tiny_fill())
    folder = tmp_path / "parts"
    folder.mkdir()
    write_picture(folder / "good.png", good_picture())
    write_picture(folder / "bad.png", bad_picture())
    return folder


def run(
    *words: object, closed: Iterable[int] = (), stderr: int | IO[bytes] = subprocess.PIPE
) -> tuple[int, str]:
    """Run a command with closed descriptors; return its exit code and stderr, without tracebacks."""

    def close() -> None:
        for number in closed:
            os.close(number)

    ended = subprocess.run(
        [sys.executable, "-m", "inspector", *map(str, words)],
        preexec_fn=close,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        check=False,
        timeout=60,
    )
    said = (ended.stderr or b"").decode()
    assert "Traceback" not in said
    return ended.returncode, said


@pytest.mark.parametrize("closed", CLOSED)
def test_closed_streams_change_no_exit_code(closed: tuple[int, ...], folder: Path) -> None:
    """Whatever streams are closed, each kind of command ends as usual."""
    for code, words in (
        (0, ["--version"]),
        (0, ["models", "list"]),
        (1, ["score", folder, "--format", "csv"]),
        (2, ["score", folder / "missing.png"]),
        (3, ["score", "-"]),
        (1, ["watch", folder, "--once", "--settle", "0", "--output", "-"]),
        (2, ["serve", "--port", "99999"]),
    ):
        found, said = run(*words, closed=closed)
        assert found == code, (words, said)


def test_no_output_ends_in_a_file(folder: Path, tmp_path: Path) -> None:
    """With all streams closed, files have what they have otherwise, and nothing else."""
    results = {}
    for name, closed in (("open", ()), ("closed", (0, 1, 2))):
        maps = tmp_path / name
        assert run("score", folder, "--heatmaps", maps, closed=closed)[0] == 1
        watched = ["watch", folder, "--once", "--settle", "0", "--output", tmp_path / f"{name}.jsonl"]
        assert run(*watched, closed=closed)[0] == 1
        lines = (tmp_path / f"{name}.jsonl").read_text().splitlines()
        assert all(line.startswith("{") for line in lines)
        results[name] = (len(lines), {path.name: path.read_bytes() for path in maps.iterdir()})
    assert results["open"] == results["closed"]


def test_a_full_disk_of_messages_changes_no_exit_code(folder: Path) -> None:
    """If stderr cannot be written, the command ends with the code of its own error."""
    with Path("/dev/full").open("wb") as full:
        assert run("score", folder / "missing.png", stderr=full)[0] == 2
        assert run("score", "--debug", folder / "missing.png", stderr=full)[0] == 2
        assert run("scoer", stderr=full)[0] == 2


def test_messages_are_dropped_without_a_reader() -> None:
    """Neither a closed pipe nor a full disk raises an error."""
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    for number in (writer, full):
        stream = messages_to(number)
        stream.write("lost\n" * 10_000)
        stream.flush()
        stream.close()
        os.close(number)


def test_messages_arrive_at_once(tmp_path: Path) -> None:
    """A line is written as soon as it ends, and the descriptor stays open."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        stream = messages_to(file.fileno())
        stream.write("first\n")
        assert (tmp_path / "log").read_text() == "first\n"
        stream.close()
        os.fstat(file.fileno())
    assert isinstance(stream, io.TextIOBase)


def test_a_mistyped_variable_is_named_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command warns of a variable that looks like a setting and is none, and does its work."""
    monkeypatch.setenv("INSPECTOR_THREAD", "2")
    for words in (["score", folder / "good.png"], ["models", "list"]):
        code, said = run(*words)
        assert (code, said.count("INSPECTOR_THREAD ")) == (0, 1)
        assert "warning: INSPECTOR_THREAD is not a setting" in said
        assert "did you mean INSPECTOR_THREADS?" in said
