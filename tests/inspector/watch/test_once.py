"""`inspector watch --once` scores the pictures that are there and ends."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest

from inspector.bundle.store import Store
from inspector.imaging.decode import decode
from inspector.scoring.records import ScoredImage
from tests.conftest import Mount
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import good_picture, write_picture
from tests.inspector.watch.watching import BAD, GOOD, QUICK, contents, rows, write
from tests.privileges import unprivileged


def test_once_scores_what_is_there(command: Command, folder: Path) -> None:
    """Each picture gets the line of `score` with its state; a second run adds no line."""
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
    assert list(found["a.png"]) == [*ScoredImage.model_fields, "modified", "heatmap", "destination"]
    status = (folder / "a.png").stat()
    assert found["a.png"]["modified"] == {
        "mtime_ns": status.st_mtime_ns,
        "size_bytes": status.st_size,
        "ctime_ns": status.st_ctime_ns,
        "digest": f"sha256:{hashlib.sha256(GOOD).hexdigest()}",
    }
    assert found["c.jpg"]["reason"].startswith("truncated: ")
    assert found["d.tif"]["reason"].startswith("empty: ")
    scored = {
        Path(row["path"]).name: row
        for row in map(json.loads, command("score", folder, "--format", "jsonl").out.splitlines())
    }
    for name, row in found.items():
        for other in ({"milliseconds", "reason"}, {"modified", "heatmap", "destination"}):
            for field in other:
                row.pop(field)
                scored[name].pop(field, None)
        assert row == scored[name]
    before = results.read_bytes()
    assert command("watch", folder, "--once", *QUICK).code == 0
    assert results.read_bytes() == before


def test_a_heatmap_that_cannot_be_written(command: Command, folder: Path, mount: Mount) -> None:
    """A heatmap that cannot be written is reported in one line; every picture still gets its line."""
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
    """A picture that is still growing is left for the next run, and the watch says so."""
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
    assert (ended.code, ended.err) == (0, "1 still being written; left for the next run\n")
    assert rows(folder / "inspections.jsonl") == []


def test_unreadable_pictures_are_invalid(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that is unreadable or too large is invalid, and does not stop the others."""
    for name in ("a.png", "b.png", "c.png"):
        write(folder / name, GOOD)
    (folder / "a.png").chmod(0)
    (folder / "b.png").write_bytes(BAD + b"0" * 9000)
    results = folder / "inspections.jsonl"
    monkeypatch.setenv("INSPECTOR_MAX_BYTES", "9000")
    with unprivileged():
        ended = command("watch", folder, "--once", *QUICK)
    assert (ended.code, ended.err) == (3, "")
    found = {Path(row["path"]).name: row["reason"] for row in rows(results)}
    assert found["a.png"].startswith(f"unreadable: {folder}/a.png cannot be opened: Permission denied")
    assert found["b.png"].startswith("too_large: ")
    assert found["c.png"] is None


def test_relative_and_absolute_names_are_the_same_folder(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines hold absolute paths, so a watch can go on from any working directory."""
    write(folder / "a.png", GOOD)
    monkeypatch.chdir(folder.parent)
    assert command("watch", "incoming", "--once", *QUICK).code == 0
    monkeypatch.chdir(folder)
    assert command("watch", ".", "--once", *QUICK).code == 0
    (row,) = rows(folder / "inspections.jsonl")
    assert row["path"] == str(folder / "a.png")


def test_links_to_folders_are_named(command: Command, folder: Path, tmp_path: Path) -> None:
    """Pictures behind links to folders are not scored, so one line says that no link is followed."""
    write_picture(tmp_path / "elsewhere" / "a.png", good_picture())
    write_picture(folder / "b.png", good_picture())
    (folder / "line 1").symlink_to(tmp_path / "elsewhere")
    ended = command("watch", folder, "--once", "--settle", "0")
    assert "a link to a folder is not followed: line 1; to watch such a folder" in ended.err
    (folder / "line 0").symlink_to(tmp_path / "elsewhere")
    ended = command("watch", folder, "--once", "--settle", "0")
    assert "2 links to folders are not followed: line 0;" in ended.err


def test_results_on_stdout(command: Command, folder: Path) -> None:
    """With `--output -` the lines are printed, and no file is written."""
    write(folder / "a.png", GOOD)
    ended = command("watch", folder, "--once", "--output", "-", *QUICK)
    (row,) = map(json.loads, ended.out.splitlines())
    assert (row["path"], row["verdict"], ended.err) == (str(folder / "a.png"), "pass", "")
    assert set(contents(folder)) == {"a.png"}


def test_heatmaps_and_verdict_folders_inside_the_folder(command: Command, folder: Path) -> None:
    """Files that the watch itself writes below the folder never count as arrivals."""
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
        assert decode(Path(row["heatmap"])).pixels.shape == (64, 64, 3)
    left = {name for name in contents(folder) if not name.startswith(("maps", "out"))}
    assert left == {"fail/a.png", "fail/a_2.png"}


def test_verdict_folders_given_by_another_name_of_the_folder(command: Command, folder: Path) -> None:
    """Pictures in verdict folders given through a link to the watched folder do not arrive."""
    (folder.parent / "alias").symlink_to(folder)
    write(folder / "a.png", GOOD)
    for _ in range(2):
        assert command("watch", folder.parent / "alias", "--once", "--move", folder, *QUICK).code == 0
    assert len(rows(folder / "inspections.jsonl")) == 1
    assert {name for name in contents(folder) if name.endswith(".png")} == {"pass/a.png"}


def test_moves_are_caught_up_with(command: Command, folder: Path, tmp_path: Path) -> None:
    """Pictures with a line from an earlier run are moved by its verdict and get no second line."""
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
    """A wrong folder, model, output or number ends the command before anything is written."""
    monkeypatch.chdir(folder.parent)
    write(folder / "a.png", GOOD)
    write(folder.parent / "file", b"")
    ended = command("watch", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 2
    assert {name for name in contents(folder) if not name.startswith(".")} == {"a.png"}


def test_a_broken_model_is_an_error_at_the_start(command: Command, folder: Path, model: Store) -> None:
    """If the only model is damaged, the command ends with one line and a hint."""
    (model.path("tiny") / "detector.onnx").write_bytes(b"damaged")
    ended = command("watch", folder)
    assert ended.code == 5
    assert len(ended.err.splitlines()) == 2
