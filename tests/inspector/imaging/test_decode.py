"""Picture files of every kind become uint8 RGB."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from inspector.errors import (
    UnknownFormatError,
)
from inspector.imaging.decode import decode
from inspector.imaging.resize import fit_to
from tests.inspector.image_samples import (
    GREY,
    HEIGHT,
    RGBA,
    WIDE,
    WIDTH,
    chunk,
    encoded,
    exif,
    over_white,
    png16,
    refused,
    scene,
    tiff,
)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_colour(kind: str) -> None:
    """Colour comes back exactly from every format that keeps it exactly."""
    picture = decode(encoded(scene(), kind, **({"lossless": True} if kind == "WEBP" else {})))
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
    difference = np.abs(decode(data).pixels.astype(int) - expected)
    assert difference.max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_grey(kind: str) -> None:
    """A grey picture has three equal channels."""
    np.testing.assert_array_equal(decode(encoded(GREY, kind)).pixels, np.dstack([GREY] * 3))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_one_bit(kind: str) -> None:
    """Black and white become 0 and 255."""
    data = encoded(Image.fromarray(GREY > 127), kind)
    np.testing.assert_array_equal(decode(data).pixels[..., 0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_palette(kind: str) -> None:
    """A palette becomes its colours."""
    palette = Image.fromarray(scene()).quantize(17)
    np.testing.assert_array_equal(decode(encoded(palette, kind)).pixels, palette.convert("RGB"))


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 255, 15))])
def test_palette_with_transparency(transparency: int | bytes) -> None:
    """Transparent entries of a palette show white, half transparent ones are mixed with it."""
    data = encoded(Image.fromarray(scene()).quantize(17), "PNG", transparency=transparency)
    expected = over_white(np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")))
    assert np.abs(decode(data).pixels - expected).max() <= 0.51


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha(kind: str) -> None:
    """Transparency is laid over white."""
    data = encoded(RGBA, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    assert np.abs(decode(data).pixels - over_white(RGBA)).max() <= 0.51


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha(kind: str) -> None:
    """Grey with alpha is laid over white, too."""
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())])
    expected = over_white(np.dstack([GREY, GREY, GREY, GREY[::-1]]))
    assert np.abs(decode(encoded(image, kind)).pixels - expected).max() <= 0.51


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_colour_key(mode: str) -> None:
    """A PNG that names one colour as transparent shows white there."""
    image = Image.fromarray(scene()).convert(mode)
    key: Any = image.getpixel((5, 5))
    data = encoded(image, "PNG", transparency=key)
    rgb = np.array(image.convert("RGB"))
    rgb[(rgb == np.broadcast_to(np.asarray(key), 3)).all(axis=-1)] = 255
    np.testing.assert_array_equal(decode(data).pixels, rgb)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "CMYK"), ("TIFF", "CMYK"), ("TIFF", "YCbCr")])
def test_other_colour_spaces(kind: str, mode: str) -> None:
    """CMYK and YCbCr become RGB as Pillow converts them."""
    data = encoded(Image.fromarray(scene()).convert(mode), kind)
    np.testing.assert_array_equal(decode(data).pixels, Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(("order", "photometric"), [("<", 0), ("<", 1), (">", 1)])
def test_deep_grey_tiff(order: Literal["<", ">"], photometric: int) -> None:
    """A 16 bit TIFF of either byte order is divided by 257 and rounded, white-is-zero is inverted."""
    values = WIDE[..., 0] if photometric == 1 else 65535 - WIDE[..., 0]
    pixels = decode(tiff(values, photometric, order=order)).pixels
    np.testing.assert_array_equal(pixels[..., 2], np.rint(WIDE[..., 0] / 257))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_compressed_deep_grey_tiff(compression: str | None) -> None:
    """Compression does not change the pixels of a 16 bit TIFF."""
    pixels = decode(encoded(Image.fromarray(WIDE[..., 0]), "TIFF", compression=compression)).pixels
    np.testing.assert_array_equal(pixels[..., 0], np.rint(WIDE[..., 0] / 257))


@pytest.mark.parametrize("channels", [1, 3])
def test_deep_png(channels: int) -> None:
    """A 16 bit PNG is divided by 257 and rounded, whatever its own range of values."""
    samples = WIDE[..., :channels] // 8
    pixels = decode(png16(samples)).pixels
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.rint(samples / 257), pixels.shape))
    assert pixels.max() <= 32


@pytest.mark.parametrize("channels", [2, 4])
def test_deep_png_with_alpha(channels: int) -> None:
    """16 bit alpha is laid over white before the depth is reduced."""
    samples = WIDE[..., 4 - channels :]
    rgba = samples if channels == 4 else samples[..., [0, 0, 0, 1]]
    assert np.abs(decode(png16(samples)).pixels - over_white(rgba, 65535) / 257).max() <= 0.51


def test_deep_colour_key() -> None:
    """The one transparent value of a 16 bit grey PNG shows white."""
    samples = WIDE[..., :1].copy()
    samples[:7, :9] = 1234
    pixels = decode(png16(samples, chunk(b"tRNS", struct.pack(">H", 1234)))).pixels
    assert (pixels[:7, :9] == 255).all()
    np.testing.assert_array_equal(pixels[7:, :, 0], np.rint(samples[7:, :, 0] / 257))


def test_deep_colour_tiff() -> None:
    """A 16 bit colour TIFF comes out within one level of its value divided by 257."""
    pixels = decode(tiff(WIDE[..., :3], 2)).pixels
    assert np.abs(pixels - WIDE[..., :3] / 257).max() <= 1


def test_twelve_bit_tiff() -> None:
    """A 12 bit TIFF is scaled by its own full scale, 4095."""
    values = WIDE[..., 0] >> 4
    first, second = values[:, 0::2].astype(int), values[:, 1::2].astype(int)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1).astype(np.uint8)
    whole = bytearray(tiff(values, 1, {258: 12}))
    whole[8 : 8 + packed.size] = packed.tobytes()
    pixels = decode(bytes(whole)).pixels
    np.testing.assert_array_equal(pixels[..., 0], np.rint(values / 4095.0 * 255))


def test_wide_integers() -> None:
    """32 bit integers are read as 16 bit samples as long as they are in that range."""
    values = WIDE[..., 0].astype(np.int32)
    pixels = decode(encoded(Image.fromarray(values), "TIFF")).pixels
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
        pixels = decode(tiff(samples, photometric, {338: 1})).pixels
        expected = over_white(RGBA)[..., [1] if photometric == 1 else [0, 1, 2]]
        assert np.abs(pixels - expected).max() <= 2


def test_pages_and_frames() -> None:
    """Of several pages or frames the first is taken."""
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    for kind, options in (("TIFF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encoded(first, kind, save_all=True, append_images=[second], **options)
        np.testing.assert_array_equal(decode(data).pixels, scene())


def test_several_pictures_in_a_jpeg() -> None:
    """Of a multi-picture JPEG the first is taken."""
    data = encoded(Image.fromarray(scene()), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    assert decode(data).pixels.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation(kind: str, orientation: int) -> None:
    """Each of the eight EXIF orientations is applied as Pillow's own transposition does it."""
    block = Image.Exif()
    block[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(scene(), kind, exif=block, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    picture = decode(data)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert (picture.height, picture.width) == expected.shape[:2]


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(9), exif(6)[:18]]
)
def test_damaged_exif(block: bytes) -> None:
    """A damaged or invalid orientation is ignored, without output on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = decode(encoded(scene(), "JPEG", exif=block))
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("reduce_to", "shape"),
    [((90, 160), (90, 160)), ((91, 160), (180, 320)), ((360, 640), (360, 640)), ((9999, 9999), (720, 1280))],
)
def test_reduced(reduce_to: tuple[int, int], shape: tuple[int, int]) -> None:
    """A large JPEG is decoded at the smallest scale that is not below the given size."""
    data = encoded(scene(720, 1280), "JPEG")
    picture = decode(data, reduce_to=reduce_to)
    assert picture.pixels.shape[:2] == shape
    assert (picture.height, picture.width) == (720, 1280)
    whole = fit_to(decode(data).pixels, 90, 160).astype(int)
    assert np.abs(fit_to(picture.pixels, 90, 160) - whole).mean() < 1


def test_reduced_and_rotated() -> None:
    """The given size and the true size are those of the upright picture."""
    picture = decode(encoded(scene(720, 1280), "JPEG", exif=exif(6)), reduce_to=(160, 90))
    assert picture.pixels.shape[:2] == (160, 90)
    assert (picture.height, picture.width) == (1280, 720)


def test_path_and_bytes_agree(tmp_path: Path) -> None:
    """A path as text, a path, bytes and a view of bytes give the same pixels, whatever the suffix."""
    data = encoded(scene(), "PNG")
    path = tmp_path / "part.jpg"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data)):
        np.testing.assert_array_equal(decode(source).pixels, scene())
