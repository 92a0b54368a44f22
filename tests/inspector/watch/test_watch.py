"""`inspector watch`: pictures settle, get one line each, are moved, and nothing that happens loses one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, Self

import pytest

import inspector
from inspector.bundle.records import Modification, ScoredImage, Verdict, WatchedImage
from inspector.bundle.store import Store
from inspector.errors import DatasetError, StorageError, StoreBusyError, UsageError
from inspector.imaging import images
from inspector.watch.arrivals import Arrival, Arrivals
from inspector.watch.journal import Journal, Printout
from inspector.watch.sorter import Trays
from tests.conftest import Mount
from tests.inspector.commands.test_score import on_terminal
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill
from tests.journey.program import without_privileges

SETTLE = 0.3
QUICK = ("--settle", str(SETTLE), "--interval", "0.05")

GOOD = images.encode_png(good_picture(101))
BAD = images.encode_png(bad_picture(102))


@pytest.fixture
def model(store: Store) -> Store:
    """A store with a current model."""
    store.publish("tiny", tiny_fill())
    return store


@pytest.fixture
def folder(model: Store, tmp_path: Path) -> Path:
    """An empty folder to watch."""
    made = tmp_path / "incoming"
    made.mkdir()
    return made


def write(path: Path, content: bytes) -> Path:
    """Write a file, and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def rows(results: Path) -> list[dict[str, Any]]:
    """Every line of a results file, each of which must be whole."""
    text = results.read_text() if results.exists() else ""
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def told(results: Path) -> list[tuple[str, str]]:
    """Name and verdict of each line, in order."""
    return [(Path(row["path"]).name, row["verdict"]) for row in rows(results)]


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.005)


