"""A bundle on disk: whole ones open, damaged or forged ones are refused with the right error."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.bundle.folder import (
    LARGEST_MANIFEST_BYTES,
    REQUIRED,
    Bundle,
    digest_of,
    file_sha256,
    is_plain_name,
    refuse_existing,
    write_bundle,
)
from inspector.bundle.records import Manifest
from inspector.errors import (
    BundleError,
    DigestMismatchError,
    ForbiddenFileError,
    MissingFileError,
    SchemaVersionError,
    StorageError,
    UsageError,
)
from tests.conftest import Mount
from tests.inspector.tiny_bundle import tiny_fill


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file in place."""
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def edit_calibration(bundle: Path, **fields: object) -> None:
    """Change calibration numbers and seal the bundle again, so that the digests are right."""
    path = bundle / "calibration.json"
    edit_json(path, lambda calibration: calibration.update(fields))
    entry = {"sha256": file_sha256(path), "size_bytes": path.stat().st_size}
    edit_json(bundle / "manifest.json", lambda manifest: manifest["files"].update({path.name: entry}))


# --- whole bundles -----------------------------------------------------------------------


def test_a_written_bundle_opens(tiny: Bundle) -> None:
    """A written bundle lists every file but the manifest; its digest is that of the manifest."""
    opened = Bundle.open(tiny.path)
    present = {path.relative_to(tiny.path).as_posix() for path in tiny.path.rglob("*") if path.is_file()}
    assert set(opened.manifest.files) == present - {"manifest.json"}
    assert set(REQUIRED) <= present
    assert opened.digest == digest_of((tiny.path / "manifest.json").read_bytes())
    assert opened == tiny


def test_a_copy_is_the_same_model(tiny: Bundle, own: Path) -> None:
    """A bundle that was copied elsewhere has the digest of the original."""
    assert Bundle.open(own).digest == tiny.digest


