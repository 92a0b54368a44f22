"""The next watch completes the work of one that was killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import good_picture
from tests.inspector.watch.watching import (
    BAD,
    GOOD,
    QUICK,
    Watcher,
    contents,
    names,
    other_disk,
    pictures,
    rows,
    rows_so_far,
    told,
    write,
)
from tests.serving import until


def test_killed_and_torn(folder: Path) -> None:
    """The next watch cuts off a line that a kill left incomplete, and every picture gets one line."""
    results = folder / "inspections.jsonl"
    for name in ("a.png", "b.png"):
        write(folder / name, GOOD)
    with Watcher(folder) as watcher:
        until(lambda: len(rows(results)) == 2)
        watcher.kill()
    results.write_bytes(results.read_bytes()[:-200])
    write(folder / "c.png", BAD)
    with Watcher(folder):
        until(lambda: len(rows_so_far(results)) == 3)
    assert sorted(told(results)) == [("a.png", "pass"), ("b.png", "pass"), ("c.png", "fail")]


KILLS = {
    "before it is held": "sorter.Sorter._hold = lambda *_: die()",
    "before it is placed": "sorter._place = lambda *_, **__: die()",
    "while it has both names": "link = os.link; os.link = lambda *paths: (link(*paths), die())",
    "while there is a copy": "sorter._name = lambda *_, **__: die()",
}


MOMENTS = [pytest.param(moment, marks=pytest.mark.system if "copy" in moment else ()) for moment in KILLS]


def kill_at(moment: str, folder: Path, sorted_: Path) -> None:
    """Run a watch that is killed at one moment of its first move."""
    script = (
        "import os, signal, sys\n"
        "from inspector.watch import sorter\n"
        "from inspector.commands.main import main\n"
        "die = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{KILLS[moment]}\n"
        f"sys.argv = ['inspector', 'watch', {str(folder)!r}, '--move', {str(sorted_)!r}, *{QUICK!r}]\n"
        "main()\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_between_line_and_move(folder: Path, tmp_path: Path, moment: str) -> None:
    """After a kill at any point of a move, the next watch completes it: one line and one moved file."""
    results, sorted_ = folder / "inspections.jsonl", tmp_path / "sorted"
    content = {f"{number}.png": encode_png(good_picture(number)) for number in range(40)}
    for name, picture in content.items():
        write(folder / name, picture)
    with other_disk(sorted_) if "copy" in moment else nullcontext():
        kill_at(moment, folder, sorted_)
        assert len(rows(results)) == 1
        with Watcher(folder, "--move", sorted_) as watcher:
            until(lambda: len(names(sorted_)) == 40 and not pictures(folder))
        assert contents(sorted_ / "pass") == content
    assert len({name for name, _ in told(results)}) == len(rows(results)) == 40
    assert not (folder / ".moving").exists()
    assert watcher.said == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_replaced_after_the_kill(folder: Path, tmp_path: Path, moment: str) -> None:
    """Another picture with name, size and time of one that was being moved gets its own verdict."""
    path, sorted_ = folder / "part.png", tmp_path / "sorted"
    good, bad = (content.ljust(max(len(GOOD), len(BAD)), b"\0") for content in (GOOD, BAD))
    with other_disk(sorted_) if "copy" in moment else nullcontext():
        os.utime(write(path, good), ns=(7, 7))
        kill_at(moment, folder, sorted_)
        os.utime(write(path, bad), ns=(7, 7))
        with Watcher(folder, "--move", sorted_):
            until(lambda: "fail/part.png" in names(sorted_) and not pictures(folder))
        found = contents(sorted_)
    was_there = moment == "before it is held"  # so the second picture was written over the first one
    assert found == {"fail/part.png": bad} | ({} if was_there else {"pass/part.png": good})
    assert told(folder / "inspections.jsonl") == [("part.png", "pass"), ("part.png", "fail")]