class Watcher:
    """A running `inspector watch`; it ends with the `with` block, by SIGTERM and with 0."""

    def __init__(self, *arguments: str | Path, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inspector", "watch", *map(str, arguments), *QUICK],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.said: list[str] = []
        self.printed: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in ((self.process.stderr, self.said), (self.process.stdout, self.printed))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0, self.said
        self._join()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()
        self._join()

    def ended(self) -> int:
        """Wait until it has ended by itself."""
        code = self.process.wait(30)
        self._join()
        return code

    def _join(self) -> None:
        for reader in self._readers:
            reader.join()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            lines.extend(line.rstrip("\n") for line in iter(stream.readline, ""))


# --- settling -------------------------------------------------------------------------------


def test_a_picture_settles_before_it_is_returned(tmp_path: Path) -> None:
    """Looks that lie far enough apart must have seen the same size and time; each change begins anew."""
    arrivals = Arrivals(tmp_path, SETTLE)
    path = write(tmp_path / "a.png", b"1")
    assert arrivals.look() == []
    assert arrivals.unsettled == 1
    time.sleep(SETTLE)
    write(path, b"12")
    assert arrivals.look() == []
    os.utime(path, ns=(1, 1))
    time.sleep(SETTLE)
    assert arrivals.look() == []
    time.sleep(SETTLE)
    (settled,) = arrivals.look()
    assert settled == Arrival(str(path), Modification(1, 2))
    assert arrivals.unsettled == 0


def test_what_was_taken_is_not_returned_until_it_changes(tmp_path: Path) -> None:
    """A taken picture comes again in another state only, or after everything was forgotten."""
    arrivals = Arrivals(tmp_path, 0)
    path = write(tmp_path / "a.png", b"1")
    (first,) = arrivals.look()
    arrivals.take(first)
    assert arrivals.look() == []
    write(path, b"12")
    (second,) = arrivals.look()
    assert second.modified.size_bytes == 2
    arrivals.take(first)  # of a state that is no longer
    assert arrivals.look() == [second]
    arrivals.take(second)
    arrivals.forget()
    assert arrivals.look() == [second]


def test_what_counts_as_a_picture_is_what_score_scores(tmp_path: Path) -> None:
    """The rule is that of `list_images`, without what is left out and what is no file; oldest come first."""
    for number, name in enumerate(("deep/er/b.JPG", "a.tiff", "results.png", "sorted/pass/c.png", "z.bmp")):
        os.utime(write(tmp_path / name, b"1"), ns=(number, number))
    for name in (".hidden.png", ".dot/d.png", "notes.txt", "folder.png/notes.txt", "half.png.part"):
        write(tmp_path / name, b"1")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    (tmp_path / "nowhere.png").symlink_to("nothing")
    elsewhere = tmp_path.with_name("alias")
    elsewhere.symlink_to(tmp_path)
    arrivals = Arrivals(elsewhere, 0)
    arrivals.leave_out([tmp_path / "sorted" / "pass", tmp_path / "results.png", tmp_path.parent])
    found = [Path(arrival.path).relative_to(elsewhere).as_posix() for arrival in arrivals.look()]
    assert found == ["deep/er/b.JPG", "a.tiff", "z.bmp"]
    assert arrivals.problems == []


def test_a_state_that_has_gone_is_not_read(tmp_path: Path) -> None:
    """Bytes are those of the state that settled: not of a later one, nor of a pipe in its place."""
    path = write(tmp_path / "a.png", b"123")
    (arrival,) = Arrivals(tmp_path, 0).look()
    assert arrival.read(100) == b"123"
    refused = arrival.read(2)
    assert "at most 2 are read" in str(refused)
    os.utime(path, ns=(1, 1))
    assert arrival.read(100) is None
    path.unlink()
    assert arrival.read(100) is None
    os.mkfifo(path)
    assert arrival.read(100) is None


def test_a_picture_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """A writer that comes in between makes it another state, and what was read is not used."""
    path = write(tmp_path / "a.png", b"")
    os.truncate(path, 300_000_000)
    (arrival,) = Arrivals(tmp_path, 0).look()

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


def test_a_folder_below_that_may_not_be_listed(tmp_path: Path) -> None:
    """It is a problem, and hides nothing else; the folder itself being gone is an error."""
    write(tmp_path / "in" / "shut" / "b.png", b"1")
    write(tmp_path / "in" / "a.png", b"1")
    (tmp_path / "in" / "shut").chmod(0)
    script = (
        "import sys; from pathlib import Path; from inspector.watch.arrivals import Arrivals\n"
        "arrivals = Arrivals(Path(sys.argv[1]), 0)\n"
        "print([Path(one.path).name for one in arrivals.look()], *arrivals.problems)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "in")],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=without_privileges,
    )
    assert done.stdout.startswith("['a.png'] ")
    assert "shut is out of reach: Permission denied" in done.stdout
    with pytest.raises(DatasetError, match="nothing is out of reach: No such file"):
        Arrivals(tmp_path / "nothing", 0).look()


# --- the results ----------------------------------------------------------------------------


def line_of(path: Path | str, verdict: Verdict = "pass", mtime_ns: int = 1) -> WatchedImage:
    """A line as a watch writes it."""
    example = {
        "threshold": 3.0,
        "regions": (),
        "model": {"name": "tiny", "version": 1, "digest": "sha256:0"},
        "milliseconds": {"decode": 1, "infer": 1, "decide": 1},
    }
    empty = dict.fromkeys(("score", "p_value", "components", "image", "reason", "heatmap"))
    state = Modification(mtime_ns, 5)
    return WatchedImage(**example, **empty, path=str(path), verdict=verdict, modified=state)


def arrival_of(row: WatchedImage) -> Arrival:
    """The picture that a line is of."""
    return Arrival(str(row.path), row.modified)


@contextmanager
def journal(path: Path, warnings: list[str] | None = None) -> Iterator[Journal]:
    """An open journal."""
    opened = Journal(path, (warnings if warnings is not None else []).append)
    opened.open()
    try:
        yield opened
    finally:
        opened.close()


def test_a_journal_remembers(tmp_path: Path) -> None:
    """Lines are there when `append` returns, are known to the next one, and are written once."""
    odd = os.fsdecode(b"/in/broken\xff.png")
    lines = [line_of("/in/a.png"), line_of("/in/a.png", "fail", 2), line_of(odd, "invalid")]
    results = tmp_path / "results.jsonl"
    with journal(results) as first:
        for line in lines:
            first.append(line)
        assert [WatchedImage.model_validate(row) for row in rows(results)] == lines
    with journal(results) as second:
        assert [second.verdict(arrival_of(line)) for line in lines] == ["pass", "fail", "invalid"]
        assert second.verdict(arrival_of(line_of("/in/a.png", mtime_ns=3))) is None
        assert not second.refresh()


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, kept: int) -> None:
    """Whatever is left of a last line without an end goes, the lines before it stay as they are."""
    results = tmp_path / "results.jsonl"
    with journal(results) as first:
        first.append(line_of("/in/a.png"))
        whole = results.read_bytes()
        first.append(line_of("/in/b.png"))
    last = results.read_bytes()[len(whole) :]
    results.write_bytes(whole + last[:kept])
    with journal(results) as second:
        assert results.read_bytes() == whole
        assert second.verdict(arrival_of(line_of("/in/b.png"))) is None
        second.append(line_of("/in/b.png"))
        assert results.read_bytes() == whole + last


@pytest.mark.parametrize("content", [b'{"threshold": 3}', b"a\nb", b"\x89PNG\r\n\x1a\n\0\0"])
def test_half_a_line_of_others_is_not_cut_off(tmp_path: Path, content: bytes) -> None:
    """A file in which nothing is of a watch is somebody else's."""
    results = tmp_path / "settings.json"
    results.write_bytes(content)
    with pytest.raises(UsageError, match="half a line that inspector watch did not write"), journal(results):
        pass
    assert results.read_bytes() == content


