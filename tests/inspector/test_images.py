"""Pictures are decoded exactly, or refused with the leaf of the error tree that says why."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from inspector import images
from inspector.errors import (
    DatasetError,
    EmptyImageError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    NoImagesError,
    TruncatedImageError,
    UnknownFormatError,
    UnreadableImageError,
)

HEIGHT, WIDTH = 48, 72


def scene(height: int = HEIGHT, width: int = WIDTH) -> images.Pixels:
    """Return a smooth colour picture without symmetry."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(3 * x + 5 * y * y), np.cos(7 * x * y + 1), np.sin(6 * y - 2 * x * x)]
    return np.asarray(np.rint(127.5 + 120 * np.stack(waves, axis=-1)), np.uint8)


def encoded(image: Image.Image | images.Pixels, kind: str, **options: Any) -> bytes:
    """Encode with Pillow."""
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """Return one PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png16(samples: npt.NDArray[np.uint16], *extra: bytes) -> bytes:
    """Write a 16 bit PNG of 1 to 4 channels by hand."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    start = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", start), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(
    samples: npt.NDArray[Any],
    photometric: int,
    tags: dict[int, int] | None = None,
    order: Literal["<", ">"] = "<",
) -> bytes:
    """Write an uncompressed TIFF of uint16 or float32 by hand, the directory behind the pixels."""
    bands = samples.shape[2] if samples.ndim == 3 else 1
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    entries = {
        256: (4, [samples.shape[1]]),
        257: (4, [samples.shape[0]]),
        258: (3, [samples.itemsize * 8] * bands),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, [8]),
        277: (3, [bands]),
        278: (4, [samples.shape[0]]),
        279: (4, [len(data)]),
    } | {tag: (3, [value]) for tag, value in (tags or {}).items()}
    start = 8 + len(data)
    directory, tail = struct.pack(f"{order}H", len(entries)), b""
    tail_start = start + 2 + 12 * len(entries) + 4
    for tag in sorted(entries):
        code, values = entries[tag]
        value = struct.pack(f"{order}{len(values)}{'H' if code == 3 else 'I'}", *values)
        if len(value) > 4:
            value, tail = struct.pack(f"{order}I", tail_start + len(tail)), tail + value
        directory += struct.pack(f"{order}HHI", tag, code, len(values)) + value.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", start) + data + directory + bytes(4) + tail


