"""Whatever is handed in wrongly gets one line with a hint and its exit code, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.demo.dataset import render, write_dataset
from tests.conftest import Mount
from tests.inspector.tiny_bundle import write_picture
from tests.journey.program import (
    FIT,
    PROGRAM,
    SIDE,
    Fitted,
    Run,
    complaint,
    listing,
    not_installed,
    rows,
    run,
)
from tests.privileges import unprivileged

Make = Callable[[Path], object]


@pytest.fixture(scope="session")
def png() -> bytes:
    """A good picture's file."""
    from inspector.imaging.encode import encode_png

    return encode_png(render(7, size=SIDE).picture)


def bomb(side: int = 30_000) -> bytes:
    """A PNG of a few bytes whose header claims `side` x `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg(part: slice) -> bytes:
    """A piece of a JPEG file."""
    from inspector.imaging.encode import encode_jpeg

    return encode_jpeg(render(7, size=SIDE).picture)[part]


def into_a_file(folder: Path) -> None:
    """Put a file where the folder was."""
    folder.rmdir()
    folder.write_text("x")


# --- folders that nothing can be learned from -----------------------------------------------

FOLDERS: dict[str, tuple[Make, str]] = {
    "missing": (lambda folder: folder.rmdir(), "does not exist"),
    "a file": (into_a_file, "is not a folder"),
    "empty": (lambda _folder: None, "no picture"),
    "no pictures": (lambda folder: (folder / "readme.md").write_text("# parts"), "no picture"),
    "one picture": (lambda folder: write_picture(folder / "a.png", render(1, size=SIDE).picture), "1 usable"),
    "one text file": (lambda folder: (folder / "a.png").write_text("not a picture"), "0 usable"),
    "one empty file": (lambda folder: (folder / "a.png").touch(), "0 usable"),
    "one truncated JPEG": (lambda folder: (folder / "a.jpg").write_bytes(jpeg(slice(0, 900))), "0 usable"),
    "one bomb": (lambda folder: (folder / "a.png").write_bytes(bomb()), "0 usable"),
    "a newline in its name": (lambda folder: (folder / "a\nb.png").write_text("no"), "0 usable"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_fit_refuses_a_folder(case: str, tmp_path: Path, store: Path) -> None:
    """Exit code 4, one line with its hint, and neither store nor workspace appears."""
    folder = tmp_path / "parts"
    folder.mkdir()
    make, expected = FOLDERS[case]
    make(folder)
    before = listing(tmp_path)
    message, hint = complaint(run("fit", folder, *FIT, store=store, code=4))
    assert expected in message
    assert "parts" in message
    assert hint
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("case", "command"),
    [
        ("missing", "evaluate"),
        ("missing", "calibrate"),
        ("empty", "evaluate"),
        ("empty", "calibrate"),
        ("one text file", "calibrate"),
    ],
)
def test_evaluate_and_calibrate_refuse_a_folder(case: str, command: str, own: Fitted, tmp_path: Path) -> None:
    """Exit code 4, and the store stays as it was."""
    folder = tmp_path / "parts"
    (folder / "good").mkdir(parents=True)
    if case == "missing":
        shutil.rmtree(folder)
    elif case == "one text file":
        (folder / "good" / "a.png").write_text("not a picture")
    words: list[str | Path] = (
        ["calibrate", "flange", folder] if command == "calibrate" else ["evaluate", folder]
    )
    before = listing(tmp_path)
    ended = run(*words, store=own.store, code=4)
    complaint(ended)
    assert listing(tmp_path) == before


# --- pictures at fault ----------------------------------------------------------------------

PICTURES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "text": (lambda _png: b"not a picture\n", "not"),
    "truncated PNG": (lambda png: png[: len(png) // 2], "end"),
    "truncated JPEG": (lambda _png: jpeg(slice(0, 900)), "end"),
    "0 bytes": (lambda _png: b"", "0 bytes"),
    "bomb": (lambda _png: bomb(), "30000 x 30000"),
    "too small": (lambda _png: small(), "32"),
}


def small() -> bytes:
    """A picture of 16 x 16 pixels."""
    from inspector.imaging.encode import encode_png

    return encode_png(render(7, size=64).picture[:16, :16])


@pytest.mark.parametrize("case", PICTURES)
def test_score_calls_a_picture_invalid(case: str, png: bytes, fitted: Fitted, tmp_path: Path) -> None:
    """Exit code 3, verdict `invalid`, no scores, and one line that says why."""
    make, expected = PICTURES[case]
    path = tmp_path / "part.png"
    path.write_bytes(make(png))
    ended = run("score", path, "--heatmaps", tmp_path / "maps", store=fitted.store, code=3)
    (row,) = rows(ended)
    assert (row["verdict"], row["score"], row["p_value"]) == ("invalid", None, None)
    assert (row["components"], row["regions"]) == (None, [])
    assert expected in row["reason"]
    assert "\n" not in row["reason"]
    assert not ended.stderr
    assert not listing(tmp_path / "maps")


def test_a_bomb_is_refused_before_it_is_decoded(fitted: Fitted, tmp_path: Path) -> None:
    """Within an address space that the decoded picture would not fit in, the bomb is still `invalid`."""
    import resource

    (tmp_path / "bomb.png").write_bytes(bomb())

    def tight() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))

    ended = run("score", tmp_path / "bomb.png", store=fitted.store, code=3, before=tight)
    assert rows(ended)[0]["verdict"] == "invalid"


@pytest.mark.parametrize("name", ["two\nlines.png", "nut 🔩.png", "-dash.png", "[x].png", "a'b\"c.png"])
def test_odd_names_are_pictures_like_others(name: str, png: bytes, fitted: Fitted, tmp_path: Path) -> None:
    """A picture may be called anything: it is scored, and every format keeps one line for it."""
    (tmp_path / name).write_bytes(png)
    (row,) = rows(run("score", tmp_path, "--exit-zero", store=fitted.store))
    assert row["path"] == str(tmp_path / name)
    (row,) = rows(run("score", f"./{name}", "--exit-zero", store=fitted.store, cwd=tmp_path))
    assert row["verdict"] in ("pass", "fail")
    table = run("score", tmp_path, "--format", "table", "--exit-zero", store=fitted.store).stdout
    assert len(table.splitlines()) == 2
    maps = tmp_path / "maps"
    run("score", tmp_path / name, "--heatmaps", maps, "--exit-zero", store=fitted.store)
    assert len(listing(maps)) == 1


def test_an_unreadable_picture_is_invalid(png: bytes, fitted: Fitted, tmp_path: Path) -> None:
    """A file that an unprivileged process may not read is `invalid`, and says so."""
    path = tmp_path / "part.png"
    path.write_bytes(png)
    path.chmod(0)
    with unprivileged():
        (row,) = rows(run("score", path, store=fitted.store, code=3))
    assert row["verdict"] == "invalid"
    assert "ermi" in row["reason"]


def test_fit_refuses_a_folder_of_unreadable_pictures(png: bytes, store: Path, tmp_path: Path) -> None:
    """Pictures that may not be read are no pictures to learn from."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(png)
        (folder / name).chmod(0)
    before = listing(tmp_path)
    with unprivileged():
        ended = run("fit", folder, *FIT, store=store, code=4)
    assert "0 usable" in complaint(ended)[0]
    assert listing(tmp_path) == before


