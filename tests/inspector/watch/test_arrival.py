"""A picture is read in exactly the state that was seen, and told apart from others of its name."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from inspector.watch.arrival import Modification
from tests.inspector.watch.watching import arrived, write
from tests.serving import until


@pytest.mark.parametrize(
    ("ctime_ns", "shows"),
    [
        (1_700_000_000_123_456_789, True),
        (1_700_000_000_123_456_700, True),  # NTFS: steps of 100 ns
        (1_700_000_002_000_000_000, False),  # FAT: steps of 2 s
        (1_700_000_002_340_000_000, False),  # exFAT: steps of 10 ms
        (None, False),
    ],
)
def test_times_in_long_steps_do_not_show_every_change(ctime_ns: int | None, shows: bool) -> None:
    """A time of change in round numbers comes from a file system without a fine clock."""
    assert Modification(1, 2, ctime_ns).shows_changes() is shows


def test_a_link_that_is_pointed_elsewhere_is_another_state(tmp_path: Path) -> None:
    """The state of a link changes with the link, even if both files have the same times."""
    for name in ("a.png", "b.png"):
        os.utime(write(tmp_path / "files" / name, b"1"), ns=(1, 1))
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "files" / "a.png")
    first = arrived(link)
    assert first.is_there()
    until(lambda: write(tmp_path / "tick", b"").stat().st_ctime_ns > link.lstat().st_ctime_ns)
    link.unlink()
    link.symlink_to(tmp_path / "files" / "b.png")
    assert not first.is_there()
    assert first.read(100) is None
    assert arrived(link).read(100)


def test_a_state_that_has_gone_is_not_read(tmp_path: Path) -> None:
    """Reading returns the bytes of the settled state, never those of a later state or of a pipe."""
    path = write(tmp_path / "a.png", b"123")
    arrival = arrived(path)
    digest = f"sha256:{hashlib.sha256(b'123').hexdigest()}"
    assert arrival.read(100) == (arrival.with_digest(digest), b"123")
    refused = arrival.read(2)
    assert refused is not None
    assert refused[0] == arrival
    assert "at most 2 are read" in str(refused[1])
    os.utime(path, ns=(1, 1))
    assert arrival.read(100) is None
    path.unlink()
    assert arrival.read(100) is None
    os.mkfifo(path)
    assert arrival.read(100) is None


def test_a_picture_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """If a writer changes the file while it is read, the bytes are not used."""
    path = write(tmp_path / "a.png", b"")
    os.truncate(path, 300_000_000)
    arrival = arrived(path)

    def write_when_opened() -> None:
        until(lambda: any(os.path.realpath(place) == str(path) for place in Path("/proc/self/fd").iterdir()))
        with path.open("r+b") as stream:
            stream.write(b"1")

    writer = threading.Thread(target=write_when_opened)
    writer.start()
    content = arrival.read(10**9)
    writer.join()
    assert content is None
    assert arrival.modified != arrived(path).modified
