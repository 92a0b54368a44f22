"""Files and folders of any name are found, read and shown on one line; those that cannot be are named."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.errors import (
    NoImagesError,
    TruncatedImageError,
    UnknownFormatError,
    UnreadableImageError,
)
from inspector.imaging.decode import decode
from inspector.imaging.files import list_images, printable
from tests.inspector.image_samples import (
    CUT,
    WIDTH,
    encoded,
    refused,
    scene,
)


def test_missing_folder_device(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe and a path that cannot exist are called unreadable."""
    os.mkfifo(tmp_path / "pipe.png")
    for source, fragment in (
        (tmp_path / "none.png", "No such file"),
        (tmp_path / ("long" * 200), "too long"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.png", "not a regular file"),
        (f"{tmp_path}/zero\0byte.png", "null"),
    ):
        assert fragment in refused(source, UnreadableImageError).message


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Yield a folder that every user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="inspector-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


UNPRIVILEGED = """
    import os, pathlib, sys
    from inspector.imaging.decode import decode
    from inspector.imaging.files import list_images
    from inspector.errors import InspectorError
    allowed, forbidden, folder = map(pathlib.Path, sys.argv[1:])
    decode(allowed)  # imports modules while this is permitted
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    print(decode(allowed).width)
    for attempt in (lambda: decode(forbidden), lambda: list_images(folder)):
        try:
            attempt()
        except InspectorError as error:
            print(type(error).__name__, error.message)
"""


def test_without_permission(shared_folder: Path) -> None:
    """Files and folders that the user may not read are named; other files are read."""
    allowed, forbidden = shared_folder / "allowed.png", shared_folder / "forbidden.png"
    for path, mode in ((allowed, 0o644), (forbidden, 0o000)):
        path.write_bytes(encoded(scene(), "PNG"))
        path.chmod(mode)
    closed = shared_folder / "closed"
    closed.mkdir(mode=0o000)
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(UNPRIVILEGED),
            str(allowed),
            str(forbidden),
            str(shared_folder),
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=True,
    )
    width, read, listed = run.stdout.splitlines()
    assert int(width) == WIDTH
    assert read == f"UnreadableImageError {forbidden} cannot be opened: Permission denied"
    assert listed == f"DatasetError {closed} cannot be listed: Permission denied"


# --- names ----------------------------------------------------------------------------------

NAMES = [
    "two\nlines.png",
    "part 🔩.png",
    "👩\u200d🔧.png",
    "tab\t\x1b[31mred.png",
    "back\u202ewards.png",
    "\u2028.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path: Path, name: str) -> None:
    """A file of any name is read, and errors about it stay on one line."""
    path = tmp_path / name
    path.write_bytes(CUT["png"])
    assert decode(path).width == WIDTH
    path.write_bytes(b"words")
    error = refused(path, UnknownFormatError)
    assert printable(path) in error.message
    assert list_images(tmp_path) == [path]


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    """A file name that is not UTF-8 is read, and its bytes are shown."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/part\xff.png"))
    path.write_bytes(CUT["png"])
    assert decode(str(path)).width == WIDTH
    path.write_bytes(CUT["png"][:90])
    assert r"part\xff.png" in refused(path, TruncatedImageError).message


@given(st.text())
def test_printable(name: str) -> None:
    """Any name is printed as one line that can be encoded."""
    shown = printable(name)
    shown.encode()
    assert len(shown.splitlines()) <= 1


def test_list_images(tmp_path: Path) -> None:
    """Pictures are found by suffix in any case, sorted by relative path, without hidden ones."""
    for name in (
        "b/2.JPG",
        "b/1.png",
        "a.TIFF",
        "c.webp",
        ".hidden.png",
        ".cache/x.png",
        "notes.txt",
        "b/.x.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a.TIFF", "b/1.png", "b/2.JPG", "c.webp"]
    assert list_images(tmp_path / ".cache") == [tmp_path / ".cache/x.png"]


def test_names_of_storage_systems_are_skipped(tmp_path: Path) -> None:
    """Files and folders of a NAS or an operating system are skipped, unless the folder itself is named."""
    synology, windows = ("@eaDir", "#recycle", "#SNAPSHOT"), ("$RECYCLE.BIN", "System Volume Information")
    kept = (*synology, *windows, "lost+found", ".snapshot", "@Recycle", "@Recently-Snapshot", "__MACOSX")
    for folder in kept:
        for name in (f"{folder}/part.png/a.jpg", f"deep/{folder}/b.png"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).touch()
    for name in ("part.png", "deep/eaDir.png", "Thumbs.db", "._part.png", "#1.png", "@2.png"):
        (tmp_path / name).touch()
    for name in ("part.png.part", "part.png.tmp", "part.png~", "part.png.filepart", "part.png.crdownload"):
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["#1.png", "@2.png", "deep/eaDir.png", "part.png"]
    for folder in kept:
        assert list_images(tmp_path / folder) == [tmp_path / folder / "part.png" / "a.jpg"]


def test_list_images_follows_links_to_folders(tmp_path: Path) -> None:
    """A folder of links to folders is listed under their names, each folder once, without circles."""
    for name in ("days/monday/1.png", "days/tuesday/2.png", "days/tuesday/night/3.png", "days/.trash/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    links = tmp_path / "links"
    links.mkdir()
    for name, target in {
        "a": "../days/tuesday",
        "again": "../days/tuesday",
        "b": "../days/monday",
        "inner": "../days/tuesday/night",
        "self": ".",
        "up": "..",
        "gone": "nothing",
        ".hidden": "../days/monday",
    }.items():
        (links / name).symlink_to(target)
    (tmp_path / "days/monday/back").symlink_to(links)
    found = [path.relative_to(links).as_posix() for path in list_images(links)]
    assert found == ["a/2.png", "a/night/3.png", "b/1.png"]
    (tmp_path / "days/a").symlink_to("tuesday")
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path / "days")]
    assert found == ["days/monday/1.png", "days/tuesday/2.png", "days/tuesday/night/3.png"]


def test_list_images_of_an_empty_folder(tmp_path: Path) -> None:
    """A folder without pictures gives an empty list."""
    assert list_images(tmp_path) == []


def test_list_images_of_no_folder(tmp_path: Path) -> None:
    """An error names the folder that is missing or is a file."""
    (tmp_path / "file.png").touch()
    with pytest.raises(NoImagesError, match="does not exist"):
        list_images(tmp_path / "none")
    with pytest.raises(NoImagesError, match="is not a folder"):
        list_images(tmp_path / "file.png")
    with pytest.raises(NoImagesError, match="does not exist") as refused_glob:
        list_images(tmp_path / "lot*")
    assert "only 'inspector score' takes globs" in refused_glob.value.hint
