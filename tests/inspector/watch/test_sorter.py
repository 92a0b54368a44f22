"""Pictures are moved to the folder of their verdict, and none is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from inspector.errors import StorageError
from inspector.types import Verdict
from inspector.watch.arrival import digest_of
from inspector.watch.sorter import Sorter
from tests.conftest import Mount
from tests.inspector.watch.watching import arrived, contents, other_disk, write


@pytest.fixture(params=["the same disk", pytest.param("another disk", marks=pytest.mark.system)])
def sorter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sorter]:
    """A sorter whose verdict folders lie beside the watched folder, on its disk or on another one."""
    (tmp_path / "in").mkdir()
    with ExitStack() as stack:
        if request.param == "another disk":
            stack.enter_context(other_disk(tmp_path / "sorted"))
        made = Sorter(tmp_path / "in", tmp_path / "sorted")
        made.make()
        yield made


def test_pictures_go_to_the_folder_of_their_verdict(sorter: Sorter) -> None:
    """Names and times are kept; a name that is taken gets a number."""
    assert sorter.destination is not None
    write(sorter.destination / "fail" / "a.png", b"here before")
    (sorter.destination / "pass" / "a.png").symlink_to("nowhere")
    long = f"{'ü' * 125}.png"
    for name, verdict in (("a.png", "fail"), ("deep/a.png", "fail"), ("b/a.png", "pass"), (long, "review")):
        path = write(sorter.folder / name, name.encode())
        os.utime(path, ns=(7, 7))
        sorter.move(arrived(path), verdict)  # type: ignore[arg-type]
    sorter.move(arrived(write(sorter.folder / long, b"again")), "review")
    found = contents(sorter.destination)
    (numbered,) = [name for name in found if name.startswith("review/") and name.endswith("_2.png")]
    assert found.pop(numbered) == b"again"
    assert found == {
        "fail/a.png": b"here before",
        "fail/a_2.png": b"a.png",
        "fail/a_3.png": b"deep/a.png",
        "pass/a_2.png": b"b/a.png",
        f"review/{long}": long.encode(),
    }
    assert (sorter.destination / "fail" / "a_2.png").stat().st_mtime_ns == 7
    assert contents(sorter.folder) == {}
    assert not sorter.unfinished


def test_what_is_no_longer_what_was_inspected_stays(sorter: Sorter) -> None:
    """A picture that was replaced or removed after its inspection is not moved, nor is a link."""
    path = write(sorter.folder / "a.png", b"old")
    before = arrived(path)
    write(path, b"newer")
    assert not sorter.move(before, "pass")
    assert contents(sorter.folder) == {"a.png": b"newer"}
    path.unlink()
    assert not sorter.move(before, "pass")
    target = write(sorter.folder.parent / "target.png", b"1")
    path.symlink_to(target)
    sorter.move(arrived(path), "pass")
    assert path.is_symlink()
    assert not sorter.unfinished
    assert sorter.destination is not None
    assert contents(sorter.destination) == {}


def test_what_takes_the_name_at_the_last_moment_stays(
    sorter: Sorter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture of the same size and time that takes the name just before the rename goes back."""
    path, other = write(sorter.folder / "a.png", b"old"), write(sorter.folder / ".b", b"new")
    for file in (path, other):
        os.utime(file, ns=(7, 7))
    hold = Sorter._hold

    def hold_after_a_change(self: Sorter, wanted: Path) -> Path | None:
        other.rename(path)
        return hold(self, wanted)

    inspected = arrived(path).with_digest(digest_of(path))
    monkeypatch.setattr(Sorter, "_hold", hold_after_a_change)
    assert not sorter.move(inspected, "pass")
    assert contents(sorter.folder) == {"a.png": b"new"}
    assert sorter.destination is not None
    assert contents(sorter.destination) == {}


def test_what_was_left_half_way_arrives_once(sorter: Sorter) -> None:
    """A watch is killed before, between or after a rename: each picture is moved once, or goes back."""
    assert sorter.destination is not None
    held = sorter.folder / ".moving"
    known: dict[str, Verdict] = {}
    for name in ("taken.png", "deep/placed.png", "linked.png", "unknown.png"):
        write(held / name, name.encode())
        if name != "unknown.png":
            known[str(sorter.folder / name)] = "fail"
    subprocess.run(["cp", "-p", held / "deep/placed.png", sorter.destination / "fail/placed.png"], check=True)
    if held.stat().st_dev == sorter.destination.stat().st_dev:
        os.link(held / "linked.png", sorter.destination / "fail" / "linked.png")
    write(sorter.folder / "unknown.png", b"came later")
    assert sorter.unfinished
    sorter.finish(lambda arrival: known.get(arrival.path))
    assert contents(sorter.destination) == {
        "fail/taken.png": b"taken.png",
        "fail/placed.png": b"deep/placed.png",
        "fail/linked.png": b"linked.png",
    }
    assert contents(sorter.folder) == {"unknown.png": b"came later", "unknown_2.png": b"unknown.png"}
    assert not sorter.unfinished


def test_a_full_disk_leaves_the_picture_where_it_was(tmp_path: Path, mount: Mount) -> None:
    """A full disk leaves no partial copy, and the picture is moved once there is room."""
    disk = mount("size=32k")
    sorter = Sorter(tmp_path / "in", disk)
    sorter.make()
    path = write(tmp_path / "in" / "deep" / "a.png", b"1" * 60_000)
    with pytest.raises(StorageError, match="no space left"):
        sorter.move(arrived(path), "pass")
    assert contents(tmp_path / "in") == {"deep/a.png": b"1" * 60_000}
    assert contents(disk) == {}
    assert not sorter.unfinished
    mount("size=256k")
    sorter.move(arrived(path), "pass")
    assert contents(disk) == {"pass/a.png": b"1" * 60_000}


def test_a_missing_verdict_folder_is_not_made(sorter: Sorter) -> None:
    """A missing verdict folder means an unmounted share: nothing is written in its place."""
    assert sorter.destination is not None
    (sorter.destination / "pass").rmdir()
    path = write(sorter.folder / "a.png", b"1")
    with pytest.raises(StorageError):
        sorter.move(arrived(path), "pass")
    assert contents(sorter.folder) == {"a.png": b"1"}
    assert not (sorter.destination / "pass").exists()
    assert not sorter.unfinished
