"""Odd metadata never makes a picture invalid, and never hides damage of the picture itself."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from inspector.errors import TruncatedImageError
from inspector.imaging.decode import decode, straight_rgba
from inspector.imaging.mask import decode_mask
from inspector.imaging.metadata import without_metadata
from tests.inspector.image_samples import chunk, encoded, exif, refused, scene, tiff

PROFILE = b"ICC_PROFILE\0"
LONG = b"a" * 2_000_000
IEND = chunk(b"IEND", b"")


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


SEGMENTS = {
    "a profile without its second part": [segment(0xE2, PROFILE + b"\1\2" + bytes(200))],
    "a profile twice": [segment(0xE2, PROFILE + b"\1\1" + bytes(200))] * 2,
    "a profile from part 0": [segment(0xE2, PROFILE + b"\0\1" + bytes(200))],
    "parts that count differently": [segment(0xE2, PROFILE + part) for part in (b"\1\2zz", b"\2\3zz")],
    "a profile without a part": [segment(0xE2, PROFILE)],
    "a short Adobe segment": [segment(0xEE, b"Adobe")],
    "an unknown Adobe transform": [segment(0xEE, b"Adobe\0\x64\0\0\0\0\x09")],
    "a short JFIF segment": [segment(0xE0, b"JFIF\0")],
    "an unknown JFIF version": [segment(0xE0, b"JFIF\0\x09\x09\0\0\1\0\1\0\0")],
    "damaged EXIF": [segment(0xE1, b"Exif\0\0garbage")],
    "a Photoshop block": [segment(0xED, b"Photoshop 3.0\0garbage")],
    "an index of pictures": [segment(0xE2, b"MPF\0garbage")],
    "a comment": [segment(0xFE, b"\0" * 500)],
    "segments without a body": [segment(marker, b"") for marker in range(0xE0, 0xF0)],
}
CHUNKS = {
    "a long compressed text": chunk(b"zTXt", b"k\0\0" + zlib.compress(LONG)),
    "a long international text": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(LONG)),
    "much text": chunk(b"tEXt", b"k\0" + LONG[:700_000]) * 100,
    "a text that does not inflate": chunk(b"zTXt", b"k\0\0no zlib"),
    "a long profile": chunk(b"iCCP", b"p\0\0" + zlib.compress(LONG)),
    "a wrong checksum": chunk(b"tEXt", b"k\0text")[:-4] + bytes(4),
    "an EXIF block with a wrong checksum": chunk(b"eXIf", b"garbage")[:-4] + bytes(4),
    "short chunks": b"".join(
        chunk(name, b"") for name in (b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"acTL", b"fcTL", b"sBIT", b"tIME")
    ),
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_of_a_jpeg(name: str, mode: str) -> None:
    """Odd metadata in a JPEG changes no pixel, and does not hide that its data was cut."""
    whole = encoded(Image.fromarray(scene()).convert(mode), "JPEG", quality=90)
    odd = whole[:2] + b"".join(SEGMENTS[name]) + whole[2:]
    np.testing.assert_array_equal(decode(odd).pixels, decode(whole).pixels)
    refused(odd[:-200] + b"\xff\xd9", TruncatedImageError)


def test_a_jpeg_keeps_how_its_colours_are_coded() -> None:
    """An Adobe segment that says RGB still does, and EXIF still turns the picture."""
    rgb = encoded(scene(), "JPEG", quality=95, subsampling=0, keep_rgb=True, exif=exif(6))
    turned = np.rot90(scene(), -1)
    assert b"Adobe" in rgb
    assert np.abs(decode(rgb).pixels.astype(int) - turned).mean() < 3


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_of_a_png(name: str, bits: int, behind: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """Odd chunks before and behind the data of a PNG change no pixel, and nothing is written to stderr."""
    whole = encoded(scene(), "PNG")
    if bits == 16:
        samples = scene().astype(">u2") * 257
        rows = b"".join(b"\0" + row.tobytes() for row in samples)
        size = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, 2, 0, 0, 0)
        whole = whole[:8] + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows)) + IEND
    at = len(whole) - len(IEND) if behind else 33
    odd = whole[:at] + CHUNKS[name] + whole[at:]
    np.testing.assert_array_equal(decode(odd).pixels, decode(whole).pixels)
    refused(odd[:-12], TruncatedImageError)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("behind", [False, True])
def test_a_png_keeps_its_transparency_and_its_orientation(behind: bool) -> None:
    """The chunks tRNS and eXIf still count, beside odd ones."""
    palette = Image.fromarray(scene()).quantize(16)
    whole = encoded(palette, "PNG", transparency=bytes([0, *[255] * 15]))
    at = len(whole) - len(IEND) if behind else whole.index(b"IDAT") - 4
    turned = whole[:at] + chunk(b"eXIf", exif(6)[6:]) + CHUNKS["short chunks"] + whole[at:]
    np.testing.assert_array_equal(decode(turned).pixels, np.rot90(decode(whole).pixels, -1))
    cut_out, upright = straight_rgba(turned), straight_rgba(whole)
    assert cut_out is not None
    assert upright is not None
    np.testing.assert_array_equal(cut_out, np.rot90(upright, -1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "tags",
    [
        {282: [1, 2], 283: [1, 2], 296: 3},  # a resolution of the wrong type and number, per centimetre
        {700: [60, 60, 60]},  # XMP as numbers
        {270: [0], 305: [7] * 40, 306: [1]},
        {34665: [65535], 34853: [65535]},  # EXIF and GPS that lie nowhere
        {34675: [1] * 20, 33723: [9]},
    ],
)
def test_tags_of_a_tiff(
    order: Literal["<", ">"], tags: dict[int, int | list[int]], capfd: pytest.CaptureFixture[str]
) -> None:
    """Odd tags that no pixel depends on change none, in both byte orders, and no line is written."""
    samples = scene().astype(np.uint16) * 257
    odd = tiff(samples, order=order, photometric=2, tags=tags)
    np.testing.assert_array_equal(decode(odd).pixels, scene())
    assert capfd.readouterr().err == ""


def test_tags_of_a_compressed_tiff(capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff writes no line about odd tags, and the orientation counts."""
    data = encoded(scene(), "TIFF", compression="tiff_lzw", tiffinfo={280: 700, 274: 6, 305: "x" * 300})
    assert capfd.readouterr().err == ""
    np.testing.assert_array_equal(decode(data).pixels, np.rot90(scene(), -1))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("lossless", [False, True])
