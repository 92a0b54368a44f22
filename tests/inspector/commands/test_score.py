"""`inspector score`: sources, forms of output, heatmaps and exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from inspector.bundle.store import Store
from inspector.commands.output import summary
from inspector.imaging.decode import decode
from inspector.scoring.records import ScoredImage
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_bundle, tiny_fill, write_picture


@pytest.fixture
def model(store: Store) -> Store:
    """A store with a current model."""
    store.publish("tiny", tiny_fill())
    return store


@pytest.fixture
def parts(model: Store, tmp_path: Path) -> Path:
    """Make two good parts, a defective part in a folder below, and a note that is no picture."""
    folder = tmp_path / "parts"
    write_picture(folder / "a.png", good_picture(101))
    write_picture(folder / "b.png", good_picture(102, 90, 120))
    write_picture(folder / "deep" / "a.png", bad_picture(103, 200, 160))
    (folder / "notes.txt").write_text("not looked at")
    return folder


def names(out: str) -> list[str]:
    """Paths of the rows, in order."""
    return [json.loads(line)["path"] for line in out.splitlines()]


# --- exit codes -----------------------------------------------------------------------------


def test_exit_codes(command: Command, parts: Path) -> None:
    """0 all passed, 1 one failed, 3 none failed but one is invalid; `--exit-zero` forgives failures only."""
    good, bad, invalid = parts / "a.png", parts / "deep" / "a.png", parts / "notes.txt"
    for paths, options, code in (
        ([good], [], 0),
        ([good, bad], [], 1),
        ([invalid, bad], [], 1),
        ([good, invalid], [], 3),
        ([good, bad], ["--exit-zero"], 0),
        ([invalid, bad], ["--exit-zero"], 0),
        ([good, invalid], ["--exit-zero"], 3),
    ):
        assert command("score", *paths, *options).code == code, (paths, options)


def test_review_counts_as_a_pass(command: Command, store: Store, parts: Path) -> None:
    """A picture between the two thresholds is `review`, and does not change the exit code."""
    store.publish("wary", tiny_fill(threshold=1e6, review_threshold=20.0))
    ended = command("score", parts / "deep" / "a.png", "--model", "wary")
    row = json.loads(ended.out)
    assert (ended.code, row["verdict"]) == (0, "review")
    assert row["regions"]


@pytest.mark.parametrize("limit", [1.0, 9.0])
def test_a_fail_marks_its_strongest_place(
    command: Command, store: Store, parts: Path, tmp_path: Path, limit: float
) -> None:
    """A fail whose map stays below its limit lists one place, at the defect, and its heatmap outlines it."""
    store.publish("calm", tiny_fill(map_limit=limit))
    bad = parts / "deep" / "a.png"
    row = json.loads(command("score", bad, "--model", "calm", "--heatmaps", tmp_path / "maps").out)
    (place,) = row["regions"]
    assert (row["verdict"], place["above_limit"]) == ("fail", False)
    assert place["peak"] < limit
    black = decode(bad).pixels.max(axis=2) == 0
    rows, columns = np.nonzero(black)
    assert abs(place["x"] + place["width"] / 2 - columns.mean()) < 4
    assert abs(place["y"] + place["height"] / 2 - rows.mean()) < 4
    drawn = decode(tmp_path / "maps" / "a_heatmap.png").pixels.astype(int) - decode(bad).pixels
    rows, columns = np.nonzero(np.abs(drawn).max(axis=2) > 60)
    assert rows.size
    assert place["y"] - 6 <= rows.min() <= rows.max() <= place["y"] + place["height"] + 6
    assert place["x"] - 6 <= columns.min() <= columns.max() <= place["x"] + place["width"] + 6


# --- sources --------------------------------------------------------------------------------


def test_files_folders_and_globs(command: Command, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are searched recursively, globs are expanded, and the order of the arguments is kept."""
    everything = [str(parts / name) for name in ("a.png", "b.png", "deep/a.png")]
    assert names(command("score", parts).out) == everything
    assert names(command("score", parts / "b.png", parts / "a.png").out) == [everything[1], everything[0]]
    assert names(command("score", f"{parts}/**/a.png").out) == [everything[0], everything[2]]
    assert names(command("score", f"{parts}/d*").out) == everything[2:]
    monkeypatch.chdir(parts)
    assert names(command("score", "?.png").out) == ["a.png", "b.png"]


