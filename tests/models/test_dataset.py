"""Reading a folder of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspector.demo.photograph import render
from inspector.errors import BadImagesError, DatasetError, InvalidReason, NoImagesError, TooFewImagesError
from inspector.imaging.encode import encode_png
from inspector.types import Pixels
from models.dataset import Skipped, read_folder
from tests.inspector.image_samples import png16, tiff


def write_parts(folder: Path, count: int) -> None:
    """Write good parts as PNG files."""
    folder.mkdir(exist_ok=True, parents=True)
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
    with pytest.raises(NoImagesError, match="holds no picture"):
        read_folder(tmp_path / "empty", tmp_path, 64)
    write_parts(tmp_path / "few", 3)
    with pytest.raises(TooFewImagesError, match=r"3 pictures in .*; at least 8"):
        read_folder(tmp_path / "few", tmp_path, 64)


def write_deep(folder: Path, name: str, picture: Pixels, full: int) -> None:
    """Write a picture as a colour PNG of 16 bits, whose white is `full`."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(png16(np.rint(picture * (full / 255)).astype(np.uint16)))


@pytest.mark.parametrize("full", [1023, 4095, 16383, 65535])
def test_a_folder_of_more_than_eight_bits(tmp_path: Path, full: int) -> None:
    """The scale is learned from all pictures, and each picture looks as its 8 bits do."""
    eight, deep = tmp_path / "eight", tmp_path / "deep"
    write_parts(eight, 9)
    for seed in range(9):
        write_deep(deep, f"{seed:03}.png", render(seed, size=64).picture, full)
    expected, found = read_folder(eight, tmp_path, 64).pixels.copy(), read_folder(deep, tmp_path, 64)
    assert (found.full_scale, found.bits, found.remarks) == (full, (16,), ())
    np.testing.assert_array_equal(found.pixels, expected)
    thumbnails = read_folder(eight, tmp_path, 64).thumbnails
    np.testing.assert_array_equal(found.thumbnails, thumbnails)


def test_a_folder_of_eight_and_more_bits(tmp_path: Path) -> None:
    """Each picture has its own full scale, so one part looks the same in both; copies are still found."""
    folder = tmp_path / "mixed"
    write_parts(folder, 4)
    for seed in range(4, 9):
        write_deep(folder, f"{seed:03}.png", render(seed, size=64).picture, 4095)
    (folder / "005 copy.png").write_bytes((folder / "005.png").read_bytes())
    write_parts(tmp_path / "eight", 9)
    expected = read_folder(tmp_path / "eight", tmp_path, 64).pixels.copy()
    found = read_folder(folder, tmp_path, 64)
    assert (found.full_scale, found.bits) == (4095, (8, 16))
    assert sorted(map(np.ndarray.tobytes, found.pixels)) == sorted(map(np.ndarray.tobytes, expected))
    assert len(found.skipped) == 1


def test_few_pictures_that_darken_the_others_are_named(tmp_path: Path) -> None:
    """One picture of 16 bits among many of 12 sets the scale, so it is named."""
    folder = tmp_path / "good"
    for seed in range(12):
        write_deep(folder, f"{seed:03}.png", render(seed, size=64).picture, 65535 if seed == 7 else 4095)
    found = read_folder(folder, tmp_path, 64)
    assert found.full_scale == 65535
    assert len(found.remarks) == 1
    assert found.remarks[0].startswith("007.png alone sets white to 65535; the other 11 16-bit pictures")


def test_files_that_state_too_much_are_doubted(tmp_path: Path) -> None:
    """Files of 12 bits that state 16 are believed, but the fit says that they are dark."""
    folder = tmp_path / "good"
    folder.mkdir()
    for seed in range(8):
        samples = np.rint(render(seed, size=64).picture[..., 0] * (4000 / 255)).astype(np.uint16)
        (folder / f"{seed}.tif").write_bytes(tiff(samples, 1, {281: 65535}))
    found = read_folder(folder, tmp_path, 64)
    assert found.full_scale == 65535
    assert found.remarks[0].startswith("white is 65535, but no sample is over")


def test_sizes_of_a_folder(tmp_path: Path) -> None:
    """The pictures with the fewest and with the most pixels are known by width and height."""
    write_parts(tmp_path / "good", 8)
    picture = render(9, size=96).picture
    (tmp_path / "good" / "wide.png").write_bytes(encode_png(picture[:80]))
    found = read_folder(tmp_path / "good", tmp_path, 64)
    assert (found.smallest, found.largest) == ((64, 64), (96, 80))
    assert (found.full_scale, found.bits) == (65535, (8,))


def test_a_labelled_set_is_refused(tmp_path: Path) -> None:
    """A fit from Python refuses it as well, unless every picture is asked for."""
    write_parts(tmp_path / "set" / "OK", 8)
    write_parts(tmp_path / "set" / "NG", 9)
    with pytest.raises(DatasetError, match="holds more than good pictures: OK, NG") as refused:
        read_folder(tmp_path / "set", tmp_path, 64)
    assert refused.value.hint == f"inspector fit {tmp_path / 'set' / 'OK'} --name set"
    assert len(read_folder(tmp_path / "set", tmp_path, 64, recursive_anyway=True)) == 9
