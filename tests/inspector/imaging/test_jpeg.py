"""JPEGs are decoded as libjpeg decodes them, and damage that it forgives is refused."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from inspector.errors import TruncatedImageError
from inspector.imaging.decode import decode
from inspector.types import Pixels
from tests.inspector.image_samples import encoded, exif, refused, scene


def textured(side: int = 200) -> Pixels:
    """Return a picture with details everywhere, so that every part of its file matters."""
    noise = np.random.default_rng(5).normal(0, 9, (side, side, 3))
    return np.clip(scene(side, side) + noise, 0, 255).astype(np.uint8)


def by_opencv(*options: int) -> bytes:
    """Encode with OpenCV."""
    return bytes(cv2.imencode(".jpg", textured(), options)[1])


def by_pillow(mode: str = "RGB", **options: Any) -> bytes:
    """Encode with Pillow."""
    return encoded(Image.fromarray(textured()).convert(mode), "JPEG", **options)


WHOLE = {
    "baseline": by_pillow(),
    "low quality": by_pillow(quality=25),
    "high quality": by_pillow(quality=97),
    "full colour": by_pillow(subsampling=0),
    "optimised": by_pillow(optimize=True),
    "grey": by_pillow("L"),
    "restarts by block": by_pillow(restart_marker_blocks=1),
    "restarts by row": by_pillow(restart_marker_rows=1),
    "four colours": by_pillow("CMYK"),
    "RGB": by_pillow(keep_rgb=True),
    "progressive": by_pillow(progressive=True),
    "grey progressive": by_pillow("L", progressive=True),
    "progressive with restarts": by_pillow(progressive=True, restart_marker_rows=1),
    "OpenCV": by_opencv(),
    "OpenCV with all options": by_opencv(
        cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 4
    ),
    "thumbnail": by_pillow(exif=exif(1) + b"\0" * 6 + by_pillow(quality=20)),
    "multi-picture": encoded(
        Image.fromarray(textured()), "MPO", save_all=True, append_images=[Image.fromarray(textured(90))]
    ),
}
END = b"\xff\xd9"
ENDINGS = {
    "nothing": b"",
    "zeros up to a block": bytes(4096),
    "ones": b"\xff" * 100,
    "text": b"camera 7, shift 2\n" * 40,
    "preview": encoded(scene(), "JPEG"),
    "noise": np.random.default_rng(1).bytes(3000),
}


def scan_start(data: bytes) -> int:
    """Return the offset of the data of the picture's own first scan."""
    found = list(re.finditer(rb"\xff\xda\0", data[: data.rfind(END)]))
    first = found[-1 if b"Exif" in data[:40] else 0]  # behind that of the thumbnail
    return first.end() + data[first.end()] - 2


def picture_end(data: bytes) -> int:
    """Return the offset of the end marker of the first picture."""
    return data.find(END, scan_start(data))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", WHOLE)
def test_whole(kind: str, ending: str) -> None:
    """A whole JPEG decodes exactly as Pillow decodes it, whatever follows its end."""
    expected = Image.open(io.BytesIO(WHOLE[kind])).convert("RGB")
    np.testing.assert_array_equal(decode(WHOLE[kind] + ENDINGS[ending]).pixels, expected)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("padding", [bytes(3), bytes(9), bytes(500), b"\xff" * 9])
def test_padding_before_the_end(kind: str, padding: bytes) -> None:
    """Zeros or fill bytes between the last scan and the end marker are no damage."""
    data, end = WHOLE[kind], picture_end(WHOLE[kind])
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(decode(data[:end] + padding + data[end:]).pixels, expected)


@pytest.mark.parametrize("junk", [bytes(2), bytes(700), b"\xff\xff"])
@pytest.mark.parametrize("kind", WHOLE)
def test_padding_between_segments(kind: str, junk: bytes) -> None:
    """Zeros or fill bytes between the segments of the header are no damage, and hide none."""
    data = WHOLE[kind]
    padded = data[:2] + data[2 : 4 + int.from_bytes(data[4:6])] + junk + data[4 + int.from_bytes(data[4:6]) :]
    np.testing.assert_array_equal(decode(padded).pixels, decode(data).pixels)
    refused(ended(padded, scan_start(padded) + 400), TruncatedImageError)


@pytest.mark.parametrize("picture", ["white", "black", "ramp", "squares", "noise"])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}, {"quality": 10}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_flat_and_regular_pictures(picture: str, options: dict[str, Any], mode: str) -> None:
    """Pictures that compress to almost nothing, or hardly at all, are no damage."""
    steps = np.linspace(0, 255, 1600).astype(np.uint8)
    pixels = {
        "white": np.full((1200, 1600), 255, np.uint8),
        "black": np.zeros((1200, 1600), np.uint8),
        "ramp": np.tile(steps, (1200, 1)),
        "squares": np.kron(np.indices((60, 80)).sum(0) % 2 * 255, np.ones((20, 20))).astype(np.uint8),
        "noise": np.random.default_rng(2).integers(0, 256, (300, 400), np.uint8),
    }[picture]
    assert decode(encoded(Image.fromarray(pixels).convert(mode), "JPEG", **options)).height == len(pixels)