def exif(orientation: int) -> bytes:
    """Return an EXIF block that holds an orientation and nothing else."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def over_white(rgba: npt.NDArray[Any], full: int = 255) -> npt.NDArray[np.float64]:
    """Composite in floating point: the second implementation."""
    colour, alpha = rgba[..., :3].astype(np.float64), rgba[..., 3:] / full
    return np.asarray(colour * alpha + full * (1 - alpha), np.float64)


def refused(source: Any, leaf: type[ImageError], **options: Any) -> ImageError:
    """Demand that a source is refused with this leaf, in one printable line and with a hint."""
    with pytest.raises(ImageError) as caught:
        images.decode(source, **options)
    assert type(caught.value) is leaf, caught.value.message
    for line in (caught.value.message, caught.value.hint):
        assert line
        assert line.replace("\u200d", "").isprintable()
        line.encode()
    return caught.value


# --- what is read ---------------------------------------------------------------------------

RGBA = np.dstack([scene(), scene()[::-1, :, 1]])
GREY = np.ascontiguousarray(scene()[..., 1])
WIDE = np.random.default_rng(3).integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_colour(kind: str) -> None:
    """Colour comes back exactly from every format that keeps it exactly."""
    picture = images.decode(encoded(scene(), kind, **({"lossless": True} if kind == "WEBP" else {})))
    np.testing.assert_array_equal(picture.pixels, scene())
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg(options: dict[str, Any], mode: str) -> None:
    """A JPEG, baseline or progressive, grey or colour, decodes as OpenCV decodes it."""
    data = encoded(Image.fromarray(scene()).convert(mode), "JPEG", **options)
    expected = cv2.cvtColor(
        np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB
    )
    difference = np.abs(images.decode(data).pixels.astype(int) - expected)
    assert difference.max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_grey(kind: str) -> None:
    """A grey picture has three equal channels."""
    np.testing.assert_array_equal(images.decode(encoded(GREY, kind)).pixels, np.dstack([GREY] * 3))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_one_bit(kind: str) -> None:
    """Black and white become 0 and 255."""
    data = encoded(Image.fromarray(GREY > 127), kind)
    np.testing.assert_array_equal(images.decode(data).pixels[..., 0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_palette(kind: str) -> None:
    """A palette is looked up."""
    palette = Image.fromarray(scene()).quantize(17)
    np.testing.assert_array_equal(images.decode(encoded(palette, kind)).pixels, palette.convert("RGB"))


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 255, 15))])
def test_palette_with_transparency(transparency: int | bytes) -> None:
    """Transparent entries of a palette show white, half transparent ones are mixed with it."""
    data = encoded(Image.fromarray(scene()).quantize(17), "PNG", transparency=transparency)
    expected = over_white(np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")))
    assert np.abs(images.decode(data).pixels - expected).max() <= 0.51


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha(kind: str) -> None:
    """Transparency is laid over white."""
    data = encoded(RGBA, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    assert np.abs(images.decode(data).pixels - over_white(RGBA)).max() <= 0.51


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha(kind: str) -> None:
    """Grey with alpha is laid over white, too."""
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())])
    expected = over_white(np.dstack([GREY, GREY, GREY, GREY[::-1]]))
    assert np.abs(images.decode(encoded(image, kind)).pixels - expected).max() <= 0.51


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_colour_key(mode: str) -> None:
    """A PNG that names one colour as transparent shows white there."""
    image = Image.fromarray(scene()).convert(mode)
    key: Any = image.getpixel((5, 5))
    data = encoded(image, "PNG", transparency=key)
    rgb = np.array(image.convert("RGB"))
    rgb[(rgb == np.broadcast_to(np.asarray(key), 3)).all(axis=-1)] = 255
    np.testing.assert_array_equal(images.decode(data).pixels, rgb)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "CMYK"), ("TIFF", "CMYK"), ("TIFF", "YCbCr")])
def test_other_colour_spaces(kind: str, mode: str) -> None:
    """CMYK and YCbCr become RGB as Pillow converts them."""
    data = encoded(Image.fromarray(scene()).convert(mode), kind)
    np.testing.assert_array_equal(images.decode(data).pixels, Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(("order", "photometric"), [("<", 0), ("<", 1), (">", 1)])
def test_deep_grey_tiff(order: Literal["<", ">"], photometric: int) -> None:
    """A 16 bit TIFF of either byte order is divided by 257 and rounded, white-is-zero is inverted."""
    values = WIDE[..., 0] if photometric == 1 else 65535 - WIDE[..., 0]
    pixels = images.decode(tiff(values, photometric, order=order)).pixels
    np.testing.assert_array_equal(pixels[..., 2], np.rint(WIDE[..., 0] / 257))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_compressed_deep_grey_tiff(compression: str | None) -> None:
    """Compression does not change what a 16 bit TIFF says."""
    pixels = images.decode(encoded(Image.fromarray(WIDE[..., 0]), "TIFF", compression=compression)).pixels
    np.testing.assert_array_equal(pixels[..., 0], np.rint(WIDE[..., 0] / 257))


@pytest.mark.parametrize("channels", [1, 3])
def test_deep_png(channels: int) -> None:
    """A 16 bit PNG is divided by 257 and rounded, whatever its own range of values."""
    samples = WIDE[..., :channels] // 8
    pixels = images.decode(png16(samples)).pixels
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.rint(samples / 257), pixels.shape))
    assert pixels.max() <= 32


@pytest.mark.parametrize("channels", [2, 4])
def test_deep_png_with_alpha(channels: int) -> None:
    """16 bit alpha is laid over white before the depth is reduced."""
    samples = WIDE[..., 4 - channels :]
    rgba = samples if channels == 4 else samples[..., [0, 0, 0, 1]]
    assert np.abs(images.decode(png16(samples)).pixels - over_white(rgba, 65535) / 257).max() <= 0.51


def test_deep_colour_key() -> None:
    """The one transparent value of a 16 bit grey PNG shows white."""
    samples = WIDE[..., :1].copy()
    samples[:7, :9] = 1234
    pixels = images.decode(png16(samples, chunk(b"tRNS", struct.pack(">H", 1234)))).pixels
    assert (pixels[:7, :9] == 255).all()
    np.testing.assert_array_equal(pixels[7:, :, 0], np.rint(samples[7:, :, 0] / 257))


def test_deep_colour_tiff() -> None:
    """A 16 bit colour TIFF comes out within one level of its value divided by 257."""
    pixels = images.decode(tiff(WIDE[..., :3], 2)).pixels
    assert np.abs(pixels - WIDE[..., :3] / 257).max() <= 1


def test_twelve_bit_tiff() -> None:
    """A 12 bit TIFF is scaled by its own full scale, 4095."""
    values = WIDE[..., 0] >> 4
    first, second = values[:, 0::2].astype(int), values[:, 1::2].astype(int)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1).astype(np.uint8)
    whole = bytearray(tiff(values, 1, {258: 12}))
    whole[8 : 8 + packed.size] = packed.tobytes()
    pixels = images.decode(bytes(whole)).pixels
    np.testing.assert_array_equal(pixels[..., 0], np.rint(values / 4095.0 * 255))


def test_wide_integers() -> None:
    """32 bit integers are read as 16 bit samples as long as they are in that range."""
    values = WIDE[..., 0].astype(np.int32)
    pixels = images.decode(encoded(Image.fromarray(values), "TIFF")).pixels
    np.testing.assert_array_equal(pixels[..., 0], np.rint(values / 257))
    values[3, 4] = 70_000
    error = refused(encoded(Image.fromarray(values), "TIFF"), UnknownFormatError)
    assert "70000" in error.message
    assert "65535" in error.message


def test_premultiplied_alpha() -> None:
    """Premultiplied alpha, colour or grey, is laid over white without darkening the edges."""
    multiplied = np.rint(RGBA * (RGBA[..., 3:] / 255.0)).astype(np.uint8)
    multiplied[..., 3] = RGBA[..., 3]
    for samples, photometric in ((multiplied, 2), (multiplied[..., [1, 3]], 1)):
        pixels = images.decode(tiff(samples, photometric, {338: 1})).pixels
        expected = over_white(RGBA)[..., [1] if photometric == 1 else [0, 1, 2]]
        assert np.abs(pixels - expected).max() <= 2


def test_pages_and_frames() -> None:
    """Of several pages or frames the first is taken."""
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    for kind, options in (("TIFF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encoded(first, kind, save_all=True, append_images=[second], **options)
        np.testing.assert_array_equal(images.decode(data).pixels, scene())


def test_several_pictures_in_a_jpeg() -> None:
    """Of a multi-picture JPEG the first is taken."""
    data = encoded(Image.fromarray(scene()), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    assert images.decode(data).pixels.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation(kind: str, orientation: int) -> None:
    """Each of the eight EXIF orientations is applied as Pillow's own transposition does it."""
    block = Image.Exif()
    block[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(scene(), kind, exif=block, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    picture = images.decode(data)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert (picture.height, picture.width) == expected.shape[:2]


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(9), exif(6)[:18]]
)
def test_damaged_exif(block: bytes) -> None:
    """A damaged or absurd orientation leaves the picture as it is, without a word on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = images.decode(encoded(scene(), "JPEG", exif=block))
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("reduce_to", "shape"),
    [((90, 160), (90, 160)), ((91, 160), (180, 320)), ((360, 640), (360, 640)), ((9999, 9999), (720, 1280))],
)
def test_reduced(reduce_to: tuple[int, int], shape: tuple[int, int]) -> None:
    """A large JPEG is decoded at the smallest scale that is not below the size asked for."""
    data = encoded(scene(720, 1280), "JPEG")
    picture = images.decode(data, reduce_to=reduce_to)
    assert picture.pixels.shape[:2] == shape
    assert (picture.height, picture.width) == (720, 1280)
    whole = images.fit_to(images.decode(data).pixels, 90, 160).astype(int)
    assert np.abs(images.fit_to(picture.pixels, 90, 160) - whole).mean() < 1


def test_reduced_and_rotated() -> None:
    """The size asked for, and the true size, are those of the picture held upright."""
    picture = images.decode(encoded(scene(720, 1280), "JPEG", exif=exif(6)), reduce_to=(160, 90))
    assert picture.pixels.shape[:2] == (160, 90)
    assert (picture.height, picture.width) == (1280, 720)


def test_path_and_bytes_agree(tmp_path: Path) -> None:
    """A path as text, a path, bytes and a view of bytes give the same pixels, whatever the suffix."""
    data = encoded(scene(), "PNG")
    path = tmp_path / "part.jpg"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data)):
        np.testing.assert_array_equal(images.decode(source).pixels, scene())


# --- arrays ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, np.dstack([GREY] * 3)),
        (GREY[..., np.newaxis], np.dstack([GREY] * 3)),
        (scene(), scene()),
        (scene()[::-1, ::-1], scene()[::-1, ::-1]),
        (RGBA, np.rint(over_white(RGBA))),
        (GREY > 127, np.where(np.dstack([GREY] * 3) > 127, 255, 0)),
        (WIDE[..., 0], np.dstack([np.rint(WIDE[..., 0] / 257)] * 3)),
        (WIDE[..., :3], np.rint(WIDE[..., :3] / 257)),
        (WIDE[..., 0].astype(">u2"), np.dstack([np.rint(WIDE[..., 0] / 257)] * 3)),
        (scene().transpose(1, 0, 2), scene().transpose(1, 0, 2)),
    ],
)
def test_arrays(array: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Arrays of every allowed shape and type become contiguous RGB of 8 bits."""
    picture = images.decode(array)
    rounding = 1 if array.shape[2:] == (4,) else 0
    assert np.abs(picture.pixels - expected.astype(float)).max() <= rounding
    assert picture.pixels.flags.c_contiguous
    assert (picture.height, picture.width) == array.shape[:2]