def test_lines_of_others_are_kept_and_told(tmp_path: Path) -> None:
    """A whole line that no watch wrote stays, whatever it is, and is warned of in one line."""
    results = tmp_path / "results.jsonl"
    with journal(results) as first:
        first.append(line_of("/in/a.png"))
    scored = line_of("/in/a.png").model_dump(exclude={"modified", "heatmap"})
    foreign = [b"a note", b"", b"[]", b'{"path": 3}', b"\xff\x00", json.dumps(scored).encode()]
    foreign.append(json.dumps(line_of("/in/a.png").model_dump() | {"verdict": ["pass"]}).encode())
    foreign.append(json.dumps(line_of("/in/a.png").model_dump() | {"modified": [1, 2]}).encode())
    results.write_bytes(results.read_bytes() + b"\n".join(foreign) + b"\n")
    content = results.read_bytes()
    warnings: list[str] = []
    with journal(results, warnings) as second:
        assert second.verdict(arrival_of(line_of("/in/a.png"))) == "pass"
        second.append(line_of("/in/b.png"))
    assert results.read_bytes().startswith(content)
    assert warnings == [f"{results}: 8 lines not written by inspector watch, kept as they are"]


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    """While one is open, another is refused; its folder is never made, and it must be a file."""
    results = tmp_path / "results.jsonl"
    with journal(results), pytest.raises(StoreBusyError, match=r"results\.jsonl is being written to"):
        Journal(results, print).open()
    with journal(results):
        pass
    with pytest.raises(StorageError, match="no such folder"):
        Journal(tmp_path / "none" / "results.jsonl", print).open()
    assert not (tmp_path / "none").exists()
    assert "not a regular file" in refusal(lambda: Journal(Path(os.devnull), print).open())


def refusal(work: Callable[[], object]) -> str:
    """What an `InspectorError` says."""
    with pytest.raises(inspector.InspectorError) as caught:
        work()
    return caught.value.message


@pytest.mark.parametrize("change", ["removed", "emptied", "renamed", "longer"])
def test_a_journal_that_somebody_changed_is_read_anew(tmp_path: Path, change: str) -> None:
    """Rotated, shortened or lengthened by others, it is what it says now that counts."""
    results = tmp_path / "results.jsonl"
    with journal(results) as opened:
        opened.append(line_of("/in/a.png"))
        whole = results.read_bytes()
        if change == "removed":
            results.unlink()
        elif change == "emptied":
            results.write_bytes(b"")
        elif change == "renamed":
            results.rename(tmp_path / "yesterday.jsonl")
        else:
            results.write_bytes(whole + b"{torn")
        if change != "longer":
            opened.append(line_of("/in/b.png"))
            assert told(results) == [("b.png", "pass")]
            assert opened.verdict(arrival_of(line_of("/in/a.png"))) is None
        else:
            opened.append(line_of("/in/a.png"))
            assert results.read_bytes() == whole
            assert opened.refresh() is True  # told once
            assert opened.refresh() is False


def fill(filler: Path) -> None:
    """Write until a disk is full."""
    with suppress(OSError), filler.open("wb", buffering=0) as stream:
        while stream.write(b"0" * 1024):
            pass


def test_a_full_disk_leaves_no_half_line(mount: Mount) -> None:
    """What does not fit leaves nothing, and is written when there is room."""
    disk = mount("size=64k")
    results = disk / "results.jsonl"
    with journal(results) as opened:
        opened.append(line_of("/in/first.png"))
        filler = disk / "filler"
        fill(filler)
        lines = (line_of(f"/in/{number}.png") for number in range(50))

        def append() -> None:  # some still fit into the last block
            for line in lines:
                opened.append(line)

        assert f"no space left for {results}" in refusal(append)
        names = [name for name, _ in told(results)]
        assert names == ["first.png", *(f"{number}.png" for number in range(len(names) - 1))]
        assert 1 < len(names) < 50
        filler.unlink()
        opened.append(line_of("/in/last.png"))
        assert [name for name, _ in told(results)] == [*names, "last.png"]


# --- trays ----------------------------------------------------------------------------------


@contextmanager
def other_disk(place: Path) -> Iterator[Path]:
    """A small disk in memory at `place`."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture(params=["the same disk", pytest.param("another disk", marks=pytest.mark.system)])
def trays(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trays]:
    """Trays beside the watched folder, on its disk or on another one."""
    (tmp_path / "in").mkdir()
    with ExitStack() as stack:
        if request.param == "another disk":
            stack.enter_context(other_disk(tmp_path / "sorted"))
        made = Trays(tmp_path / "in", tmp_path / "sorted")
        made.make()
        yield made


def arrived(path: Path) -> Arrival:
    """A file as it is now."""
    return Arrival(str(path), Modification.of(path.stat()))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below, hidden ones included, by its relative path."""
    return {name: (folder / name).read_bytes() for name in names(folder)}


def names(folder: Path) -> set[str]:
    """Relative paths of all files below, some of which may be on their way to another name."""
    found = (Path(place, name) for place, _, files in os.walk(folder) for name in files)
    return {path.relative_to(folder).as_posix() for path in found if path.is_file()}


