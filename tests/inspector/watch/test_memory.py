"""A line belongs to one picture: name, time, size and content decide."""

from __future__ import annotations

import os

import pytest

from inspector.types import Verdict
from inspector.watch.arrival import Modification
from inspector.watch.memory import LastLine, Memory

A, B = (f"sha256:{letter * 64}" for letter in "ab")
FINE, LATER = 1_700_000_000_123_456_789, 1_700_000_009_876_543_210
COARSE = 1_700_000_000_000_000_000  # of a file system like FAT, whose time of change shows nothing


def state(ctime_ns: int | None = FINE, digest: str | None = A, *, mtime_ns: int = 1) -> Modification:
    """A state of a file."""
    return Modification(mtime_ns, 5, ctime_ns, digest)


@pytest.mark.parametrize(
    ("then", "now", "is_surely", "is_of"),
    [
        (state(), state(), True, True),
        (state(), state(LATER), False, True),  # permissions changed, or restored from a backup
        (state(), state(LATER, B), False, False),
        (state(), state(mtime_ns=2), False, False),
        (state(COARSE), state(COARSE), False, True),
        (state(COARSE), state(COARSE, B), False, False),
        (state(digest=None), state(digest=None), True, True),  # it could not be read
        (state(digest=None), state(LATER, None), False, False),
        (state(COARSE, None), state(COARSE, None), True, True),
        (state(None, None), state(), True, True),  # a line of an older version
        (state(None, None), state(mtime_ns=2), False, False),
    ],
)
def test_the_picture_of_a_line(then: Modification, now: Modification, is_surely: bool, is_of: bool) -> None:
    """The same state is the same picture; otherwise time, size and content have to be the same."""
    line = LastLine(then, "pass")
    assert (line.is_surely(now), line.is_of(now)) == (is_surely, is_of)


def test_the_same_again_is_another_picture() -> None:
    """After the first one was gone, only its own time of change shows that it is back."""
    line = LastLine(state(), "pass", gone=True)
    assert line.is_of(state())
    assert not line.is_of(state(LATER))
    assert not LastLine(state(COARSE), "pass", gone=True).is_of(state(COARSE))
    assert not LastLine(state(COARSE, None), "pass", gone=True).is_of(state(COARSE, None))
    assert not LastLine(state(None, None), "pass", gone=True).is_of(state())


def test_the_picture_that_was_being_moved() -> None:
    """A rename changes the time of change, so time, size and content tell whose line it is."""
    assert LastLine(state(), "pass").is_of_moving(state(LATER))
    assert not LastLine(state(), "pass").is_of_moving(state(LATER, B))
    assert LastLine(state(None, None), "pass").is_of_moving(state(LATER))


@pytest.mark.parametrize("verdict", ["pass", "review", "fail", "invalid"])
@pytest.mark.parametrize("modified", [state(), state(None, None), state(-1, None, mtime_ns=-(2**60) * 10**9)])
def test_lines_are_remembered_unchanged(verdict: Verdict, modified: Modification) -> None:
    """Every field of the last line of a path comes back; a later line replaces it."""
    memory, odd = Memory(), os.fsdecode(b"/in/broken\xff.png")
    memory.note(odd, LastLine(state(COARSE), "pass"))
    memory.note(odd, LastLine(modified, verdict))
    memory.note("/in/b.png", LastLine(state(), "fail"))
    assert memory.get(odd) == LastLine(modified, verdict)
    memory.mark_gone([odd, "/in/unknown.png"])
    assert memory.get(odd) == LastLine(modified, verdict, gone=True)
    memory.mark_all_gone_but([odd])
    assert memory.get("/in/b.png") == LastLine(state(), "fail", gone=True)
    assert memory.get("/in/unknown.png") is None