def test_pixels_are_read_only() -> None:
    """What was decoded cannot be changed, while the caller's own array stays writable."""
    array = scene()
    picture = images.decode(array)
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0] = 0
    array[0, 0] = 7
    assert array.flags.writeable


@pytest.mark.parametrize(
    ("array", "fragment"),
    [
        (np.zeros((64, 64), np.float32), "float32"),
        (np.zeros((64, 64), np.int64), "int64"),
        (np.zeros((3, 64, 64), np.uint8), "(3, 64, 64)"),
        (np.zeros((1, 64, 64, 3), np.uint8), "(1, 64, 64, 3)"),
        (np.zeros((64, 64, 2), np.uint8), "(64, 64, 2)"),
        (np.zeros(64, np.uint8), "(64,)"),
        (np.array("part"), "()"),
    ],
)
def test_arrays_refused(array: npt.NDArray[Any], fragment: str) -> None:
    """An array of another type or shape is refused, naming what it is and what is allowed."""
    error = refused(array, UnknownFormatError)
    assert fragment in error.message
    assert "uint8" in error.message or "RGB" in error.message


@pytest.mark.parametrize("source", [None, 3, Image.new("RGB", (64, 64)), ["part.png"]])
def test_other_sources_refused(source: Any) -> None:
    """What is neither a path, bytes nor an array is refused by the name of its type."""
    assert type(source).__name__ in refused(source, UnknownFormatError).message


