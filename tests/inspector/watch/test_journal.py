"""Each picture has one whole line in the results, whatever happens to the file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inspector.errors import StorageError, StoreBusyError, UsageError
from inspector.types import Verdict
from inspector.watch.journal import Journal, Printout, WatchedImage
from tests.conftest import Mount
from tests.inspector.watch.watching import fill, line_of, refusal, rows, told


def verdict_of(results: Journal | Printout, row: WatchedImage) -> Verdict | None:
    """The verdict in the last line of a path, if that is the line of this state."""
    found = results.last(str(row.path))
    return found.verdict if found is not None and found.is_of(row.modified) else None


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
    """A line is in the file when `append` returns; the next journal knows it, and it is never repeated."""
    odd = os.fsdecode(b"/in/broken\xff.png")
    lines = [line_of("/in/a.png"), line_of("/in/b.png", "fail", 2), line_of(odd, "invalid")]
    results = tmp_path / "results.jsonl"
    with journal(results) as first:
        for line in lines:
            first.append(line)
        assert [WatchedImage.model_validate(row) for row in rows(results)] == lines
    with journal(results) as second:
        assert [verdict_of(second, line) for line in lines] == ["pass", "fail", "invalid"]
        assert verdict_of(second, line_of("/in/a.png", mtime_ns=3)) is None
        assert not second.refresh()


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, kept: int) -> None:
    """An incomplete last line is cut off; the lines before it stay."""
    results = tmp_path / "results.jsonl"
    with journal(results) as first:
        first.append(line_of("/in/a.png"))
        whole = results.read_bytes()
        first.append(line_of("/in/b.png"))
    last = results.read_bytes()[len(whole) :]
    results.write_bytes(whole + last[:kept])
    with journal(results) as second:
        assert results.read_bytes() == whole
        assert verdict_of(second, line_of("/in/b.png")) is None
        second.append(line_of("/in/b.png"))
        assert results.read_bytes() == whole + last


@pytest.mark.parametrize("content", [b'{"threshold": 3}', b"a\nb", b"\x89PNG\r\n\x1a\n\0\0"])
def test_half_a_line_of_others_is_not_cut_off(tmp_path: Path, content: bytes) -> None:
    """A file without any line of a watch is refused and left unchanged."""
    results = tmp_path / "settings.json"
    results.write_bytes(content)
    with pytest.raises(UsageError, match="half a line that inspector watch did not write"), journal(results):
        pass
    assert results.read_bytes() == content


@pytest.mark.parametrize("tail", [b"hello", b'{"foreign": 1}', b'{"path"; 3'])
def test_half_a_line_of_others_is_completed(tmp_path: Path, tail: bytes) -> None:
    """Behind lines of a watch, an incomplete line of another program becomes a line of its own."""
    results = tmp_path / "results.jsonl"
    with journal(results) as first:
        first.append(line_of("/in/a.png"))
    whole = results.read_bytes()
    results.write_bytes(whole + tail)
    warnings: list[str] = []
    with journal(results, warnings) as second:
        second.append(line_of("/in/b.png"))
    kept, last = results.read_bytes()[len(whole) :].splitlines()
    assert kept == tail
    assert json.loads(last)["path"] == "/in/b.png"
    assert warnings == [f"{results}: 1 line not written by inspector watch, kept as it is"]


def test_lines_of_others_are_kept_and_told(tmp_path: Path) -> None:
    """Whole lines that no watch wrote are kept, with one warning."""
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
        assert verdict_of(second, line_of("/in/a.png")) == "pass"
        second.append(line_of("/in/b.png"))
    assert results.read_bytes().startswith(content)
    assert warnings == [f"{results}: 8 lines not written by inspector watch, kept as they are"]


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    """A second journal on the same file is refused, as are a missing folder and a path that is no file."""
    results = tmp_path / "results.jsonl"
    with journal(results), pytest.raises(StoreBusyError, match=r"results\.jsonl is being written to"):
        Journal(results, print).open()
    with journal(results):
        pass
    with pytest.raises(StorageError, match="no such folder"):
        Journal(tmp_path / "none" / "results.jsonl", print).open()
    assert not (tmp_path / "none").exists()
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(lambda: Journal(tmp_path / "pipe", print).open())


@pytest.mark.parametrize("change", ["removed", "emptied", "renamed", "longer"])
def test_a_journal_that_somebody_changed_is_read_anew(tmp_path: Path, change: str) -> None:
    """After the file was rotated, shortened or extended from outside, its present content counts."""
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
            assert verdict_of(opened, line_of("/in/a.png")) is None
        else:
            opened.append(line_of("/in/a.png"))
            assert results.read_bytes() == whole + b"{torn\n"
            assert opened.refresh() is True  # returned once
            assert opened.refresh() is False


def test_a_full_disk_leaves_no_half_line(mount: Mount) -> None:
    """On a full disk no part of a line stays; the line is written once there is room."""
    disk = mount("size=64k")
    results = disk / "results.jsonl"
    with journal(results) as opened:
        opened.append(line_of("/in/first.png"))
        filler = disk / "filler"
        fill(filler)
        lines = (line_of(f"/in/{number}.png") for number in range(50))

        def append() -> None:  # some lines still fit into the last block
            for line in lines:
                opened.append(line)

        assert f"no space left for {results}" in refusal(append)
        names = [name for name, _ in told(results)]
        assert names == ["first.png", *(f"{number}.png" for number in range(len(names) - 1))]
        assert 1 < len(names) < 50
        filler.unlink()
        opened.append(line_of("/in/last.png"))
        assert [name for name, _ in told(results)] == [*names, "last.png"]


def test_lines_of_older_versions_are_known(tmp_path: Path) -> None:
    """A line without time of change and content is still the line of a picture of its time and size."""
    results = tmp_path / "results.jsonl"
    old = line_of("/in/a.png", "fail").model_dump(exclude={"destination"})
    old["modified"] = {"mtime_ns": 1, "size_bytes": 5}
    results.write_text(json.dumps(old) + "\n")
    warnings: list[str] = []
    with journal(results, warnings) as opened:
        assert verdict_of(opened, line_of("/in/a.png")) == "fail"
        assert verdict_of(opened, line_of("/in/a.png", mtime_ns=2)) is None
        opened.mark_gone(["/in/a.png"])
        assert verdict_of(opened, line_of("/in/a.png")) is None
    assert warnings == []


@pytest.mark.parametrize(
    "modified",
    [
        {"mtime_ns": 1, "size_bytes": 5, "digest": "sha256:x"},
        {"mtime_ns": 1, "size_bytes": 5, "ctime_ns": "1"},
        {"mtime_ns": 10**40, "size_bytes": 5},
    ],
)
def test_states_that_no_file_has_are_lines_of_others(tmp_path: Path, modified: dict[str, object]) -> None:
    """A line with an impossible state was written by another program: it is kept, and told."""
    results = tmp_path / "results.jsonl"
    results.write_text(json.dumps(line_of("/in/a.png").model_dump() | {"modified": modified}) + "\n")
    warnings: list[str] = []
    with journal(results, warnings) as opened:
        assert opened.last("/in/a.png") is None
    assert warnings == [f"{results}: 1 line not written by inspector watch, kept as it is"]


def test_printed_results_are_remembered() -> None:
    """A process knows which pictures it has printed."""
    printed: list[WatchedImage] = []
    printout = Printout(printed.append)
    row = line_of("/in/a.png", "fail")
    assert verdict_of(printout, row) is None
    printout.append(row)
    assert verdict_of(printout, row) == "fail"
    assert printout.refresh() is False
    assert printed == [row]