def hole(data: bytes, at: int) -> bytes:
    """Put 512 zeros into the file."""
    return data[:at] + bytes(len(data[at : at + 512])) + data[at + 512 :]


def lost(data: bytes, at: int) -> bytes:
    """Leave 700 bytes out of the middle."""
    return data[:at] + data[at + 700 :]


def zeroed(data: bytes, at: int) -> bytes:
    """Let zeros replace the rest."""
    return data[:at] + bytes(len(data) - at)


def zeroed_before_the_end(data: bytes, at: int) -> bytes:
    """Let zeros replace the rest, except the end marker."""
    return data[:at] + bytes(picture_end(data) - at) + END


def erased(data: bytes, at: int) -> bytes:
    """Let ones replace the rest, as on erased flash memory."""
    return data[:at] + b"\xff" * (len(data) - at)


def ended(data: bytes, at: int) -> bytes:
    """Cut the file, and put an end marker there."""
    return data[:at] + END


def replaced(data: bytes, at: int) -> bytes:
    """Let the rest of the file be the rest of another picture's file."""
    other = encoded(np.ascontiguousarray(textured()[::-1]), "JPEG", quality=80)
    return data[:at] + other[-(len(data) - at) :]


DAMAGE = [hole, lost, zeroed, zeroed_before_the_end, erased, ended, replaced]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", WHOLE)
def test_damage(kind: str, damage: Callable[[bytes, int], bytes]) -> None:
    """Damage in any part of the scans is refused, at full and at reduced size."""
    data = WHOLE[kind]
    start, end = scan_start(data), picture_end(data)
    for share in (0.02, 0.3, 0.5, 0.8):
        changed = damage(data, start + int(share * (end - start)))
        refused(changed, TruncatedImageError)
        refused(changed, TruncatedImageError, reduce_to=(32, 32))


@pytest.mark.parametrize("kind", ["progressive", "grey progressive", "OpenCV with all options"])
def test_missing_scan(kind: str) -> None:
    """A progressive JPEG that lacks one of its scans is refused."""
    data = WHOLE[kind]
    starts = [found.start() for found in re.finditer(rb"\xff\xda\0", data)]
    for start, following in zip(starts, [*starts[1:], picture_end(data)], strict=True):
        refused(data[:start] + data[following:], TruncatedImageError)


def test_restart_markers_in_the_wrong_order() -> None:
    """Two exchanged restart markers are damage: strips of the picture may have changed places."""
    data = bytearray(WHOLE["restarts by row"])
    first, second = (data.find(bytes([0xFF, marker]), scan_start(bytes(data))) for marker in (0xD2, 0xD3))
    data[first + 1], data[second + 1] = 0xD3, 0xD2
    refused(bytes(data), TruncatedImageError)


def test_hole_in_a_quantisation_table() -> None:
    """Zeros in a quantisation table would make parts of the picture flat without a word."""
    data = bytearray(WHOLE["baseline"])
    table = data.find(b"\xff\xdb") + 5
    data[table + 30 : table + 50] = bytes(20)
    assert "quantisation" in refused(bytes(data), TruncatedImageError).message


@pytest.mark.parametrize("kind", ["baseline", "grey", "progressive"])
def test_hole_in_the_frame_header(kind: str) -> None:
    """A frame header of zeros is damage, no unknown variant of the format."""
    data = WHOLE[kind]
    frame = max(data.find(marker) for marker in (b"\xff\xc0\0", b"\xff\xc2\0"))
    for size in (4, 8, 40):
        refused(data[: frame + 4] + bytes(size) + data[frame + 4 + size :], TruncatedImageError)


def test_damage_is_named() -> None:
    """The message says what the decoder found."""
    data = WHOLE["baseline"]
    assert "hole of zeros" in refused(hole(data, len(data) // 2), TruncatedImageError).message
    assert "premature end" in refused(ended(data, len(data) // 2), TruncatedImageError).message


def test_open_pillow_image() -> None:
    """A Pillow image of a file that is not loaded yet is checked like the file."""
    data = WHOLE["baseline"]
    np.testing.assert_array_equal(decode(Image.open(io.BytesIO(data))).pixels, decode(data).pixels)
    refused(Image.open(io.BytesIO(hole(data, len(data) // 2))), TruncatedImageError)


def test_harmless_oddities() -> None:
    """A harmless oddity of the header, about which the decoder warns, is no damage."""
    data = WHOLE["baseline"]
    assert data[6:13] == b"JFIF\0\1\1"
    strange = data[:11] + b"\7" + data[12:]
    np.testing.assert_array_equal(decode(strange).pixels, decode(data).pixels)


def test_damage_in_many_threads() -> None:
    """Each thread gets its own answer."""
    whole = WHOLE["baseline"]
    damaged = hole(whole, len(whole) // 2)

    def is_refused(data: bytes) -> bool:
        try:
            decode(data)
        except TruncatedImageError:
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(is_refused, [whole, damaged] * 40))
    assert answers == [False, True] * 40