# --- what is refused ------------------------------------------------------------------------


def test_text_file_named_png(tmp_path: Path) -> None:
    """A text file named .png is refused by its first bytes."""
    path = tmp_path / "notes.png"
    path.write_text("not a picture\nat all\n")
    error = refused(path, UnknownFormatError)
    assert "notes.png" in error.message
    assert "not a pictur" in error.message
    assert "PNG" in error.hint


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"GIF89a" + bytes(40), "GIF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIF"),
        (b"BMW parts list, all of them", "BMW parts"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "RIFF"),
    ],
)
def test_other_formats(data: bytes, fragment: str) -> None:
    """Another kind of file is refused, by its name where it is known."""
    assert fragment in refused(data, UnknownFormatError).message


def test_empty_file(tmp_path: Path) -> None:
    """A file of 0 bytes is called empty."""
    path = tmp_path / "empty.png"
    path.touch()
    assert "0 bytes" in refused(path, EmptyImageError).message
    refused(b"", EmptyImageError)


CUT = {
    "png": encoded(scene(), "PNG"),
    "palette png": encoded(Image.fromarray(scene()).quantize(9), "PNG"),
    "deep png": png16(WIDE[:34, :40, :3]),
    "jpeg": encoded(scene(), "JPEG"),
    "progressive jpeg": encoded(scene(), "JPEG", progressive=True),
    "grey jpeg": encoded(GREY, "JPEG", exif=exif(6)),
    "webp": encoded(scene(), "WEBP"),
    "lossless webp": encoded(RGBA, "WEBP", lossless=True, exif=exif(3)),
    "bmp": encoded(scene(), "BMP"),
    "tiff": encoded(scene(), "TIFF"),
    "lzw tiff": encoded(scene(), "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encoded(scene(), "TIFF", compression="jpeg"),
    "group 4 tiff": encoded(Image.fromarray(GREY > 127), "TIFF", compression="group4"),
    "tiff by hand": tiff(WIDE[:34, :40, 0], 1),
}


@pytest.mark.parametrize("kind", CUT)
def test_cut_anywhere(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A file cut at any place is refused; no part of it is ever shown as the picture."""
    data = CUT[kind]
    places = {*range(1, min(len(data), 200)), *range(1, len(data), 1 + len(data) // 150)}
    for place in sorted(places | set(range(max(1, len(data) - 60), len(data)))):
        with pytest.raises((TruncatedImageError, UnknownFormatError)):
            images.decode(data[:place])
    assert not capfd.readouterr().err


def test_cut_file_names_itself(tmp_path: Path) -> None:
    """The message about a truncated file names it, and the hint says what to do."""
    for suffix, data in ((".jpg", CUT["jpeg"]), (".png", CUT["png"])):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(data[: len(data) // 2])
        error = refused(path, TruncatedImageError)
        assert str(path) in error.message
        assert "copy it again" in error.hint
        assert error.reason == "truncated"


def test_jpeg_padded_with_zeros() -> None:
    """A JPEG whose end was never written over the reserved zeros is refused."""
    data = encoded(scene(), "JPEG")
    refused(data[: len(data) // 2] + bytes(len(data)), TruncatedImageError)


def test_png_with_a_changed_byte() -> None:
    """A single changed byte in a PNG's pixels is found by its checksum."""
    data = bytearray(encoded(scene(), "PNG", compress_level=0))
    data[len(data) // 2] ^= 1
    assert "checksum" in refused(bytes(data), TruncatedImageError).message


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (tiff(WIDE[..., 0].astype(np.float32) / 65535, 1, {339: 3}), "floating point"),
        (tiff(WIDE[..., :3], 2, {284: 2}), "planes"),
        (tiff(WIDE[..., :3], 9), "unknown"),
        (encoded(scene(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "12-bit"),
    ],
)
def test_variants_that_are_not_read(data: bytes, fragment: str) -> None:
    """A sound file of a variant that is not read is not called damaged."""
    assert fragment in refused(data, UnknownFormatError).message


def bomb_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """Write a valid PNG of zeros by hand, without ever holding its pixels."""
    deflate, row = zlib.compressobj(9), bytes(1 + width // 8 + (width % 8 > 0))
    body = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    start = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_bomb(tmp_path: Path) -> None:
    """A PNG of 30,000 x 30,000 is refused from its header, in milliseconds and without memory."""
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_png())
    images.decode(encoded(scene(), "PNG"))  # what is imported on the first picture is not counted
    tracemalloc.start()
    started = time.perf_counter()
    error = refused(path, ImageTooLargeError)
    seconds = time.perf_counter() - started
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "30000 x 30000 = 900,000,000" in error.message
    assert "80,000,000" in error.message
    assert "INSPECTOR_MAX_PIXELS" in error.hint
    assert seconds < 0.25
    assert peak_bytes < 4 * path.stat().st_size + 200_000


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "lossless WEBP", "extended WEBP", "BMP", "TIFF"])
def test_pixel_limit_of_every_format(kind: str) -> None:
    """Every format is held to the pixel limit before it is decoded; the limit itself is allowed."""
    options = {"lossless": True} if kind == "lossless WEBP" else {}
    data = encoded(RGBA if kind == "extended WEBP" else scene(), kind.rsplit(maxsplit=1)[-1], **options)
    assert f"{WIDTH} x {HEIGHT}" in refused(data, ImageTooLargeError, max_pixels=WIDTH * HEIGHT - 1).message
    assert images.decode(data, max_pixels=WIDTH * HEIGHT).width == WIDTH


def test_webp_canvas_is_not_reserved() -> None:
    """A WebP that claims the largest canvas is refused from its header."""
    data = bytearray(encoded(RGBA, "WEBP"))
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xfe\x3f\0\xfe\x3f\0"
    assert "16383 x 16383" in refused(bytes(data), ImageTooLargeError).message


def test_pillows_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Pillow's limit for the process is the lower one, the picture is called too large."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused(encoded(scene(), "TIFF"), ImageTooLargeError)
    assert images.decode(encoded(scene(), "PNG")).width == WIDTH


def test_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory does not suffice, the picture is called too large, not damaged."""

    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(images, "_to_rgb", no_memory)
    refused(encoded(scene(), "PNG"), ImageTooLargeError)


def test_byte_limit(tmp_path: Path) -> None:
    """A file over the byte limit is refused by its size, unread; the limit itself is allowed."""
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(10**12)
    assert "1,000,000,000,000 bytes" in refused(path, ImageTooLargeError).message
    data = encoded(scene(), "PNG")
    assert images.decode(data, max_bytes=len(data)).width == WIDTH
    refused(data, ImageTooLargeError, max_bytes=len(data) - 1)


@pytest.mark.parametrize(("height", "width"), [(31, 400), (400, 31), (1, 1)])
def test_too_small(height: int, width: int) -> None:
    """A side under 32 pixels is refused, 32 is allowed, for files and arrays alike."""
    small = np.zeros((height, width, 3), np.uint8)
    for source in (small, encoded(small, "PNG"), encoded(small, "WEBP")):
        assert f"{width} x {height}" in refused(source, ImageTooSmallError).message
    assert images.decode(np.zeros((32, 32), np.uint8)).height == 32


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
    """Give a folder that every user can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="inspector-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


UNPRIVILEGED = """
    import os, sys
    from inspector import images
    from inspector.errors import ImageError
    images.decode(sys.argv[1])  # imports what it needs while it still may
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    print(images.decode(sys.argv[1]).width)
    try:
        images.decode(sys.argv[2])
    except ImageError as error:
        print(type(error).__name__, error.message)
"""


def test_without_permission(shared_folder: Path) -> None:
    """A file that an unprivileged user may not read is called unreadable, beside one that is read."""
    allowed, forbidden = shared_folder / "allowed.png", shared_folder / "forbidden.png"
    for path, mode in ((allowed, 0o644), (forbidden, 0o000)):
        path.write_bytes(encoded(scene(), "PNG"))
        path.chmod(mode)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(UNPRIVILEGED), str(allowed), str(forbidden)],
        capture_output=True,
        text=True,
        cwd=Path(images.__file__).parents[1],
        check=True,
    )
    width, verdict = run.stdout.splitlines()
    assert int(width) == WIDTH
    assert verdict == f"UnreadableImageError {forbidden} cannot be opened: Permission denied"


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
    assert images.decode(path).width == WIDTH
    path.write_bytes(b"words")
    error = refused(path, UnknownFormatError)
    assert images.printable(path) in error.message
    assert images.list_images(tmp_path) == [path]


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    """A name of bytes that are not UTF-8 is read, and shown by those bytes."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/part\xff.png"))
    path.write_bytes(CUT["png"])
    assert images.decode(str(path)).width == WIDTH
    path.write_bytes(CUT["png"][:90])
    assert r"part\xff.png" in refused(path, TruncatedImageError).message


@given(st.text())
def test_printable(name: str) -> None:
    """Whatever a name holds, what is printed is one line that can be encoded."""
    shown = images.printable(name)
    shown.encode()
    assert len(shown.splitlines()) <= 1


# --- hostile bytes --------------------------------------------------------------------------

SOUND = [*CUT.values(), encoded(RGBA, "PNG"), encoded(scene(), "PNG", exif=exif(6)), bomb_png(64, 64)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    st.floats(0, 1),
    st.sampled_from([0.02, 0.2, 1.0]),
)
def test_random_damage(data: bytes, flips: list[tuple[float, int]], cut: float, reach: float) -> None:
    """Whatever is changed and cut, a picture comes out or an `ImageError`, and no warning."""
    changed = bytearray(data)
    for place, value in flips:
        changed[int(place * reach * (len(changed) - 1))] = value
    changed = changed[: 1 + int(cut * len(changed))] if cut < 0.5 else changed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(ImageError):
            picture = images.decode(bytes(changed), max_pixels=4_000_000, reduce_to=(32, 32))
            assert picture.pixels.shape[2] == 3


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([data[:12] for data in SOUND]), st.binary(max_size=300))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    """Random bytes behind a known signature never raise anything but an `ImageError`."""
    with pytest.raises(ImageError):
        images.decode(start + rest)


def test_warnings_of_other_threads() -> None:
    """Decoding in many threads leaves the process's warning filters as they were."""
    before = list(warnings.filters)
    sources = [CUT["tiff"], CUT["png"], CUT["jpeg"], CUT["webp"]] * 8
    with ThreadPoolExecutor(4) as pool:
        widths = list(pool.map(lambda data: images.decode(data).width, sources))
    assert widths == [WIDTH] * len(sources)
    assert list(warnings.filters) == before
    assert threading.active_count() >= 1