def test_chunks_of_a_webp(lossless: bool) -> None:
    """Damaged metadata of a WebP changes no pixel."""
    whole = encoded(scene(), "WEBP", lossless=lossless)
    odd = encoded(scene(), "WEBP", lossless=lossless, icc_profile=b"zz", xmp=b"<", exif=b"Exif\0\0garbage")
    np.testing.assert_array_equal(decode(odd).pixels, decode(whole).pixels)


def test_masks(tmp_path: Path) -> None:
    """Masks are read with odd metadata, too."""
    mask = np.zeros((60, 60), np.uint8)
    mask[10:20, 10:20] = 255
    whole = encoded(mask, "PNG")
    path = tmp_path / "mask.png"
    path.write_bytes(whole[:33] + CHUNKS["short chunks"] + whole[33:])
    np.testing.assert_array_equal(decode_mask(path).levels, mask)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_nothing_is_added_to_a_cut_file(kind: str) -> None:
    """No byte is added to a file, wherever it ends."""
    whole = encoded(scene(40, 40), kind)
    for end in range(12, len(whole), 7):
        try:
            left = without_metadata(kind, whole[:end])
        except struct.error:  # the directory of a TIFF is missing
            continue
        assert len(left) <= end


def test_first_picture_of_an_animation() -> None:
    """Of an animated PNG the first picture counts, without warnings about its frames."""
    stream = BytesIO()
    Image.fromarray(scene()).save(
        stream, "PNG", save_all=True, append_images=[Image.new("RGB", scene().shape[1::-1])]
    )
    np.testing.assert_array_equal(decode(stream.getvalue()).pixels, scene())
