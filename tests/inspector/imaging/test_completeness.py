"""Damage that decoders of PNG, WebP, TIFF and BMP accept is refused, and whole files are not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inspector.errors import TruncatedImageError
from inspector.imaging.decode import decode
from inspector.types import Pixels
from tests.inspector.image_samples import GREY, chunk, encoded, refused, scene


def textured(height: int = 200, width: int = 240) -> Pixels:
    """Return a picture with details everywhere."""
    noise = np.random.default_rng(5).normal(0, 9, (height, width, 3))
    return np.clip(scene(height, width) + noise, 0, 255).astype(np.uint8)


def png(bits: int, colour_type: int, width: int, height: int, rows: bytes, interlaced: int = 0) -> bytes:
    """Write a PNG with these rows, each with the number of its filter."""
    start = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(range(255)) + b"\0" * 3) if colour_type == 3 else b""
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + palette + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "colour_type", "row_bytes"),
    [
        (1, 0, 5),
        (8, 0, 40),
        (16, 0, 80),
        (8, 2, 120),
        (16, 2, 240),
        (8, 3, 40),
        (4, 3, 20),
        (8, 4, 80),
        (8, 6, 160),
    ],
)
def test_missing_rows_of_a_png(bits: int, colour_type: int, row_bytes: int) -> None:
    """A PNG whose rows end early, although its checksums match, is refused; a black one is not."""
    generator = np.random.default_rng(3)
    rows = [b"\0" + generator.integers(1, 250, row_bytes, np.uint8).tobytes() for _ in range(40)]
    assert decode(png(bits, colour_type, 40, 40, b"".join(rows))).height == 40
    for count in (0, 1, 20, 39):
        refused(png(bits, colour_type, 40, 40, b"".join(rows[:count])), TruncatedImageError)
    if colour_type < 4:
        black = bytes(40 * (1 + row_bytes))
        assert decode(png(bits, colour_type, 40, 40, black)).height == 40
        refused(png(bits, colour_type, 40, 40, black[:-1]), TruncatedImageError)


def test_missing_rows_of_an_interlaced_png() -> None:
    """The rows of an interlaced PNG are counted pass by pass."""
    passes = [(5, 5), (5, 5), (5, 10), (10, 10), (10, 20), (20, 20), (20, 40)]  # of 40 x 40
    black = b"".join(bytes(rows * (1 + columns)) for rows, columns in passes)
    assert decode(png(8, 0, 40, 40, black, interlaced=1)).height == 40
    refused(png(8, 0, 40, 40, black[:-41], interlaced=1), TruncatedImageError)


def test_lost_chunk_of_a_png() -> None:
    """A PNG that lost one of its chunks of pixels is refused."""
    whole = encoded(textured(400, 400), "PNG", compress_level=0)
    start = whole.find(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", whole, start)
    assert whole.count(b"IDAT") > 2
    refused(whole[:start] + whole[start + 12 + length :], TruncatedImageError)


@pytest.mark.parametrize("quality", [10, 90])
@pytest.mark.parametrize("grey", [0, 255])
def test_flat_webp(quality: int, grey: int) -> None:
    """A large flat WebP consists of zeros to a good part, and is whole."""
    flat = np.full((1100, 1100, 3), grey, np.uint8)
    assert bytes(90) in encoded(flat, "WEBP", quality=quality)
    decode(encoded(flat, "WEBP", quality=quality))
    flat[700:760, 900:960] = textured(60, 60)
    decode(encoded(flat, "WEBP", quality=quality))


@pytest.mark.parametrize("options", [{}, {"exif": b"Exif\0\0" + bytes(300)}, {"save_all": True}])
def test_hole_in_a_webp(options: dict[str, Any]) -> None:
    """Zeros in the lossy data of a WebP are damage; in its metadata they are not."""
    pictures = {"append_images": [Image.fromarray(textured()[::-1])]} if options.get("save_all") else {}
    whole = encoded(textured(), "WEBP", quality=85, **options, **pictures)
    decode(whole)
    start = whole.find(b"VP8 ") + 8
    (length,) = struct.unpack_from("<I", whole, start - 4)
    for at in (start + 100, start + length // 2, start + length - 512):
        assert "hole" in refused(whole[:at] + bytes(512) + whole[at + 512 :], TruncatedImageError).message
    middle = start + length // 2
    refused(whole[:middle] + bytes(len(whole) - middle), TruncatedImageError)


def changed(data: bytes, tag: int, change: Callable[[list[int]], list[int]]) -> bytes:
    """Change the values of one tag of a little-endian TIFF; there may be fewer afterwards."""
    whole = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * entries, 12):
        found, code, count, value = struct.unpack_from("<HHII", data, entry)
        if found == tag:
            letter = {3: "H", 4: "I"}[code]
            place = value if count * struct.calcsize(letter) > 4 else entry + 8
            values = change(list(struct.unpack_from(f"<{count}{letter}", data, place)))
            struct.pack_into("<I", whole, entry + 4, len(values))
            struct.pack_into(f"<{len(values)}{letter}", whole, place, *values)
            return bytes(whole)
    raise AssertionError(tag)


STRIPS = {
    "raw": None,
    "LZW": "tiff_lzw",
    "deflate": "tiff_adobe_deflate",
    "JPEG": "jpeg",
    "PackBits": "packbits",
}


def striped(compression: str | None, mode: str = "RGB") -> bytes:
    """Write a TIFF of several strips."""
    image = Image.fromarray(textured()).convert(mode)
    return encoded(image, "TIFF", compression=compression, tiffinfo={278: 32})


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "CMYK", "RGBA"])
@pytest.mark.parametrize("kind", STRIPS)
def test_whole_tiff(kind: str, mode: str) -> None:
    """A whole TIFF of strips is accepted in any mode and compression."""
    assert decode(striped(STRIPS[kind], mode)).height == 200


@pytest.mark.parametrize("kind", STRIPS)
def test_strips_of_a_tiff(kind: str) -> None:
    """A strip that is not listed, or begins in the header, is damage: its rows would be black or noise."""
    whole = striped(STRIPS[kind])
    refused(changed(changed(whole, 273, lambda at: at[:-1]), 279, lambda at: at[:-1]), TruncatedImageError)
    refused(changed(whole, 273, lambda at: [0, *at[1:]]), TruncatedImageError)
    refused(changed(whole, 273, lambda at: [*at[:-1], 5]), TruncatedImageError)


@pytest.mark.parametrize("kind", ["LZW", "deflate", "JPEG"])
def test_hole_in_a_strip(kind: str) -> None:
    """Zeros in a compressed strip are damage."""
    whole = striped(STRIPS[kind])
    for share in (0.2, 0.5, 0.7):
        at = int(share * len(whole))
        refused(whole[:at] + bytes(200) + whole[at + 200 :], TruncatedImageError)


PACKED = {
    "colour": Image.fromarray(textured(201)),
    "grey of an odd width": Image.fromarray(textured(201, 37)).convert("L"),
    "bits": Image.fromarray(textured(201, 37)).convert("1"),
    "16 bits": Image.fromarray(textured(201)[..., 0].astype(np.uint16) * 200),
    "flat": Image.new("RGB", (300, 201), (9, 90, 200)),
}


@pytest.mark.parametrize("rows", [1, 7, 201, 999])
@pytest.mark.parametrize("kind", PACKED)
def test_packed_strips(kind: str, rows: int) -> None:
    """The runs of a whole PackBits strip fill its rows exactly, however many rows it has."""
    image = PACKED[kind]
    packed = encoded(image, "TIFF", compression="packbits", tiffinfo={278: rows})
    np.testing.assert_array_equal(decode(packed).pixels, decode(encoded(image, "TIFF")).pixels)


@pytest.mark.parametrize("replacement", [bytes(64), bytes(range(100, 164)), b"", b"\xff" * 64])
def test_damage_of_packed_strips(replacement: bytes) -> None:
    """Bytes that were lost or replaced among the runs of a PackBits strip are damage: its rows do not fit."""
    picture = np.repeat(textured()[:, :40, 0], 6, axis=1)
    whole = encoded(picture, "TIFF", compression="packbits", tiffinfo={278: 32})
    for share in (0.2, 0.5, 0.7):
        at = int(share * len(whole))
        refused(whole[:at] + replacement + whole[at + 64 :], TruncatedImageError)


def test_tiles_of_a_tiff() -> None:
    """The tiles of a TIFF are counted like strips."""
    tile, places = np.full((32, 32), 90, np.uint8).tobytes(), [8 + 1024 * place for place in range(6)]
    entries = {256: [80], 257: [48], 258: [8], 259: [1], 262: [1], 277: [1], 322: [32], 323: [32]}
    for count in (6, 5):
        listed = entries | {324: places[:count], 325: [1024] * count}
        directory, tail = struct.pack("<H", len(listed)), b""
        start = 8 + 6 * 1024
        tail_start = start + 2 + 12 * len(listed) + 4
        for tag in sorted(listed):
            value = struct.pack(f"<{len(listed[tag])}I", *listed[tag])
            if len(value) > 4:
                value, tail = struct.pack("<I", tail_start + len(tail)), tail + value
            directory += struct.pack("<HHI", tag, 4, len(listed[tag])) + value
        data = b"II*\0" + struct.pack("<I", start) + tile * 6 + directory + bytes(4) + tail
        if count == 6:
            assert (decode(data).pixels == 90).all()
        else:
            assert "1 of 6" in refused(data, TruncatedImageError).message


def test_cut_runs_of_a_bmp() -> None:
    """A run-length coded BMP that lost its end is refused; Pillow would fill it with black."""
    rows = b"".join(bytes([72, int(row[0])]) + b"\0\0" for row in GREY[::-1]) + b"\0\1"
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    start = 14 + 40 + len(palette)
    head = struct.pack("<IiiHHIIiiII", 40, 72, 48, 1, 8, 1, len(rows), 0, 0, 256, 0)
    data = b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + head + palette + rows
    np.testing.assert_array_equal(decode(data).pixels[:, 0, 0], GREY[:, 0])
    for lost in (3, 40, 150):
        refused(data[:-lost], TruncatedImageError)