# --- resizing and encoding ------------------------------------------------------------------


@pytest.mark.parametrize("size", [(24, 36), (96, 144), (24, 144), (96, 36), (48, 72), (48, 20)])
def test_fit_to(size: tuple[int, int]) -> None:
    """A picture is stretched to the size asked for, contiguous and close to what it was."""
    fitted = images.fit_to(scene(), *size)
    assert fitted.shape == (*size, 3)
    assert fitted.flags.c_contiguous
    assert fitted.dtype == np.uint8
    assert np.abs(images.fit_to(fitted, HEIGHT, WIDTH) - scene().astype(float)).mean() < 4


def test_fit_to_shrinks_by_area() -> None:
    """Shrinking by two is the mean of each block of four, in both directions or in one."""
    blocks = scene().astype(float)
    both = blocks.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(images.fit_to(scene(), HEIGHT // 2, WIDTH // 2) - both).max() <= 0.5
    rows = blocks.reshape(HEIGHT // 2, 2, WIDTH, 3).mean(axis=1)
    assert np.abs(images.fit_to(scene(), HEIGHT // 2, WIDTH) - rows).max() <= 0.5


def test_fit_to_same_size() -> None:
    """A picture of the right size is handed back unchanged, a view of one is made contiguous."""
    picture = scene()
    assert images.fit_to(picture, HEIGHT, WIDTH) is picture
    assert images.fit_to(picture[:, ::-1], HEIGHT, WIDTH).flags.c_contiguous


def test_encode() -> None:
    """PNG comes back exactly and JPEG closely, in colour and in grey."""
    np.testing.assert_array_equal(images.decode(images.encode_png(scene())).pixels, scene())
    np.testing.assert_array_equal(images.decode(images.encode_png(GREY)).pixels[..., 1], GREY)
    jpeg = images.decode(images.encode_jpeg(scene(), 95)).pixels
    assert np.abs(jpeg - scene().astype(float)).mean() < 3
    assert len(images.encode_jpeg(scene(), 30)) < len(images.encode_jpeg(scene(), 95))


# --- folders --------------------------------------------------------------------------------


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
    found = [path.relative_to(tmp_path).as_posix() for path in images.list_images(tmp_path)]
    assert found == ["a.TIFF", "b/1.png", "b/2.JPG", "c.webp"]
    assert images.list_images(tmp_path, recursive=False) == [tmp_path / "a.TIFF", tmp_path / "c.webp"]
    assert images.list_images(tmp_path / ".cache") == [tmp_path / ".cache/x.png"]


def test_list_images_of_an_empty_folder(tmp_path: Path) -> None:
    """A folder without pictures gives an empty list."""
    assert images.list_images(tmp_path) == []


def test_list_images_of_no_folder(tmp_path: Path) -> None:
    """A folder that is missing, or a file, is an error that names it."""
    (tmp_path / "file.png").touch()
    with pytest.raises(NoImagesError, match="does not exist"):
        images.list_images(tmp_path / "none")
    with pytest.raises(NoImagesError, match="is not a folder"):
        images.list_images(tmp_path / "file.png")


def test_list_images_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder below that may not be listed is an error, never silently left out."""
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DatasetError, match=r"closed cannot be listed: Permission denied"):
        images.list_images(tmp_path)