def test_pictures_go_to_the_tray_of_their_verdict(trays: Trays) -> None:
    """Names are kept, a name that is taken gets a number, and times stay what they are."""
    assert trays.destination is not None
    write(trays.destination / "fail" / "a.png", b"here before")
    (trays.destination / "pass" / "a.png").symlink_to("nowhere")
    long = f"{'ü' * 125}.png"
    for name, verdict in (("a.png", "fail"), ("deep/a.png", "fail"), ("b/a.png", "pass"), (long, "review")):
        path = write(trays.folder / name, name.encode())
        os.utime(path, ns=(7, 7))
        trays.move(arrived(path), verdict)  # type: ignore[arg-type]
    trays.move(arrived(write(trays.folder / long, b"again")), "review")
    found = contents(trays.destination)
    (numbered,) = [name for name in found if name.startswith("review/") and name.endswith("_2.png")]
    assert found.pop(numbered) == b"again"
    assert found == {
        "fail/a.png": b"here before",
        "fail/a_2.png": b"a.png",
        "fail/a_3.png": b"deep/a.png",
        "pass/a_2.png": b"b/a.png",
        f"review/{long}": long.encode(),
    }
    assert (trays.destination / "fail" / "a_2.png").stat().st_mtime_ns == 7
    assert contents(trays.folder) == {}
    assert not trays.unfinished


def test_what_is_no_longer_what_was_inspected_stays(trays: Trays) -> None:
    """A picture that was replaced or removed after its inspection is not moved, nor is a link."""
    path = write(trays.folder / "a.png", b"old")
    before = arrived(path)
    write(path, b"newer")
    trays.move(before, "pass")
    assert contents(trays.folder) == {"a.png": b"newer"}
    path.unlink()
    trays.move(before, "pass")
    target = write(trays.folder.parent / "target.png", b"1")
    path.symlink_to(target)
    trays.move(arrived(path), "pass")
    assert path.is_symlink()
    assert not trays.unfinished
    assert trays.destination is not None
    assert contents(trays.destination) == {}


def test_what_was_left_half_way_arrives_once(trays: Trays) -> None:
    """Killed before, between or after the names it gets, a picture is in its tray once, or back unscored."""
    assert trays.destination is not None
    held = trays.folder / ".moving"
    known: dict[bytes, Verdict] = {}
    for name in ("taken.png", "deep/placed.png", "linked.png", "unknown.png"):
        path = write(held / name, name.encode())
        if name != "unknown.png":
            known[Arrival(str(trays.folder / name), arrived(path).modified).key] = "fail"
    subprocess.run(["cp", "-p", held / "deep/placed.png", trays.destination / "fail/placed.png"], check=True)
    if held.stat().st_dev == trays.destination.stat().st_dev:
        os.link(held / "linked.png", trays.destination / "fail" / "linked.png")
    write(trays.folder / "unknown.png", b"came later")
    assert trays.unfinished
    trays.finish(lambda arrival: known.get(arrival.key))
    assert contents(trays.destination) == {
        "fail/taken.png": b"taken.png",
        "fail/placed.png": b"deep/placed.png",
        "fail/linked.png": b"linked.png",
    }
    assert contents(trays.folder) == {"unknown.png": b"came later", "unknown_2.png": b"unknown.png"}
    assert not trays.unfinished


def test_a_tray_that_cannot_be_filled_leaves_the_picture_where_it_was(tmp_path: Path, mount: Mount) -> None:
    """On a full disk nothing of the copy is left, and the picture can be moved when there is room."""
    disk = mount("size=32k")
    trays = Trays(tmp_path / "in", disk)
    trays.make()
    path = write(tmp_path / "in" / "deep" / "a.png", b"1" * 60_000)
    with pytest.raises(StorageError, match="no space left"):
        trays.move(arrived(path), "pass")
    assert contents(tmp_path / "in") == {"deep/a.png": b"1" * 60_000}
    assert contents(disk) == {}
    assert not trays.unfinished
    mount("size=256k")
    trays.move(arrived(path), "pass")
    assert contents(disk) == {"pass/a.png": b"1" * 60_000}


def test_a_tray_that_is_missing_is_not_made(trays: Trays) -> None:
    """A share that is away leaves its empty folder behind, where nothing is to be put."""
    assert trays.destination is not None
    (trays.destination / "pass").rmdir()
    path = write(trays.folder / "a.png", b"1")
    with pytest.raises(StorageError):
        trays.move(arrived(path), "pass")
    assert contents(trays.folder) == {"a.png": b"1"}
    assert not (trays.destination / "pass").exists()
    assert not trays.unfinished


# --- the command, once ----------------------------------------------------------------------


def test_once_scores_what_is_there(command: Command, folder: Path) -> None:
    """Each picture gets a line like that of `score`, and its state; a second run adds none."""
    for name, content in (("a.png", GOOD), ("deep/b.png", BAD), ("c.jpg", GOOD[:-40]), ("d.tif", b"")):
        write(folder / name, content)
    ended = command("watch", folder, "--once", *QUICK)
    assert (ended.code, ended.out, ended.err) == (1, "", "")
    results = folder / "inspections.jsonl"
    found = {Path(row["path"]).name: row for row in rows(results)}
    assert {name: row["verdict"] for name, row in found.items()} == {
        "a.png": "pass",
        "b.png": "fail",
        "c.jpg": "invalid",
        "d.tif": "invalid",
    }
    assert list(found["a.png"]) == [*ScoredImage.model_fields, "modified", "heatmap"]
    status = (folder / "a.png").stat()
    assert found["a.png"]["modified"] == {"mtime_ns": status.st_mtime_ns, "size_bytes": status.st_size}
    assert found["c.jpg"]["reason"].startswith("truncated: ")
    assert found["d.tif"]["reason"].startswith("empty: ")
    scored = {
        Path(row["path"]).name: row
        for row in map(json.loads, command("score", folder, "--format", "jsonl").out.splitlines())
    }
    for name, row in found.items():
        for other in ({"milliseconds", "reason"}, {"modified", "heatmap"}):
            for field in other:
                row.pop(field)
                scored[name].pop(field, None)
        assert row == scored[name]
    before = results.read_bytes()
    assert command("watch", folder, "--once", *QUICK).code == 0
    assert results.read_bytes() == before