def test_names_of_storage_systems_must_be_spelled_out(command: Command, parts: Path) -> None:
    """Folders and wildcards leave out what a NAS keeps for itself; whoever names it gets it."""
    everything = names(command("score", parts).out)
    kept = write_picture(parts / "#recycle" / "old.png", good_picture())
    write_picture(parts / "@eaDir" / "a.png" / "thumbnail.jpg", good_picture())
    assert names(command("score", parts).out) == everything
    assert names(command("score", f"{parts}/*").out) == sorted([*everything, f"{parts}/notes.txt"])
    assert names(command("score", f"{parts}/**/*.png").out) == everything
    for named in (kept, kept.parent, f"{parts}/#recycle/*", f"{parts}/#recycle/*.png"):
        assert names(command("score", named).out) == [str(kept)]


def test_a_file_may_be_named_like_a_glob(command: Command, parts: Path) -> None:
    """A file whose name has brackets is not read as a glob."""
    odd = write_picture(parts / "part[1].png", good_picture())
    assert names(command("score", odd).out) == [str(odd)]


def test_stdin_is_one_picture(command: Command, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` scores the bytes on stdin; an empty stdin is `invalid`."""
    for content, code, verdict in (
        ((parts / "a.png").read_bytes(), 0, "pass"),
        ((parts / "deep" / "a.png").read_bytes(), 1, "fail"),
        (b"", 3, "invalid"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        ended = command("score", "-")
        row = json.loads(ended.out)
        assert (ended.code, row["path"], row["verdict"]) == (code, "-", verdict)


def test_too_much_on_stdin_is_invalid(command: Command, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read from stdin than the limit allows."""
    monkeypatch.setenv("INSPECTOR_MAX_BYTES", "1000")
    endless = io.BytesIO((parts / "a.png").read_bytes() * 50)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(endless))
    ended = command("score", "-")
    assert ended.code == 3
    assert json.loads(ended.out)["reason"].startswith("too_large")
    assert endless.tell() < 20_000


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["nothing.png"], "nothing.png does not exist"),
        (["*.nothing"], "*.nothing matches nothing"),
        (["empty"], "empty holds no picture"),
        (["-", "-"], "'-' is named twice"),
        (["a\nb.png"], r"a\nb.png does not exist"),
    ],
)
def test_a_missing_path_is_a_usage_error(
    command: Command, parts: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str], message: str
) -> None:
    """A path that names no picture ends with 2 before any picture is scored."""
    monkeypatch.chdir(parts)
    (parts / "empty").mkdir()
    ended = command("score", "a.png", *paths)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 2


def test_a_link_to_nowhere_is_a_row(command: Command, parts: Path) -> None:
    """A file that cannot be opened is `invalid`, with a reason; the others are scored."""
    (parts / "c.png").symlink_to("nowhere")
    rows = [json.loads(line) for line in command("score", parts).out.splitlines()]
    assert [row["verdict"] for row in rows] == ["pass", "pass", "invalid", "fail"]
    assert rows[2]["reason"].startswith("unreadable")
    assert rows[2]["score"] is None


# --- which model ----------------------------------------------------------------------------


def test_models_by_name_version_and_path(command: Command, store: Store, parts: Path, tmp_path: Path) -> None:
    """`--model` takes NAME, NAME@VERSION and PATH; without it the current model scores."""
    store.publish("tiny", tiny_fill(threshold=30.0))
    elsewhere = tiny_bundle(tmp_path / "elsewhere", threshold=40.0)
    for reference, threshold in (
        (None, 30.0),
        ("tiny", 30.0),
        ("tiny@1", 20.0),
        (str(elsewhere.path), 40.0),
    ):
        options = [] if reference is None else ["--model", reference]
        assert json.loads(command("score", parts / "a.png", *options).out)["threshold"] == threshold


@pytest.mark.parametrize(("reference", "code"), [("nothing", 6), ("tiny@9", 6), ("parts", 6), ("./parts", 5)])
def test_a_model_that_is_not_there(
    command: Command, parts: Path, monkeypatch: pytest.MonkeyPatch, reference: str, code: int
) -> None:
    """An unknown name is an error of the store; a folder that is no bundle is an error of the bundle."""
    monkeypatch.chdir(parts.parent)
    ended = command("score", parts, "--model", reference)
    assert (ended.code, ended.out) == (code, "")


def test_threads_may_be_chosen(command: Command, parts: Path) -> None:
    """The number of threads changes no verdict."""
    one = json.loads(command("score", parts / "a.png", "--threads", "1").out)
    all_cores = json.loads(command("score", parts / "a.png", "--threads", "0").out)
    assert one["score"] == pytest.approx(all_cores["score"])


def test_pictures_scored_at_once_are_scored_alike(command: Command, parts: Path, tmp_path: Path) -> None:
    """Threads change neither order nor scores nor heatmaps, and an invalid picture keeps its place."""
    for i in range(40):
        write_picture(parts / "more" / f"{i:02d}.png", good_picture(i, 64 + 40 * (i % 3), 64))
    (parts / "more" / "07.png").write_text("no picture")
    seen = []
    for threads in ("1", "3"):
        maps = tmp_path / threads
        ended = command("score", parts, "--threads", threads, "--heatmaps", maps)
        found = [json.loads(line) | {"milliseconds": None} for line in ended.out.splitlines()]
        seen.append((ended.code, found, {path.name: path.read_bytes() for path in maps.iterdir()}))
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 43


def test_earlier_pictures_do_not_wait_for_stdin(parts: Path) -> None:
    """Pictures named before `-` are printed while stdin is still open, whatever the number of threads."""
    words = ["score", str(parts / "a.png"), "-", "--threads", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "inspector", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.stdin.write((parts / "deep" / "a.png").read_bytes())
        process.stdin.close()
        second = json.loads(process.stdout.readline())
    assert (first["verdict"], second["path"], second["verdict"]) == ("pass", "-", "fail")


# --- forms of output ------------------------------------------------------------------------


def test_jsonl_is_the_record(command: Command, parts: Path) -> None:
    """Each line has exactly the fields of the record, and reads back as one."""
    for line in command("score", parts).out.splitlines():
        row = json.loads(line)
        assert list(row) == list(ScoredImage.model_fields)
        assert ScoredImage.model_validate_json(line).path == row["path"]


@pytest.mark.parametrize("count", [1, 3])
def test_json_is_always_an_array(command: Command, parts: Path, count: int) -> None:
    """One picture is an array of one."""
    paths = [parts] if count == 3 else [parts / "a.png"]
    rows = json.loads(command("score", *paths, "--format", "json").out)
    assert [Path(row["path"]).name for row in rows] == ["a.png", "b.png", "a.png"][:count]


def test_csv_has_a_row_for_each_picture(command: Command, parts: Path) -> None:
    """The header names the component scores; the cells of an invalid picture are empty."""
    (parts / 'bad,\n"name".png').write_text("no picture")
    rows = list(csv.DictReader(io.StringIO(command("score", parts, "--format", "csv").out)))
    assert [row["verdict"] for row in rows] == ["pass", "pass", "invalid", "fail"]
    assert rows[2]["path"] == str(parts / 'bad,\n"name".png')
    assert (rows[2]["score"], rows[2]["head"], rows[2]["width"]) == ("", "", "")
    assert rows[2]["reason"].startswith("unknown_format")
    assert float(rows[3]["latent_mmd"]) > 20
    assert (rows[1]["width"], rows[1]["height"], rows[3]["regions"]) == ("120", "90", "1")


def test_the_table_is_for_people(command: Command, parts: Path) -> None:
    """Columns are aligned, colour is for terminals, and the summary goes to stderr."""
    (parts / "c.png").write_text("no picture")
    ended = command("score", parts, "--format", "table")
    header, *lines = ended.out.splitlines()
    assert header.split() == ["verdict", "score", "limit", "good", "as", "high", "regions", "image"]
    assert [line.split()[0] for line in lines] == ["pass", "pass", "invalid", "fail"]
    assert " 0 of 19 " in lines[3]  # of the 19 pictures that set the threshold
    assert {line.index(str(parts)) for line in lines} == {header.index("image")}
    assert lines[2].count("c.png") == 1
    assert "unknown_format" in lines[2]
    assert "\x1b" not in ended.out
    assert ended.err.startswith("4 images: 2 pass, 1 fail, 1 invalid; ")


def test_the_summary_counts() -> None:
    """One image is singular, and verdicts without an image are left out."""
    assert summary(Counter({"pass": 1}), 12.0) == "1 image: 1 pass; 12.0 ms each"
    assert summary(Counter({"pass": 1, "invalid": 2}), 30.0) == "3 images: 1 pass, 2 invalid; 10.0 ms each"


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_odd_names_stay_what_they_are(command: Command, parts: Path, form: str) -> None:
    """Line ends, emoji and bytes that are not UTF-8 neither stop nor forge a row in any form."""
    odd = [os.fsdecode(b"broken\xff.png"), "two\nlines.png", "🔩.png"]
    for name in odd:
        write_picture(parts / "odd" / name, good_picture())
    ended = command("score", parts / "odd", "--format", form)
    assert ended.code == 0, ended.err
    if form in {"json", "jsonl"}:
        rows = json.loads(ended.out) if form == "json" else [json.loads(x) for x in ended.out.splitlines()]
        assert {Path(row["path"]).name for row in rows} == set(odd)
    else:
        assert "🔩" in ended.out
    if form == "table":
        assert len(ended.out.splitlines()) == 4
        assert r"two\nlines.png" in ended.out


def read_all(terminal: int) -> str:
    """Read a terminal until its other side is closed."""
    seen = b""
    with suppress(OSError):  # how Linux says that it was closed
        while part := os.read(terminal, 4096):
            seen += part
    os.close(terminal)
    return seen.decode()


def on_terminal(*arguments: str | Path, **environment: str) -> str:
    """Run the program at a terminal, and return what it shows."""
    mine, theirs = pty.openpty()
    program = [sys.executable, "-m", "inspector", *map(str, arguments)]
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | environment
    with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=env):
        os.close(theirs)
        return read_all(mine)


def test_a_terminal_gets_a_coloured_table(parts: Path) -> None:
    """At a terminal the default is a table with coloured verdicts, unless `NO_COLOR` is set."""
    seen = on_terminal("score", parts, TERM="xterm")
    assert "\x1b[31m\x1b[1mfail" in seen
    assert "3 images: 2 pass, 1 fail" in seen
    assert "\x1b" not in on_terminal("score", parts, TERM="xterm", NO_COLOR="1")


def test_stdin_from_a_terminal_is_refused(parts: Path) -> None:
    """`-` at a terminal would wait for ever; it is a usage error instead."""
    assert "stdin, which is a terminal" in on_terminal("score", "-", TERM="dumb")


def test_many_pictures_show_progress(parts: Path, tmp_path: Path) -> None:
    """With stdout in a file, the terminal shows a bar, and the file has the rows alone."""
    for i in range(30):
        write_picture(tmp_path / "many" / f"{i}.png", good_picture(i))
    script = f"exec {sys.executable} -m inspector score {tmp_path / 'many'} > {tmp_path / 'rows'}"
    mine, theirs = pty.openpty()
    with subprocess.Popen(
        ["bash", "-c", script], stderr=theirs, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        seen = read_all(mine)
        assert process.wait(timeout=60) == 0
    assert "scoring" in seen
    assert len(names((tmp_path / "rows").read_text())) == 30


# --- heatmaps -------------------------------------------------------------------------------


def test_heatmaps_have_names_of_their_own(command: Command, parts: Path, tmp_path: Path) -> None:
    """Two pictures of one name give two heatmaps, each of its picture's size; invalid ones give none."""
    (parts / "c.png").write_text("no picture")
    maps = tmp_path / "new" / "maps"
    assert command("score", parts, "--heatmaps", maps).code == 1
    assert sorted(path.name for path in maps.iterdir()) == [
        "a_2_heatmap.png",
        "a_heatmap.png",
        "b_heatmap.png",
    ]
    assert decode(maps / "a_2_heatmap.png").pixels.shape == (200, 160, 3)
    assert decode(maps / "b_heatmap.png").pixels.shape == (90, 120, 3)


def test_heatmap_names_fit_the_disk(command: Command, parts: Path, tmp_path: Path) -> None:
    """Heatmaps of very long names, and of names that differ only in capitals, get names of their own."""
    long = write_picture(parts / f"{'ü' * 120}.png", good_picture())
    capital = write_picture(parts / "A.png", good_picture())
    ended = command("score", long, parts / "a.png", capital, "--heatmaps", tmp_path / "maps")
    assert ended.code == 0, ended.err
    found = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert found[:2] == ["A_2_heatmap.png", "a_heatmap.png"]
    assert found[2].startswith("ü" * 100)


def test_a_heatmap_that_cannot_be_written(command: Command, parts: Path) -> None:
    """A folder for heatmaps that cannot be made is an error before anything is scored."""
    ended = command("score", parts, "--heatmaps", parts / "a.png" / "maps")
    assert (ended.code, ended.out) == (6, "")


@pytest.mark.parametrize("threads", ["1", "2"])
def test_json_stays_json_when_the_disk_is_full(
    command: Command, parts: Path, tmp_path: Path, threads: str
) -> None:
    """An error in the middle closes the array, so that the rows before it can be read."""
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "b_heatmap.png").mkdir()
    ended = command("score", parts, "--format", "json", "--heatmaps", maps, "--threads", threads)
    assert ended.code == 6
    assert [Path(row["path"]).name for row in json.loads(ended.out)] == ["a.png", "b.png"]
    assert not list(maps.glob(".tmp-*"))