# --- damaged and forged bundles ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*REQUIRED, "golden/probe-0.png"])
def test_one_changed_byte_is_found(own: Path, name: str) -> None:
    """A changed byte in any file is found by the digest, even if the size is the same."""
    content = bytearray((own / name).read_bytes())
    content[len(content) // 2] ^= 1
    (own / name).write_bytes(content)
    with pytest.raises(DigestMismatchError, match=name):
        Bundle.open(own)


def test_without_verification_only_sizes_count(own: Path) -> None:
    """`verify=False` skips the digests, but still finds a file that became longer."""
    report = own / "report.html"
    report.write_bytes(report.read_bytes()[::-1])
    Bundle.open(own, verify=False)
    report.write_bytes(report.read_bytes() + b"!")
    with pytest.raises(DigestMismatchError, match="bytes"):
        Bundle.open(own, verify=False)


@pytest.mark.parametrize("name", [*REQUIRED, "golden/probe-0.png", "manifest.json"])
def test_a_missing_file_is_named(own: Path, name: str) -> None:
    """Each missing file is named."""
    (own / name).unlink()
    with pytest.raises(MissingFileError, match=name):
        Bundle.open(own)


def test_a_required_file_that_is_not_listed_is_missing(own: Path) -> None:
    """A manifest that does not list a graph is refused, whether the file exists or not."""
    edit_json(own / "manifest.json", lambda manifest: manifest["files"].pop("decoder.onnx"))
    with pytest.raises(ForbiddenFileError, match=r"decoder\.onnx"):
        Bundle.open(own)
    (own / "decoder.onnx").unlink()
    with pytest.raises(MissingFileError, match=r"decoder\.onnx"):
        Bundle.open(own)


@pytest.mark.parametrize("version", [1, 0, "2", None, 99])
def test_another_schema_version_is_named(own: Path, version: object) -> None:
    """Another schema version is refused by its number, even if the other fields are unknown."""
    (own / "manifest.json").write_text(json.dumps({"schema_version": version, "novelty": True}))
    with pytest.raises(SchemaVersionError, match=f"{version!r}.* reads 2") as caught:
        Bundle.open(own)
    assert "update" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"schema_version": 2}',
        b"[" * 100_000,
        b'{"schema_version": 2, "x": 1}',
    ],
)
def test_a_damaged_manifest_is_one_line(own: Path, content: bytes) -> None:
    """A manifest with any other content raises a `BundleError` of one line."""
    (own / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        Bundle.open(own)
    assert "manifest.json" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_huge_manifest_is_not_parsed(own: Path) -> None:
    """A manifest of more than a few megabytes is refused."""
    with (own / "manifest.json").open("wb") as stream:
        stream.truncate(LARGEST_MANIFEST_BYTES + 1)
    with pytest.raises(BundleError, match="larger"):
        Bundle.open(own)


class Evil:
    """Write a file, as unpickling this object would."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        """Make a folder as soon as somebody unpickles it."""
        return os.mkdir, ("/tmp/inspector-was-here",)  # noqa: S108 - must never come to be


@pytest.mark.parametrize("name", ["weights.pkl", "golden/hook.py", "extra.json", ".hidden"])
def test_a_file_that_is_not_listed_is_forbidden(own: Path, name: str) -> None:
    """A pickle, or any other file that the manifest does not list, makes the model unusable."""
    (own / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ForbiddenFileError, match=name):
        Bundle.open(own)
    assert not Path("/tmp/inspector-was-here").exists()  # noqa: S108 - as above


@pytest.mark.parametrize(
    "name", ["../outside.json", "/etc/passwd", "golden/../../x.png", "weights.pkl", "a\\b.json", "run.py", ""]
)
def test_a_listed_name_must_be_plain(own: Path, name: str) -> None:
    """A manifest that lists a path outside or a program is refused before any file is read."""
    entry = {"sha256": "0" * 64, "size_bytes": 1}
    edit_json(own / "manifest.json", lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(ForbiddenFileError):
        Bundle.open(own)


@pytest.mark.parametrize("name", ["report.html", "manifest.json", "golden"])
def test_links_are_forbidden(own: Path, tmp_path: Path, name: str) -> None:
    """A link is refused even if it points to the right bytes, because they could be changed elsewhere."""
    (own / name).rename(tmp_path / "elsewhere")
    (own / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ForbiddenFileError, match="link"):
        Bundle.open(own)


def test_a_pipe_is_forbidden(own: Path) -> None:
    """A pipe is refused without being opened, because opening it could block for ever."""
    os.mkfifo(own / "golden" / "probe-9.png")
    with pytest.raises(ForbiddenFileError, match="probe-9"):
        Bundle.open(own)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"center": [0.0]}, "center"),
        ({"scale": [0.0] * 12}, "scale"),
        ({"fused": []}, "fused"),
        ({"fused": ["colour"]}, "fused"),
        ({"weights": [1.0]}, "weights"),
        ({"weights": [1.0, 0.0]}, "weights"),
        ({"heldout_scores": []}, "held-out"),
        ({"threshold": "high"}, "threshold"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_calibration_must_fit_the_graph(own: Path, fields: dict[str, object], what: str) -> None:
    """Numbers that do not fit the columns, or are out of range, are refused despite right digests."""
    edit_calibration(own, **fields)
    with pytest.raises(BundleError, match=what):
        Bundle.open(own)


def test_plain_names() -> None:
    """Names are relative, of plain letters, and have an allowed suffix."""
    assert is_plain_name("golden/probe-0.png")
    assert not is_plain_name("golden/./probe.png")
    assert not is_plain_name("golden//probe.png")
    assert not is_plain_name("report.html\n")
    assert not is_plain_name("a/b/c/d/e.png")


# --- writing --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), SystemExit(1)])
def test_nothing_is_left_behind(tmp_path: Path, error: BaseException) -> None:
    """If writing stops for any reason, neither a bundle nor a temporary folder is left."""

    def fill(folder: Path) -> Manifest:
        tiny_fill()(folder)
        raise error

    with pytest.raises(type(error)):
        write_bundle(tmp_path / "a" / "b" / "bundle", fill)
    assert not list(tmp_path.iterdir())


def test_an_incomplete_bundle_is_never_put_in_place(tmp_path: Path) -> None:
    """A writer that omits a file gets an error, and no bundle appears."""

    def fill(folder: Path) -> Manifest:
        manifest = tiny_fill()(folder)
        (folder / "report.html").unlink()
        return manifest

    with pytest.raises(MissingFileError, match="report"):
        write_bundle(tmp_path / "bundle", fill)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(own: Path, tmp_path: Path) -> None:
    """A target that is not empty is refused before the work; an empty folder is filled."""
    for target in (own, own / "report.html"):
        with pytest.raises(UsageError, match="already exists"):
            write_bundle(target, tiny_fill())
    Bundle.open(own)
    empty = tmp_path / "empty"
    empty.mkdir()
    refuse_existing(empty)
    assert write_bundle(empty, tiny_fill()).path == empty


def test_a_full_disk_is_one_line(mount: Mount) -> None:
    """On a full disk the error says how much is free, and no file is left."""
    disk = mount("size=16k")
    with pytest.raises(StorageError, match=r"no space left.*MB free") as caught:
        write_bundle(disk / "models" / "bundle", tiny_fill())
    assert "free some space" in caught.value.hint
    assert ".tmp-" not in caught.value.message
    assert not list(disk.iterdir())


def test_a_read_only_disk_is_one_line(mount: Mount) -> None:
    """On a read-only disk the error says so."""
    mount("size=1m")
    disk = mount("ro,size=1m")
    with pytest.raises(StorageError, match="read-only"):
        write_bundle(disk / "bundle", tiny_fill())
