"""Every picture that arrives gets its line, even with name, size and time of an earlier one."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.inspector.conftest import Command
from tests.inspector.watch.watching import (
    BAD,
    GOOD,
    QUICK,
    Watcher,
    contents,
    pictures,
    rows,
    rows_so_far,
    told,
    write,
)
from tests.serving import until

SIZE = max(len(GOOD), len(BAD))
FIRST, SECOND = GOOD.ljust(SIZE, b"\0"), BAD.ljust(SIZE, b"\0")  # bytes after the end do not matter
TIME_NS = 1_700_000_000_000_000_000


def put(path: Path, content: bytes) -> None:
    """Write a file with the time that all of these have, under a hidden name, and rename it into place."""
    staged = write(path.with_name(f".{path.name}"), content)
    os.utime(staged, ns=(TIME_NS, TIME_NS))
    staged.rename(path)


def overwrite(path: Path, content: bytes) -> None:
    """Write over a file in place."""
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(TIME_NS, TIME_NS))


def recreate(path: Path, content: bytes) -> None:
    """Delete a file and write another one."""
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(TIME_NS, TIME_NS))


def relink(path: Path, content: bytes) -> None:
    """Replace a file by a link to another one, of the same size and time."""
    target = path.parent.parent / "elsewhere" / path.name
    put(target, content)
    path.unlink()
    path.symlink_to(target)


WAYS = {"put.png": put, "overwrite.png": overwrite, "recreate.png": recreate, "relink.png": relink}


@pytest.mark.parametrize("output", ["a file", "-"])
def test_replaced_while_the_watch_runs(folder: Path, output: str) -> None:
    """A picture that takes the place of a judged one, in any way, gets a line of its own."""
    for name in WAYS:
        put(folder / name, FIRST)
    with Watcher(folder, *(("--output", "-") if output == "-" else ())) as watcher:

        def found() -> Counter[tuple[str, str]]:
            lines = watcher.printed if output == "-" else rows_so_far(folder / "inspections.jsonl")
            return Counter((Path(row["path"]).name, row["verdict"]) for row in map(json.loads, lines))

        wanted = Counter((name, "pass") for name in WAYS)
        until(lambda: found() == wanted)
        for name, replace in WAYS.items():
            replace(folder / name, SECOND)
        wanted.update((name, "fail") for name in WAYS)
        until(lambda: found() == wanted)
        write(folder / "z.png", GOOD)  # a further line of the others would come before this one's
        wanted["z.png", "pass"] = 1
        until(lambda: found() == wanted)
    assert watcher.said == []


def test_replaced_while_no_watch_runs(command: Command, folder: Path) -> None:
    """The next watch judges the new pictures, and the one after that judges nothing."""
    results = folder / "inspections.jsonl"
    for name in WAYS:
        put(folder / name, FIRST)
    assert command("watch", folder, "--once", *QUICK).code == 0
    for name, replace in WAYS.items():
        replace(folder / name, SECOND)
    assert command("watch", folder, "--once", *QUICK).code == 1
    assert command("watch", folder, "--once", *QUICK).code == 0
    assert Counter(told(results)) == Counter((name, verdict) for name in WAYS for verdict in ("pass", "fail"))
    states = [(row["modified"]["mtime_ns"], row["modified"]["size_bytes"]) for row in rows(results)]
    assert set(states) == {(TIME_NS, SIZE)}
    assert len({row["modified"]["digest"] for row in rows(results)}) == 2


@pytest.mark.parametrize("end", [None, signal.SIGTERM, signal.SIGKILL])
def test_another_one_after_the_first_was_moved(
    folder: Path, tmp_path: Path, end: signal.Signals | None
) -> None:
    """A picture that arrives after a move has its own line and verdict, even if it is the same one again."""
    results, sorted_ = folder / "inspections.jsonl", tmp_path / "sorted"
    later = {"another.png": SECOND, "same.png": FIRST}

    def all_are_sorted(count: int) -> bool:
        return len(pictures(sorted_)) == count and not pictures(folder)

    for name in later:
        put(folder / name, FIRST)
    with ExitStack() as stack:
        watcher = stack.enter_context(Watcher(folder, "--move", sorted_))
        until(lambda: all_are_sorted(2))
        if end is not None:
            watcher.process.send_signal(end)
            watcher.ended()
        for name, content in later.items():
            put(folder / name, content)
        if end is not None:
            stack.enter_context(Watcher(folder, "--move", sorted_))
        until(lambda: all_are_sorted(4))
    assert Counter(told(results)) == Counter(
        [("another.png", "pass"), ("another.png", "fail"), ("same.png", "pass"), ("same.png", "pass")]
    )
    assert contents(sorted_) == {
        "pass/another.png": FIRST,
        "fail/another.png": SECOND,
        "pass/same.png": FIRST,
        "pass/same_2.png": FIRST,
    }
    assert {row["destination"] for row in rows(results)} == {str(sorted_ / "pass"), str(sorted_ / "fail")}


def test_another_one_before_the_first_was_moved(folder: Path, tmp_path: Path) -> None:
    """After a kill between line and move, the picture that replaced the judged one gets its own verdict."""
    results, sorted_ = folder / "inspections.jsonl", tmp_path / "sorted"
    with Watcher(folder, "--move", sorted_) as watcher:
        until(results.exists)
        (sorted_ / "pass").rmdir()  # as if the share were not there: no picture can be moved
        for name in ("kept.png", "replaced.png"):
            put(folder / name, FIRST)
        until(lambda: bool(watcher.said) and len(rows_so_far(results)) == 2)
        write(folder / "other.png", BAD)
        until(lambda: pictures(sorted_) == {"fail/other.png"})
        watcher.kill()
    put(folder / "replaced.png", SECOND)
    with Watcher(folder, "--move", sorted_):
        until(lambda: len(pictures(sorted_)) == 3 and not pictures(folder))
    assert Counter(told(results)) == Counter(
        [("kept.png", "pass"), ("replaced.png", "pass"), ("other.png", "fail"), ("replaced.png", "fail")]
    )
    assert contents(sorted_) == {"pass/kept.png": FIRST, "fail/replaced.png": SECOND, "fail/other.png": BAD}


def test_the_same_state_by_another_clock_has_one_line(command: Command, folder: Path) -> None:
    """New permissions, or the same bytes with the same time from a backup, are no arrival."""
    path, results = folder / "part.png", folder / "inspections.jsonl"
    put(path, FIRST)
    assert command("watch", folder, "--once", *QUICK).code == 0
    path.chmod(0o600)
    assert command("watch", folder, "--once", *QUICK).code == 0
    put(path, FIRST)
    assert command("watch", folder, "--once", *QUICK).code == 0
    assert told(results) == [("part.png", "pass")]


def test_the_same_picture_after_its_name_was_free(folder: Path) -> None:
    """The same picture is a new arrival if it had disappeared; one whose folder comes back is none."""
    path, results, aside = folder / "deep" / "part.png", folder / "inspections.jsonl", folder.parent / "aside"
    put(path, FIRST)

    def next_line(name: str) -> None:  # two more scans have seen what is there by then
        before = len(rows_so_far(results))
        write(folder / name, GOOD)
        until(lambda: len(rows_so_far(results)) == before + 1)

    with Watcher(folder):
        until(lambda: len(rows_so_far(results)) == 1)
        path.parent.rename(aside)
        next_line("1.png")
        aside.rename(path.parent)
        next_line("2.png")
        next_line("3.png")
        path.unlink()
        next_line("4.png")
        put(path, FIRST)
        until(lambda: len(rows_so_far(results)) == 6)
    assert [name for name, _ in told(results)] == ["part.png", *(f"{n}.png" for n in range(1, 5)), "part.png"]


def test_a_file_system_without_a_time_of_change(folder: Path, tmp_path: Path) -> None:
    """Judged pictures are read again if their time of change is that of the modification, as on FAT."""
    script = (
        "import sys\n"
        "from inspector.watch.arrival import Modification\n"
        "of = Modification.of\n"
        "Modification.of = lambda status, link=None: Modification(\n"
        "    status.st_mtime_ns // 2_000_000_000 * 2_000_000_000, status.st_size,\n"
        "    status.st_mtime_ns // 2_000_000_000 * 2_000_000_000)\n"
        "from inspector.commands.main import main\n"
        "sys.exit(main())\n"
    )
    path, results, sorted_ = folder / "part.png", folder / "inspections.jsonl", tmp_path / "sorted"
    put(path, FIRST)
    with Watcher(folder, program=("-c", script)):
        until(lambda: len(rows_so_far(results)) == 1)
        overwrite(path, SECOND)
        until(lambda: len(rows_so_far(results)) == 2)
    overwrite(path, FIRST)
    with Watcher(folder, "--move", sorted_, program=("-c", script)):
        until(lambda: pictures(sorted_) == {"pass/part.png"})
        put(path, FIRST)
        until(lambda: pictures(sorted_) == {"pass/part.png", "pass/part_2.png"})
    assert [verdict for _, verdict in told(results)] == ["pass", "fail", "pass", "pass"]
