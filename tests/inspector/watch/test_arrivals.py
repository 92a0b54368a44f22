"""Arrivals are returned once they have settled, and read in exactly that state."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inspector.errors import DatasetError
from inspector.watch.arrival import Arrival, Modification
from inspector.watch.arrivals import Arrivals
from tests.inspector.watch.watching import SETTLE, write
from tests.privileges import unprivileged


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        """Return the seconds on the clock."""
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that `Arrivals` reads."""
    clock = Clock()
    monkeypatch.setattr("inspector.watch.arrivals.time", clock)
    return clock


def test_a_picture_settles_before_it_is_returned(tmp_path: Path, clock: Clock) -> None:
    """Scans far enough apart must see the same size and time; each change starts the wait again."""
    arrivals = Arrivals(tmp_path, SETTLE)
    path = write(tmp_path / "a.png", b"1")
    assert arrivals.scan() == []
    assert arrivals.unsettled == 1
    clock.seconds += SETTLE
    write(path, b"12")
    assert arrivals.scan() == []
    os.utime(path, ns=(1, 1))
    clock.seconds += SETTLE
    assert arrivals.scan() == []
    clock.seconds += SETTLE / 2
    assert arrivals.scan() == []
    clock.seconds += SETTLE
    (settled,) = arrivals.scan()
    assert settled == Arrival(str(path), Modification(1, 2, path.stat().st_ctime_ns))
    assert arrivals.unsettled == 0


def test_what_was_taken_is_not_returned_until_it_changes(tmp_path: Path) -> None:
    """A taken picture is returned again only in another state, or after `forget`."""
    arrivals = Arrivals(tmp_path, 0)
    path = write(tmp_path / "a.png", b"1")
    (first,) = arrivals.scan()
    arrivals.take(first)
    assert arrivals.scan() == []
    write(path, b"12")
    (second,) = arrivals.scan()
    assert second.modified.size_bytes == 2
    arrivals.take(first)  # a state that is gone
    assert arrivals.scan() == [second]
    arrivals.take(second)
    arrivals.forget()
    assert arrivals.scan() == [second]


def test_what_counts_as_a_picture_is_what_score_scores(tmp_path: Path) -> None:
    """A scan finds the files of `list_images`, except left-out paths, oldest first."""
    for number, name in enumerate(("deep/er/b.JPG", "a.tiff", "results.png", "sorted/pass/c.png", "z.bmp")):
        os.utime(write(tmp_path / name, b"1"), ns=(number, number))
    for name in (
        ".hidden.png",
        ".dot/d.png",
        "notes.txt",
        "folder.png/notes.txt",
        "half.png.part",
        "@eaDir/e.png",
    ):
        write(tmp_path / name, b"1")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    (tmp_path / "nowhere.png").symlink_to("nothing")
    elsewhere = tmp_path.with_name("alias")
    elsewhere.symlink_to(tmp_path)
    arrivals = Arrivals(elsewhere, 0)
    arrivals.leave_out([tmp_path / "sorted" / "pass", tmp_path / "results.png", tmp_path.parent])
    found = [Path(arrival.path).relative_to(elsewhere).as_posix() for arrival in arrivals.scan()]
    assert found == ["deep/er/b.JPG", "a.tiff", "z.bmp"]
    assert arrivals.problems == []


def test_a_folder_below_that_may_not_be_listed(tmp_path: Path) -> None:
    """An unreadable folder below is a problem and hides no other file; a missing root is an error."""
    write(tmp_path / "in" / "shut" / "b.png", b"1")
    write(tmp_path / "in" / "a.png", b"1")
    (tmp_path / "in" / "shut").chmod(0)
    arrivals = Arrivals(tmp_path / "in", 0)
    with unprivileged():
        assert [Path(one.path).name for one in arrivals.scan()] == ["a.png"]
    (problem,) = arrivals.problems
    assert "shut is out of reach: Permission denied" in problem.message
    with pytest.raises(DatasetError, match="nothing is out of reach: No such file"):
        Arrivals(tmp_path / "nothing", 0).scan()
