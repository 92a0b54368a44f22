"""An alpha channel that nobody wrote does not hide a picture, and a wholly transparent picture is refused."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inspector.errors import TransparentImageError
from inspector.imaging.decode import decode, straight_rgba
from tests.inspector.image_samples import (
    GREY,
    HEIGHT,
    WIDE,
    WIDTH,
    chunk,
    encoded,
    png16,
    refused,
    scene,
    tiff,
)

CLEAR = np.dstack([scene(), np.zeros((HEIGHT, WIDTH), np.uint8)])
DEEP_CLEAR = np.dstack([WIDE[..., :3], np.zeros((HEIGHT, WIDTH), np.uint16)])
GREY_CLEAR = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (WIDTH, HEIGHT))])


def bmp(rgba: Any, header_bytes: int) -> bytes:
    """Write a BMP of 32 bits with an alpha mask: a header of 56, 108 (V4) or 124 bytes (V5)."""
    pixels = np.ascontiguousarray(rgba[::-1][..., [2, 1, 0, 3]]).tobytes()
    start = 14 + header_bytes
    head = struct.pack("<IiiHHIIiiII", header_bytes, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    return (
        b"BM"
        + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
        + (head + masks).ljust(header_bytes, b"\0")
        + pixels
    )


UNSET: dict[str, Any] = {
    "BMP": bmp(CLEAR, 56),
    "BMP V4": bmp(CLEAR, 108),
    "BMP V5": bmp(CLEAR, 124),
    "TIFF": encoded(CLEAR, "TIFF"),
    "LZW TIFF": encoded(CLEAR, "TIFF", compression="tiff_lzw"),
    "TIFF that does not describe its fourth sample": tiff(CLEAR, 2),
    "TIFF with an unspecified sample": tiff(CLEAR, 2, {338: 0}),
    "array": CLEAR,
    "Pillow image": Image.fromarray(CLEAR),
    "Pillow image of a BMP": Image.open(io.BytesIO(bmp(CLEAR, 124))),
}
INVISIBLE: dict[str, Any] = {
    "PNG": encoded(CLEAR, "PNG"),
    "WebP": encoded(CLEAR, "WEBP"),
    "lossless WebP": encoded(CLEAR, "WEBP", lossless=True, exact=True),
    "grey PNG": encoded(GREY_CLEAR, "PNG"),
    "deep PNG": png16(DEEP_CLEAR),
    "deep grey PNG": png16(DEEP_CLEAR[..., [0, 3]]),
    "palette": encoded(Image.fromarray(scene()).quantize(17), "PNG", transparency=bytes(17)),
    "key of grey": encoded(Image.new("L", (WIDTH, HEIGHT), 7), "PNG", transparency=7),
    "key of colour": encoded(Image.new("RGB", (WIDTH, HEIGHT), (7, 8, 9)), "PNG", transparency=(7, 8, 9)),
    "key of deep grey": png16(
        np.full((HEIGHT, WIDTH, 1), 1234, np.uint16), chunk(b"tRNS", struct.pack(">H", 1234))
    ),
    "premultiplied TIFF": tiff(CLEAR, 2, {338: 1}),
    "premultiplied deep TIFF": tiff(DEEP_CLEAR, 2, {338: 1}),
    "Pillow image of a PNG": Image.open(io.BytesIO(encoded(CLEAR, "PNG"))),
}


@pytest.mark.parametrize("kind", UNSET)
def test_unset_alpha(kind: str) -> None:
    """An alpha of 0 is opaque where writers leave it unset: BMP, TIFF, arrays, Pillow images."""
    np.testing.assert_array_equal(decode(UNSET[kind]).pixels, scene())


def test_unset_alpha_of_other_samples() -> None:
    """The same holds for grey and for 16 bits."""
    np.testing.assert_array_equal(decode(encoded(GREY_CLEAR, "TIFF")).pixels[..., 0], GREY)
    expected = np.rint(WIDE[..., :3] / 257)
    for source in (DEEP_CLEAR, tiff(DEEP_CLEAR, 2, {338: 0}), tiff(DEEP_CLEAR, 2, {338: 2})):
        np.testing.assert_array_equal(decode(source).pixels, expected)


@pytest.mark.parametrize("kind", INVISIBLE)
def test_wholly_transparent(kind: str) -> None:
    """A picture without a visible pixel is refused if its writer set alpha, or multiplied it in."""
    error = refused(INVISIBLE[kind], TransparentImageError)
    assert "wholly transparent" in error.message
    assert error.reason == "transparent"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_one_visible_pixel(kind: str) -> None:
    """A single visible pixel shows that alpha was written: all others are transparent."""
    rgba = CLEAR.copy()
    rgba[5, 6, 3] = 255
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels = decode(bmp(rgba, 124) if kind == "BMP" else encoded(rgba, kind, **options)).pixels
    assert (pixels[5, 6] == scene()[5, 6]).all()
    assert np.count_nonzero((pixels != 255).any(axis=2)) == 1


def test_cut_out_of_a_picture_with_unset_alpha() -> None:
    """An alpha channel that nobody wrote is not the cut-out of a picture."""
    assert straight_rgba(bmp(CLEAR, 124)) is None
    rgba = CLEAR.copy()
    rgba[5:9, 6:9, 3] = 255
    found = straight_rgba(bmp(rgba, 124))
    assert found is not None
    np.testing.assert_array_equal(found, rgba)