# --- models that cannot be trusted ----------------------------------------------------------


def change_byte(bundle: Path) -> None:
    """Turn one bit of the detector."""
    graph = bundle / "detector.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)


def from_the_future(bundle: Path) -> None:
    """Raise the schema version."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["schema_version"] = 99
    (bundle / "manifest.json").write_text(json.dumps(manifest))


BUNDLES: dict[str, tuple[Make, str]] = {
    "changed byte": (change_byte, "detector.onnx"),
    "missing file": (lambda bundle: (bundle / "reference.npz").unlink(), "reference.npz"),
    "missing manifest": (lambda bundle: (bundle / "manifest.json").unlink(), "manifest.json"),
    "future schema": (from_the_future, "99"),
    "pickle": (lambda bundle: (bundle / "extra.pkl").write_bytes(b"\x80\x04N."), "extra.pkl"),
    "broken manifest": (lambda bundle: (bundle / "manifest.json").write_text("{"), "manifest.json"),
}


@pytest.mark.parametrize("command", ["score", "evaluate", "calibrate", "verify", "export"])
@pytest.mark.parametrize("case", BUNDLES)
def test_a_damaged_model_is_refused(case: str, command: str, own: Fitted, tmp_path: Path) -> None:
    """Exit code 5 from every command that would use it, and nothing is written."""
    make, expected = BUNDLES[case]
    make(own.bundle)
    before = listing(tmp_path)
    words: dict[str, list[str | Path]] = {
        "score": ["score", own.good_part],
        "evaluate": ["evaluate", own.test],
        "calibrate": ["calibrate", "flange", own.test / "good"],
        "verify": ["models", "verify", "flange"],
        "export": ["models", "export", "flange", "--output", tmp_path / "flange.inspector"],
    }
    message, hint = complaint(run(*words[command], store=own.store, code=5))
    assert expected in message
    assert hint
    assert listing(tmp_path) == before


def test_import_refuses_what_is_no_model(fitted: Fitted, store: Path, tmp_path: Path) -> None:
    """A file with a changed byte, or of something else, is refused with 5 and leaves no model."""
    packed = tmp_path / "flange.inspector"
    run("models", "export", "flange", "--output", packed, store=fitted.store)
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    for name, data in (("changed", bytes(content)), ("text", b"hello"), ("half", bytes(content[:90_000]))):
        (tmp_path / name).write_bytes(data)
        complaint(run("models", "import", tmp_path / name, store=store, code=5))
        assert not store.exists() or not listing(store)


# --- no model -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["score", "part.png"],
        ["score", "part.png", "--model", "nosuch"],
        ["score", "part.png", "--model", "nosuch@3"],
        ["evaluate", "."],
        ["calibrate", "nosuch", "."],
        ["models", "show"],
        ["models", "verify", "nosuch"],
        ["models", "promote", "nosuch"],
        ["models", "rollback", "nosuch"],
        ["models", "remove", "nosuch"],
        ["models", "export", "nosuch"],
    ],
    ids=" ".join,
)
def test_without_a_model(words: list[str], png: bytes, store: Path, tmp_path: Path) -> None:
    """Exit code 6, and the hint says how a model is made."""
    (tmp_path / "part.png").write_bytes(png)
    before = listing(tmp_path)
    _, hint = complaint(run(*words, store=store, cwd=tmp_path, code=6))
    assert "inspector fit" in hint
    assert listing(tmp_path) - {"store"} == before
    assert not store.exists() or not listing(store)


# --- unknown values -------------------------------------------------------------------------

VALUES = [
    ["fit", "parts", "--preset", "fast"],
    ["fit", "parts", "--time-budget", "5x"],
    ["fit", "parts", "--time-budget", "0m"],
    ["fit", "parts", "--image-size", "100"],
    ["fit", "parts", "--image-size", "32"],
    ["fit", "parts", "--max-false-reject", "2"],
    ["fit", "parts", "--max-false-reject", "0"],
    ["fit", "parts", "--max-false-reject", "nan"],
    ["fit", "parts", "--max-review", "0"],
    ["fit", "parts", "--device", "tpu"],
    ["fit", "parts", "--steps", "0"],
    ["fit", "parts", "--steps", "many"],
    ["fit", "parts", "--seed", "-1"],
    ["fit", "parts", "--width", "0"],
    ["fit", "parts", "--latent-dim", "0"],
    ["fit", "parts", "--regularizer", "l2"],
    ["fit", "parts", "--name", "///"],
    ["fit", "parts", "--nonsense", "1"],
    ["fit"],
    ["score"],
    ["score", "part.png", "--format", "xml"],
    ["score", "part.png", "--threads", "-1"],
    ["score", "nosuch.png"],
    ["score", "*.nosuch"],
    ["evaluate", "parts", "--format", "csv"],
    ["calibrate", "flange", "parts", "--max-false-reject", "2"],
    ["models", "frobnicate"],
    ["models", "list", "--format", "xml"],
    ["models", "import", "nosuch.inspector"],
    ["frobnicate"],
    ["scroe", "part.png"],
]


@pytest.mark.parametrize("words", VALUES, ids=" ".join)
def test_unknown_values(words: list[str], png: bytes, own: Fitted, tmp_path: Path) -> None:
    """Exit code 2, the value is named, and nothing is done."""
    (tmp_path / "parts").mkdir()
    for path in ("part.png", "parts/a.png"):
        (tmp_path / path).write_bytes(png)
    before = listing(tmp_path)
    message, hint = complaint(run(*words, store=own.store, cwd=tmp_path, code=2))
    assert hint
    if len(words) > 1:
        assert words[-1] in message or words[-2] in message
    assert listing(tmp_path) == before


def test_a_bad_environment_is_a_usage_error(fitted: Fitted) -> None:
    """A variable with a value that is not allowed is named with it."""
    program = ("env", "INSPECTOR_MAX_PIXELS=lots", *PROGRAM)
    message, hint = complaint(run("score", fitted.good_part, store=fitted.store, program=program, code=2))
    assert "INSPECTOR_MAX_PIXELS" in message
    assert "lots" in message
    assert "INSPECTOR_MAX_PIXELS" in hint


# --- what is not installed ------------------------------------------------------------------


@pytest.mark.parametrize("package", ["torch", "onnx", "sklearn", "scipy", "jinja2"])
def test_fit_names_the_package_that_is_missing(package: str, fitted: Fitted, store: Path) -> None:
    """Exit code 7 before any work, and the hint is the command that installs it."""
    with not_installed(package):
        ended = run("fit", fitted.normal, *FIT, store=store, code=7)
    message, hint = complaint(ended)
    assert "inspector fit" in message
    assert package.replace("sklearn", "scikit-learn") in message
    assert "wae-inspector[train]" in hint
    assert "training" not in ended.stderr
    assert not store.exists() or not listing(store)


@pytest.mark.parametrize("words", [["evaluate", "TEST"], ["calibrate", "flange", "TEST"]], ids=lambda w: w[0])
def test_calibration_names_the_package_that_is_missing(words: list[str], fitted: Fitted) -> None:
    """Without scikit-learn, evaluate and calibrate say so."""
    named = [str(fitted.test) if word == "TEST" else word for word in words]
    with not_installed("sklearn"):
        message, _ = complaint(run(*named, store=fitted.store, code=7))
    assert "scikit-learn" in message


def test_score_needs_nothing_of_the_workshop(fitted: Fitted) -> None:
    """Scoring works where torch, onnx, scikit-learn, scipy and jinja2 are not there."""
    with not_installed("torch", "onnx", "sklearn", "scipy", "jinja2"):
        ended = run("score", fitted.broken_part, store=fitted.store, code=None)
    assert rows(ended)[0]["verdict"] in ("pass", "fail")


# --- full and read-only disks ---------------------------------------------------------------


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten good pictures."""
    folder = tmp_path_factory.mktemp("few") / "d"
    write_dataset(folder, train=10, good=0, per_kind=0, size=96)
    return folder / "train" / "good"


