"""Masks are read strictly: any value counts, except what lossy compression leaves around edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from calibration.masks import DefectMask, read_masks
from inspector.errors import DatasetError
from inspector.settings import Settings
from tests.inspector.tiny_bundle import write_picture

SHAPE = (96, 128)


def drawn(shape: str, value: int = 255) -> NDArray[np.uint8]:
    """A mask of one shape."""
    image = Image.new("L", SHAPE[::-1])
    draw = ImageDraw.Draw(image)
    if shape == "ellipse":
        draw.ellipse((21, 33, 70, 60), fill=value)
    else:
        draw.line((5, 5, 120, 80), fill=value, width=3)
    return np.asarray(image)


def stored_as_jpeg(mask: NDArray[np.uint8], path: Path, quality: int) -> NDArray[np.uint8]:
    """Write a JPEG of a mask, and return its pixels."""
    Image.fromarray(mask).save(path, quality=quality)
    return np.asarray(Image.open(path))


def read(path: Path) -> DefectMask:
    """Read one mask."""
    return read_masks([path], SHAPE)


def test_any_value_but_zero_is_a_defect(tmp_path: Path) -> None:
    """Numbers of kinds and smooth edges count down to 1."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[3, 4], mask[5, 6] = 1, 255
    mask[20:40, 20:40], mask[20:40, 50:70], mask[60:80, 20:40] = 1, 2, 255
    smooth = np.asarray(Image.fromarray(drawn("ellipse")).resize((500, 400)).resize(SHAPE[::-1]))
    assert np.unique(smooth).size > 20
    for pixels in (mask, smooth):
        found = read(write_picture(tmp_path / "m.png", pixels))
        np.testing.assert_array_equal(found.defect, pixels > 0)
        assert not found.halved


@pytest.mark.parametrize("value", [1, 128, 65535])
def test_any_value_of_16_bits_is_a_defect(tmp_path: Path, value: int) -> None:
    """Values below 129 of 65535 are not rounded to 0."""
    pixels = (drawn("line", 1) > 0).astype(np.uint16) * np.uint16(value)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read(tmp_path / "m.png").defect, pixels > 0)


@pytest.mark.parametrize("quality", [60, 75, 90, 95])
@pytest.mark.parametrize("shape", ["ellipse", "line"])
def test_specks_of_jpeg_do_not_count(tmp_path: Path, shape: str, quality: int) -> None:
    """A mask stored as JPEG marks the same pixels as before, also when it became a PNG later."""
    mask = drawn(shape)
    pixels = stored_as_jpeg(mask, tmp_path / "m.jpg", quality)
    assert (pixels > 0).sum() > 1.1 * (mask > 0).sum()
    write_picture(tmp_path / "m.png", pixels)
    for name in ("m.jpg", "m.png"):
        found = read(tmp_path / name)
        np.testing.assert_array_equal(found.defect, mask > 0)
        assert found.halved


def test_specks_drawn_around_a_clean_shape(tmp_path: Path) -> None:
    """Values from 1 to 10 beside a flat shape are specks as well."""
    mask = drawn("ellipse")
    specks = np.random.default_rng(0).integers(0, 11, SHAPE).astype(np.uint8)
    near = np.asarray(Image.fromarray(mask).resize((160, 120)).crop((16, 12, 144, 108))) > 0
    found = read(write_picture(tmp_path / "m.png", np.where(mask > 0, mask, specks * near)))
    np.testing.assert_array_equal(found.defect, mask > 0)
    assert found.halved


def test_an_empty_jpeg_stays_empty(tmp_path: Path) -> None:
    """Nothing is halved in a black mask."""
    stored_as_jpeg(np.zeros(SHAPE, np.uint8), tmp_path / "m.jpg", 75)
    found = read(tmp_path / "m.jpg")
    assert not found.defect.any()
    assert not found.halved


def test_inverted_masks_are_noticed_and_not_changed(tmp_path: Path) -> None:
    """A mask with a white background marks most of the picture, and keeps its marks."""
    mask = drawn("ellipse")
    found = read(write_picture(tmp_path / "m.png", 255 - mask))
    np.testing.assert_array_equal(found.defect, mask == 0)
    assert found.marks_most
    assert not read(write_picture(tmp_path / "m.png", mask)).marks_most


def test_parts_are_joined(tmp_path: Path) -> None:
    """Several masks of one picture mark what at least one of them marks."""
    paths = [write_picture(tmp_path / f"{shape}.png", drawn(shape, 7)) for shape in ("ellipse", "line")]
    expected = (drawn("ellipse") > 0) | (drawn("line") > 0)
    np.testing.assert_array_equal(read_masks(paths, SHAPE).defect, expected)


def test_masks_that_cannot_be_used(tmp_path: Path) -> None:
    """A mask of another size, over the limits or damaged is refused by name."""
    path = write_picture(tmp_path / "m_mask.png", drawn("line"))
    with pytest.raises(DatasetError, match="at most 1,999 are read"):
        read_masks([path], SHAPE, Settings(max_pixels=1999))
    with pytest.raises(DatasetError, match=r"m_mask.png has 128 x 96 pixels, its picture 96 x 128"):
        read_masks([path], SHAPE[::-1])
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DatasetError, match=r"mask .*m_mask.png"):
        read(path)