def test_a_heatmap_that_cannot_be_written(command: Command, folder: Path, mount: Mount) -> None:
    """It is told in one line; every picture has its own all the same."""
    disk = mount("size=16k")
    (disk / "filler").write_bytes(bytes(12_288))
    for name, content in (("a.png", BAD), ("b.png", GOOD)):
        write(folder / name, content)
    ended = command("watch", folder, "--once", "--heatmaps", disk, *QUICK)
    assert ended.code == 6
    assert ended.err.startswith("error: no space left")
    found = {Path(row["path"]).name: row for row in rows(folder / "inspections.jsonl")}
    assert {name: (row["verdict"], row["heatmap"]) for name, row in found.items()} == {
        "a.png": ("fail", None),
        "b.png": ("pass", None),
    }


def test_once_ends_like_score(command: Command, folder: Path) -> None:
    """0 when all passed or nothing was there, 3 when one is invalid and none failed, 1 when one failed."""
    assert command("watch", folder, "--once", *QUICK).code == 0
    for name, content, code in (("a.png", GOOD, 0), ("b.png", b"no picture", 3), ("c.png", BAD, 1)):
        write(folder / name, content)
        assert command("watch", folder, "--once", *QUICK).code == code


def test_once_leaves_what_is_being_written(command: Command, folder: Path) -> None:
    """A picture that grows while it looks is left for the next time, and that is said."""
    stop = threading.Event()
    path = write(folder / "a.png", GOOD[:100])

    def grow() -> None:
        while not stop.wait(0.02):
            with path.open("ab") as stream:
                stream.write(b"0")

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        ended = command("watch", folder, "--once", *QUICK)
    finally:
        stop.set()
        growing.join()
    assert (ended.code, ended.err) == (0, "1 still being written and left for the next time\n")
    assert rows(folder / "inspections.jsonl") == []