@pytest.mark.parametrize(
    ("kilobytes", "where"),
    [(40, "the first picture"), (400, "the checkpoint"), (10_000, "the bundle")],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_fit_on_a_full_disk(kilobytes: int, where: str, few: Path, mount: Mount) -> None:
    """Exit code 6 wherever space runs out, and no model, half or whole, is left."""
    disk = mount(f"size={kilobytes}k")
    message, hint = complaint(run("fit", few, "--name", "x", *FIT, store=disk / "store", code=6))
    assert "space" in message
    assert "INSPECTOR_STORE" in hint
    left = listing(disk)
    assert not {name for name in left if "versions/" in name or ".tmp" in name}, left
    assert "store/current" not in left


def unchanged(own: Fitted, disk: Path, *words: str | Path) -> Run:
    """Run a command on a copy of the store that cannot be written to; return how it ended."""
    store = disk / "store"
    before = listing(store)
    ended = run(*words, store=store, code=6)
    assert listing(store) == before
    return ended


def test_a_full_store_keeps_its_model(fitted: Fitted, mount: Mount) -> None:
    """Calibrate and import fail with 6 on a full disk; what was there is there, and still scores."""
    disk = mount("size=64m")
    shutil.copytree(fitted.store, disk / "store")
    packed = disk.parent / "flange.inspector"
    run("models", "export", "flange", "--output", packed, store=fitted.store)
    with (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            try:
                filler.write(bytes(65_536))
            except OSError:
                break
    message, _ = complaint(unchanged(fitted, disk, "calibrate", "flange", fitted.test / "good"))
    assert "space" in message
    message, _ = complaint(
        unchanged(fitted, disk, "models", "export", "flange", "--output", disk / "x.inspector")
    )
    assert "space" in message
    assert not (disk / "x.inspector").exists()
    ended = run(
        "score", fitted.good_part, "--heatmaps", disk / "maps", "--exit-zero", store=disk / "store", code=6
    )
    assert "space" in ended.stderr
    run("score", fitted.good_part, "--exit-zero", store=disk / "store")


def test_a_read_only_store_scores_and_refuses_to_be_written(fitted: Fitted, few: Path, mount: Mount) -> None:
    """On a read-only disk models can be used; every command that writes ends with 6."""
    disk = mount("size=64m")
    shutil.copytree(fitted.store, disk / "store")
    mount("ro")
    run("score", fitted.good_part, "--exit-zero", store=disk / "store")
    run("models", "verify", "flange", store=disk / "store")
    for words in (
        ["fit", few, "--name", "x", *FIT],
        ["calibrate", "flange", fitted.test / "good"],
        ["models", "promote", "flange"],
        ["models", "remove", "flange"],
    ):
        message, _ = complaint(unchanged(fitted, disk, *words))
        assert "read-only" in message


def test_a_store_of_somebody_else(few: Path, tmp_path: Path) -> None:
    """A folder that may not be written to is named, with exit code 6, before the training."""
    shelf = tmp_path / "shelf"
    shelf.mkdir(mode=0o555)
    with unprivileged():
        ended = run("fit", few, *FIT, store=shelf / "store", code=6)
    message, hint = complaint(ended)
    assert "not permitted" in message
    assert "training" not in ended.stderr
    assert hint
    assert not listing(shelf)
