"""A running watch writes one line for each state of each picture, and ends on a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import good_picture
from tests.inspector.watch.watching import (
    BAD,
    GOOD,
    SETTLE,
    Watcher,
    rows,
    rows_so_far,
    told,
    write,
)
from tests.serving import until


def test_slow_writers_and_renames(folder: Path) -> None:
    """A picture is scored once it is whole, however slow its writer, or when an old file is moved in."""
    results = folder / "inspections.jsonl"
    with Watcher(folder) as watcher:
        with (folder / "slow.png").open("wb", buffering=0) as stream:
            for start in range(0, len(BAD), len(BAD) // 12):
                stream.write(BAD[start : start + len(BAD) // 12])
                time.sleep(SETTLE / 5)
        staged = write(folder.parent / "old.png", GOOD)
        os.utime(staged, (1e9, 1e9))
        staged.rename(folder / "renamed.png")
        until(lambda: len(rows(results)) == 2)
        write(folder / "z.png", GOOD)  # a second line of either picture would come before this one's
        until(lambda: len(rows(results)) == 3)
    assert sorted(told(results)) == [("renamed.png", "pass"), ("slow.png", "fail"), ("z.png", "pass")]
    assert (watcher.said, watcher.printed) == ([], [])


def test_each_state_has_its_line(folder: Path) -> None:
    """A rewritten picture gets another line; one that is removed early gets none."""
    results = folder / "inspections.jsonl"
    with Watcher(folder) as watcher:
        path = write(folder / "a.png", GOOD)
        until(lambda: len(rows(results)) == 1)
        write(folder / "early.png", GOOD).unlink()
        write(path, BAD)
        until(lambda: len(rows(results)) == 2)
        os.utime(path, ns=(5, 5))
        until(lambda: len(rows(results)) == 3)
        path.unlink()
        write(folder / "b.png", GOOD)
        until(lambda: len(rows(results)) == 4)
    assert told(results) == [("a.png", "pass"), ("a.png", "fail"), ("a.png", "fail"), ("b.png", "pass")]
    assert rows(results)[2]["modified"].items() > {"mtime_ns": 5, "size_bytes": len(BAD)}.items()
    assert watcher.said == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the watch with 0 after the current picture, even if others wait."""
    results = folder / "inspections.jsonl"
    content = encode_png(good_picture(1, 400, 400))
    for count in range(300):
        write(folder / f"{count}.png", content)
    with Watcher(folder) as watcher:
        until(lambda: len(rows_so_far(results)) > 3)
        watcher.process.send_signal(number)
        assert watcher.ended() == 0
    assert 3 < len(rows(results)) < 300
    assert (watcher.said, watcher.printed) == ([], [])


def test_a_second_watcher_is_refused(folder: Path) -> None:
    """A second watch on the same results is refused with one line, and the first goes on."""
    results = folder / "inspections.jsonl"
    with Watcher(folder) as first:
        until(results.exists)
        second = Watcher(folder)
        assert second.ended() == 6
        error, _hint = second.said
        assert error.startswith(f"error: {results} is being written to by another process")
        write(folder / "a.png", GOOD)
        until(lambda: len(rows(results)) == 1)
        first.kill()
    with Watcher(folder) as third:  # the lock was released with its process
        write(folder / "b.png", GOOD)
        until(lambda: len(rows(results)) == 2)
    assert third.said == []


def test_results_that_are_taken_away_begin_anew(folder: Path) -> None:
    """After the results were rotated, pictures still in the folder get lines in the new file."""
    results = folder / "inspections.jsonl"
    write(folder / "a.png", GOOD)
    with Watcher(folder) as watcher:
        until(lambda: len(rows(results)) == 1)
        results.rename(folder / "yesterday.jsonl")
        write(folder / "b.png", BAD)
        until(lambda: len(rows_so_far(results)) == 2)
    assert sorted(told(results)) == [("a.png", "pass"), ("b.png", "fail")]
    assert told(folder / "yesterday.jsonl") == [("a.png", "pass")]
    assert watcher.said == []


def test_it_loads_neither_server_nor_torch(folder: Path) -> None:
    """A watch imports neither the web server nor torch."""
    script = (
        "import sys\n"
        "from inspector.commands.main import main\n"
        f"sys.argv = ['inspector', 'watch', {str(folder)!r}, '--once', '--settle', '0']\n"
        "code = main()\n"
        "assert not {'fastapi', 'uvicorn', 'torch', 'onnx', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )
    write(folder / "a.png", GOOD)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert told(folder / "inspections.jsonl") == [("a.png", "pass")]