def test_relative_and_absolute_names_are_the_same_folder(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines name pictures by absolute paths, so a watch goes on wherever it is started from."""
    write(folder / "a.png", GOOD)
    monkeypatch.chdir(folder.parent)
    assert command("watch", "incoming", "--once", *QUICK).code == 0
    monkeypatch.chdir(folder)
    assert command("watch", ".", "--once", *QUICK).code == 0
    (row,) = rows(folder / "inspections.jsonl")
    assert row["path"] == str(folder / "a.png")


def test_results_on_stdout(command: Command, folder: Path) -> None:
    """With `--output -` the lines are printed, and no file is written."""
    write(folder / "a.png", GOOD)
    ended = command("watch", folder, "--once", "--output", "-", *QUICK)
    (row,) = map(json.loads, ended.out.splitlines())
    assert (row["path"], row["verdict"], ended.err) == (str(folder / "a.png"), "pass", "")
    assert set(contents(folder)) == {"a.png"}


def test_heatmaps_on_a_full_disk(folder: Path, mount: Mount) -> None:
    """The disk is told of once, and once more when a heatmap has room again; verdicts come all the while."""
    disk = mount("size=64k")
    results = folder / "inspections.jsonl"
    with Watcher(folder, "--heatmaps", disk) as watcher:
        until(results.exists)
        fill(disk / "filler")
        for number in range(3):
            write(folder / f"{number}.png", GOOD)
            until(lambda number=number: len(rows_so_far(results)) == number + 1)  # type: ignore[misc]
            time.sleep(2 * SETTLE)
        assert len(watcher.said) == 1
        (disk / "filler").unlink()
        write(folder / "3.png", BAD)
        until(lambda: len(watcher.said) == 2)
    assert watcher.said[0].startswith("error: no space left")
    assert watcher.said[1] == f"{folder} is watched again, and all is well"
    assert [row["heatmap"] is None for row in rows(results)] == [True, True, True, False]


def test_printed_results_are_remembered() -> None:
    """Within one process a printed picture is known."""
    lines: list[str] = []
    printout = Printout(lines.append)
    row = line_of("/in/a.png", "fail")
    assert printout.verdict(arrival_of(row)) is None
    printout.append(row)
    assert printout.verdict(arrival_of(row)) == "fail"
    assert printout.refresh() is False
    assert WatchedImage.model_validate_json(lines[0]) == row


def test_heatmaps_and_trays_inside_the_folder(command: Command, folder: Path) -> None:
    """What the watch itself puts below the folder is never taken for an arrival."""
    for name in ("a.png", "deep/a.png"):
        write(folder / name, BAD)
    options = (
        "--once",
        "--move",
        folder,
        "--heatmaps",
        folder / "maps",
        "--output",
        folder / "out" / "r.png",
    )
    (folder / "out").mkdir()
    for code in (1, 0):
        assert command("watch", folder, *options, *QUICK).code == code
    lines = rows(folder / "out" / "r.png")
    assert len(lines) == 2
    for row in lines:
        assert Path(row["heatmap"]).name.startswith("a_")
        assert images.decode(Path(row["heatmap"])).pixels.shape == (64, 64, 3)
    left = {name for name in contents(folder) if not name.startswith(("maps", "out"))}
    assert left == {"fail/a.png", "fail/a_2.png"}


def test_trays_given_by_another_name_of_the_folder(command: Command, folder: Path) -> None:
    """A link to the watched folder does not make the trays below it arrive."""
    (folder.parent / "alias").symlink_to(folder)
    write(folder / "a.png", GOOD)
    for _ in range(2):
        assert command("watch", folder.parent / "alias", "--once", "--move", folder, *QUICK).code == 0
    assert len(rows(folder / "inspections.jsonl")) == 1
    assert {name for name in contents(folder) if name.endswith(".png")} == {"pass/a.png"}


def test_moves_are_caught_up_with(command: Command, folder: Path, tmp_path: Path) -> None:
    """Pictures that have lines from before are moved by the verdict of their line, without another one."""
    write(folder / "a.png", GOOD)
    write(folder / "b.png", BAD)
    assert command("watch", folder, "--once", *QUICK).code == 1
    assert command("watch", folder, "--once", "--move", tmp_path / "sorted", *QUICK).code == 0
    assert contents(tmp_path / "sorted") == {"pass/a.png": GOOD, "fail/b.png": BAD}
    assert len(rows(folder / "inspections.jsonl")) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 2, "nothing does not exist"),
        (["file"], 2, "file is not a folder"),
        (["incoming", "--model", "nothing"], 6, "no model 'nothing'"),
        (["incoming", "--heatmaps", "incoming"], 2, "is the folder that is watched"),
        (["incoming", "--heatmaps", "file/maps"], 6, "file"),
        (["incoming", "--move", "file/sorted"], 6, "file"),
        (["incoming", "--output", "none/results.jsonl"], 6, "no such folder"),
        (["incoming", "--output", "incoming"], 6, "Is a directory"),
        (["incoming", "--settle", "-1"], 2, "-1"),
        (["incoming", "--interval", "0"], 2, "0"),
    ],
)
def test_what_cannot_begin_is_an_error(
    command: Command,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """A wrong folder, model, place or number ends the command before anything is written."""
    monkeypatch.chdir(folder.parent)
    write(folder / "a.png", GOOD)
    write(folder.parent / "file", b"")
    ended = command("watch", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 2
    assert {name for name in contents(folder) if not name.startswith(".")} == {"a.png"}


def test_a_broken_model_is_an_error_at_the_start(command: Command, folder: Path, model: Store) -> None:
    """Where there is no model to go on with, a damaged one ends the command, in one line and a hint."""
    (model.path("tiny") / "detector.onnx").write_bytes(b"damaged")
    ended = command("watch", folder)
    assert ended.code == 5
    assert len(ended.err.splitlines()) == 2


# --- the command, for as long as it runs ------------------------------------------------------


def test_slow_writers_and_renames(folder: Path) -> None:
    """A picture is taken once it is whole, however slowly it is written, and at once when renamed in."""
    results = folder / "inspections.jsonl"
    with Watcher(folder) as watcher:
        with (folder / "slow.png").open("wb", buffering=0) as stream:
            for start in range(0, len(BAD), len(BAD) // 12):
                stream.write(BAD[start : start + len(BAD) // 12])
                time.sleep(SETTLE / 5)
        staged = write(folder.parent / "old.png", GOOD)
        os.utime(staged, (1e9, 1e9))
        staged.rename(folder / "renamed.png")
        began = time.monotonic()
        until(lambda: ("renamed.png", "pass") in told(results))
        assert time.monotonic() - began < SETTLE + 5
        until(lambda: len(rows(results)) == 2)
        time.sleep(3 * SETTLE)
    assert sorted(told(results)) == [("renamed.png", "pass"), ("slow.png", "fail")]
    assert (watcher.said, watcher.printed) == ([], [])


def test_each_state_has_its_line(folder: Path) -> None:
    """A picture that is written again has another line; one that is removed early has none."""
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
        time.sleep(3 * SETTLE)
    assert told(results) == [("a.png", "pass"), ("a.png", "fail"), ("a.png", "fail")]
    assert rows(results)[2]["modified"] == {"mtime_ns": 5, "size_bytes": len(BAD)}
    assert watcher.said == []


def test_unreadable_pictures_are_invalid(folder: Path) -> None:
    """A picture that may not be read, or is too large to be, is invalid, and the others go on."""
    for name in ("a.png", "b.png", "c.png"):
        write(folder / name, GOOD)
    (folder / "a.png").chmod(0)
    (folder / "b.png").write_bytes(BAD + b"0" * 9000)
    results = folder / "inspections.jsonl"
    limits = {**os.environ, "INSPECTOR_MAX_BYTES": "9000"}
    with Watcher(folder, env=limits, preexec_fn=without_privileges) as watcher:
        until(lambda: len(rows(results)) == 3)
    found = {Path(row["path"]).name: row["reason"] for row in rows(results)}
    assert found["a.png"].startswith(f"unreadable: {folder}/a.png cannot be opened: Permission denied")
    assert found["b.png"].startswith("too_large: ")
    assert found["c.png"] is None
    assert watcher.said == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with 0 after the picture at hand, whatever else is waiting."""
    results = folder / "inspections.jsonl"
    for count in range(300):
        write(folder / f"{count}.png", images.encode_png(good_picture(count, 400, 400)))
    with Watcher(folder) as watcher:
        until(lambda: len(rows_so_far(results)) > 3)
        watcher.process.send_signal(number)
        assert watcher.ended() == 0
    assert 3 < len(rows(results)) < 300
    assert (watcher.said, watcher.printed) == ([], [])


def rows_so_far(results: Path) -> list[str]:
    """Lines that are whole at the moment."""
    return results.read_text().split("\n")[:-1] if results.exists() else []


def test_a_second_watcher_is_refused(folder: Path) -> None:
    """Two on the same results would write lines twice: the second ends with one line, the first goes on."""
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
    with Watcher(folder) as third:  # the lock died with its process
        write(folder / "b.png", GOOD)
        until(lambda: len(rows(results)) == 2)
    assert third.said == []


def test_killed_and_torn(folder: Path) -> None:
    """After a kill in the middle of a line the next one cuts it off, and every picture has one line."""
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
    "before it is held": "tray.Trays._hold = lambda *_: die()",
    "before it is placed": "tray._place = lambda *_, **__: die()",
    "while it has both names": "link = os.link; os.link = lambda *paths: (link(*paths), die())",
    "while there is a copy": "tray._name = lambda *_, **__: die()",
}


