"""Masks are decoded as they are stored: nothing but black and transparent is 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inspector.errors import ImageTooLargeError, TruncatedImageError
from inspector.imaging.mask import decode_mask

MARKED: NDArray[np.uint8] = np.zeros((40, 50), np.uint8)
MARKED[3:9, 4:30] = 1
MARKED[30, 45] = 1


def palette(colours: list[int]) -> Image.Image:
    """A palette picture whose indices are the marks."""
    image = Image.frombytes("P", (50, 40), MARKED.tobytes())
    image.putpalette(colours)
    return image


def rgba(colour: int, opaque: NDArray[Any]) -> Image.Image:
    """A picture of one grey everywhere, opaque in places."""
    pixels = np.full((40, 50, 4), colour, np.uint8)
    pixels[..., 3] = opaque
    return Image.fromarray(pixels)


COLOURED = np.dstack([MARKED * 200, MARKED * 0, MARKED * 0])
UNSET_ALPHA = np.dstack([COLOURED, MARKED * 0])

STORED = {
    "bits.png": Image.fromarray(MARKED > 0),
    "bits.tif": Image.fromarray(MARKED > 0),
    "bits.bmp": Image.fromarray(MARKED > 0),
    "ones.png": Image.fromarray(MARKED),
    "ones of 16 bits.png": Image.fromarray(MARKED.astype(np.uint16)),
    "128 of 16 bits.tif": Image.fromarray(MARKED.astype(np.uint16) * 128),
    "32 bits.tif": Image.fromarray(MARKED.astype(np.int32) * 70_000),
    "fractions.tif": Image.fromarray(MARKED.astype(np.float32) / 100),
    "palette.png": palette([0, 0, 0, 128, 0, 0]),
    "palette.bmp": palette([0, 0, 0, 128, 0, 0]),
    "black palette.png": palette([0, 0, 0, 0, 0, 0]),
    "red.png": Image.fromarray(COLOURED),
    "white on nothing.png": rgba(255, MARKED * 255),
    "black on nothing.png": rgba(0, MARKED * 255),
    "white on nothing.tif": rgba(255, MARKED * 255),
    "opaque.png": Image.fromarray(np.dstack([COLOURED, np.full_like(MARKED, 255)])),
    "unset alpha.png": Image.fromarray(UNSET_ALPHA),
    "unset alpha.bmp": Image.fromarray(UNSET_ALPHA),
    "grey and alpha.png": Image.fromarray(COLOURED).convert("LA"),
}


@pytest.mark.parametrize("name", STORED)
def test_every_kind_of_mask(tmp_path: Path, name: str) -> None:
    """Bits, ones, 16 and 32 bits, fractions, palettes and transparency mark the same pixels."""
    STORED[name].save(tmp_path / name)
    mask = decode_mask(tmp_path / name)
    np.testing.assert_array_equal(mask.levels > 0, MARKED > 0)
    assert not mask.is_lossy


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_the_low_bytes_of_deep_colours_count(tmp_path: Path, name: str, has_alpha: bool) -> None:
    """A 1 of 65535 is a mark in colour pictures, too."""
    channels = [MARKED.astype(np.uint16)] * 3 + [np.full((40, 50), 65535, np.uint16)] * has_alpha
    cv2.imwrite(str(tmp_path / name), np.dstack(channels))
    np.testing.assert_array_equal(decode_mask(tmp_path / name).levels, MARKED)


def test_nothing_drawn_marks_nothing(tmp_path: Path) -> None:
    """A wholly transparent drawing is an empty mask, whatever colour its pixels have."""
    rgba(255, MARKED * 0).save(tmp_path / "empty.png")
    assert not decode_mask(tmp_path / "empty.png").levels.any()


def test_white_may_be_zero(tmp_path: Path) -> None:
    """A TIFF whose white is zero marks the pixels that do not look black."""
    page = Image.fromarray(65535 - MARKED.astype(np.uint16))
    page.save(tmp_path / "m.tif", tiffinfo={262: 0})
    np.testing.assert_array_equal(decode_mask(tmp_path / "m.tif").levels, MARKED)


def test_masks_are_turned_like_pictures(tmp_path: Path) -> None:
    """EXIF turns a mask of any depth."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    Image.fromarray(MARKED.astype(np.uint16)).save(tmp_path / "m.png", exif=exif)
    np.testing.assert_array_equal(decode_mask(tmp_path / "m.png").levels, np.rot90(MARKED, -1))


def test_lossy_formats_are_named(tmp_path: Path) -> None:
    """JPEG and lossy WebP change values; lossless WebP does not."""
    white = Image.fromarray(MARKED * 255)
    white.save(tmp_path / "m.jpg")
    white.save(tmp_path / "m.webp")
    white.save(tmp_path / "same.webp", lossless=True)
    found = [decode_mask(tmp_path / name).is_lossy for name in ("m.jpg", "m.webp", "same.webp")]
    assert found == [True, True, False]


def test_limits_and_damage(tmp_path: Path) -> None:
    """A mask that is too large or cut raises the errors of pictures."""
    path = tmp_path / "m.png"
    Image.fromarray(MARKED).save(path)
    with pytest.raises(ImageTooLargeError, match="at most 1,999 are read"):
        decode_mask(path, max_pixels=1999)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(TruncatedImageError):
        decode_mask(path)
