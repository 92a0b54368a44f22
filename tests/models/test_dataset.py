"""Reading a folder of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspector.demo.photograph import render
from inspector.errors import BadImagesError, InvalidReason, NoImagesError, TooFewImagesError
from inspector.imaging.encode import encode_png
from models.dataset import Skipped, read_folder


def write_parts(folder: Path, count: int) -> None:
    """Write good parts as PNG files."""
    folder.mkdir(exist_ok=True)
    for seed in range(count):
        (folder / f"{seed:03}.png").write_bytes(encode_png(render(seed, size=64).picture))


def test_reading_a_folder(tmp_path: Path) -> None:
    """Every picture is read once, in order, at the requested size; copies and damaged files are named."""
    folder = tmp_path / "good"
    write_parts(folder, 9)
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "text.png").write_text("no picture")
    seen: list[tuple[str, int, int]] = []
    cache = tmp_path / "cache"
    cache.mkdir()
    found = read_folder(folder, cache, 96, progress=lambda *a: seen.append(a))
    assert found.names == tuple(f"{i:03}.png" for i in range(9))
    assert found.pixels.shape == (9, 96, 96, 3)
    assert isinstance(found.pixels, np.memmap)
    assert found.skipped == (
        Skipped("copy.png", None),
        Skipped("text.png", InvalidReason.UNKNOWN_FORMAT),
    )
    assert [file.reason for file in found.skipped] == ["exact copy", "unknown_format"]
    assert seen[-1] == ("reading pictures", 11, 11)


def test_a_strict_read_names_the_damaged(tmp_path: Path) -> None:
    """With `strict` a damaged picture refuses the folder."""
    write_parts(tmp_path / "good", 9)
    (tmp_path / "good" / "text.png").write_text("no picture")
    with pytest.raises(BadImagesError, match=r"text\.png \(unknown_format\)"):
        read_folder(tmp_path / "good", tmp_path, 64, strict=True)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    """No folder, an empty one and one with too few pictures are told apart."""
    with pytest.raises(NoImagesError):
        read_folder(tmp_path / "nowhere", tmp_path, 64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match="no pictures"):
        read_folder(tmp_path / "empty", tmp_path, 64)
    write_parts(tmp_path / "few", 3)
    with pytest.raises(TooFewImagesError, match="3 usable"):
        read_folder(tmp_path / "few", tmp_path, 64)