@pytest.mark.parametrize("moment", KILLS)
def test_killed_between_line_and_move(folder: Path, tmp_path: Path, moment: str) -> None:
    """Killed at any point of a move, the next one completes it: one line, and one file in the tray."""
    results, sorted_ = folder / "inspections.jsonl", tmp_path / "sorted"
    content = {f"{number}.png": images.encode_png(good_picture(number)) for number in range(40)}
    for name, picture in content.items():
        write(folder / name, picture)
    script = (
        "import os, signal, sys\n"
        "from inspector import tray\n"
        "from inspector.commands.main import main\n"
        "die = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{KILLS[moment]}\n"
        f"sys.argv = ['inspector', 'watch', {str(folder)!r}, '--move', {str(sorted_)!r}, *{QUICK!r}]\n"
        "main()\n"
    )
    with other_disk(sorted_) if "copy" in moment else nullcontext():
        killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert len(rows(results)) == 1
        with Watcher(folder, "--move", sorted_) as watcher:
            until(lambda: len(names(sorted_)) == 40 and not pictures(folder))
        assert contents(sorted_ / "pass") == content
    assert len({name for name, _ in told(results)}) == len(rows(results)) == 40
    assert not (folder / ".moving").exists()
    assert watcher.said == []


def pictures(folder: Path) -> set[str]:
    """Names of the pictures that lie in a folder."""
    return {name for name in names(folder) if name.endswith(".png")}


def test_a_folder_that_vanishes(folder: Path) -> None:
    """Its absence is told in one line, it is never made, and all goes on when it is back."""
    results, away = folder / "inspections.jsonl", folder.parent / "away"
    write(folder / "a.png", GOOD)
    with Watcher(folder) as watcher:
        until(lambda: len(rows(results)) == 1)
        folder.rename(away)
        until(lambda: len(watcher.said) == 1)
        write(away / "b.png", BAD)
        time.sleep(3 * SETTLE)
        assert not folder.exists()
        away.rename(folder)
        until(lambda: len(rows(results)) == 2)
        until(lambda: len(watcher.said) == 2)
    assert told(results) == [("a.png", "pass"), ("b.png", "fail")]
    assert watcher.said == [
        f"error: {folder} is out of reach: No such file or directory; trying again",
        f"{folder} is watched again, and all is well",
    ]


@pytest.mark.system
def test_a_share_that_is_unmounted_under_load(folder: Path) -> None:
    """Whenever the disk under the folder goes and comes back, each picture on it has one line at the end."""
    disk = folder.parent / "disk"
    with other_disk(disk):
        for number in range(150):
            write(disk / f"{number}.png", images.encode_png(good_picture(number, 60, 60)))
        share = ["mount", "--bind", str(disk), str(folder)]
        subprocess.run(share, check=True)
        try:
            with Watcher(folder) as watcher:
                for turn in (10, 60, 110):
                    until(lambda least=turn: len(rows_so_far(disk / "inspections.jsonl")) >= least)  # type: ignore[misc]
                    subprocess.run(["umount", "--lazy", folder], check=True)
                    time.sleep(2 * SETTLE)
                    subprocess.run(share, check=True)
                until(lambda: len(rows_so_far(disk / "inspections.jsonl")) >= 150)
            found = Counter(name for name, _ in told(disk / "inspections.jsonl"))
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    assert found == Counter(f"{number}.png" for number in range(150))
    assert not any("Traceback" in line for line in watcher.said)


def test_a_full_disk_under_the_results(folder: Path, mount: Mount) -> None:
    """It is told in one line; when there is room again, every picture has its one whole line."""
    disk = mount("size=64k")
    results, filler = disk / "results.jsonl", disk / "filler"
    with Watcher(folder, "--output", results) as watcher:
        until(results.exists)
        fill(filler)
        for number in range(20):
            write(folder / f"{number}.png", GOOD)
        until(lambda: len(watcher.said) == 1)
        time.sleep(3 * SETTLE)
        assert len(rows(results)) < 20
        filler.unlink()
        until(lambda: len(rows_so_far(results)) == 20)
        until(lambda: len(watcher.said) == 2)
    assert {name for name, _ in told(results)} == {f"{number}.png" for number in range(20)}
    assert watcher.said[0].startswith(f"error: no space left for {results}: ")
    assert watcher.said[1] == f"{folder} is watched again, and all is well"


def test_promotions_are_followed(folder: Path, model: Store) -> None:
    """A new version scores what comes next; a broken one is refused in one line, and the old one goes on."""
    results = folder / "inspections.jsonl"
    with Watcher(folder) as watcher:
        write(folder / "a.png", GOOD)
        until(lambda: len(rows(results)) == 1)
        model.publish("tiny", tiny_fill(threshold=30.0))
        time.sleep(1)
        write(folder / "b.png", GOOD)
        until(lambda: len(rows(results)) == 2)
        third = model.publish("tiny", tiny_fill(threshold=40.0))
        model.rollback("tiny")
        time.sleep(1)
        (third.path / "detector.onnx").write_bytes(b"damaged")
        (model.root / "tiny" / "promoted").write_text("3\n")
        until(lambda: any("detector.onnx" in line for line in watcher.said))
        write(folder / "c.png", GOOD)
        until(lambda: len(rows(results)) == 3)
    assert [row["model"]["version"] for row in rows(results)] == [1, 2, 2]
    assert len(watcher.said) == 1
    assert watcher.said[0].startswith("a new model cannot be used, tiny@2 goes on: ")


def test_a_named_version_stays(folder: Path, model: Store) -> None:
    """With `--model NAME@VERSION` promotions change nothing."""
    results = folder / "inspections.jsonl"
    with Watcher(folder, "--model", "tiny@1"):
        until(results.exists)
        model.publish("tiny", tiny_fill(threshold=30.0))
        time.sleep(0.5)
        write(folder / "a.png", GOOD)
        until(lambda: len(rows(results)) == 1)
    assert rows(results)[0]["model"]["version"] == 1


def test_pictures_wait_for_a_model(folder: Path, model: Store) -> None:
    """Where the model is removed, that is told in one line, and pictures wait for the next one."""
    results = folder / "inspections.jsonl"
    with Watcher(folder) as watcher:
        until(results.exists)
        model.remove("tiny")
        until(lambda: len(watcher.said) == 1)
        write(folder / "a.png", GOOD)
        time.sleep(3 * SETTLE)
        assert rows(results) == []
        model.publish("tiny", tiny_fill(threshold=30.0))
        until(lambda: len(rows(results)) == 1)
    assert watcher.said[0].startswith("error: there is no model in ")


def test_results_that_are_taken_away_begin_anew(folder: Path) -> None:
    """Where the results were rotated, pictures that still lie in the folder have lines in the new file."""
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


def test_a_reader_that_goes_away_ends_it(folder: Path) -> None:
    """Where nobody reads the lines any more, it ends as programs in pipes do."""
    script = f"{sys.executable} -m inspector watch {folder} --output - {' '.join(QUICK)} | head -n 1"
    for number in range(3):
        write(folder / f"{number}.png", GOOD)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (141, "")
    assert json.loads(done.stdout)["verdict"] == "pass"


def test_a_terminal_sees_how_it_goes(folder: Path) -> None:
    """At a terminal one line counts the verdicts, and problems stay legible above it."""
    write(folder / "a [1].png", GOOD)
    write(folder / "b.png", BAD)
    results = folder / "inspections.jsonl"
    results.write_text("a note\n")
    seen = on_terminal("watch", folder, "--once", *QUICK, TERM="xterm", COLUMNS="200")
    assert "incoming: 2 images: 1 pass, 1 fail, 2 in the last minute; last b.png fail" in seen
    assert "1 line not written by inspector watch" in seen
    assert seen.rstrip().endswith("2 images: 1 pass, 1 fail")


def test_printed_lines_are_not_mixed_with_the_status(folder: Path) -> None:
    """Where the lines themselves appear on the terminal, nothing else does."""
    write(folder / "a.png", GOOD)
    seen = on_terminal("watch", folder, "--once", "--output", "-", *QUICK, TERM="xterm")
    assert json.loads(seen)["verdict"] == "pass"


def test_it_loads_neither_server_nor_workshop(folder: Path) -> None:
    """A station needs what scoring needs: no web server, no torch."""
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
