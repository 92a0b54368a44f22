"""Pictures to test with, written by Pillow or by hand, and how a refusal is checked."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from inspector.errors import (
    ImageError,
)
from inspector.imaging.decode import decode
from inspector.types import Pixels

HEIGHT, WIDTH = 48, 72


def scene(height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """Return a smooth colour picture without symmetry."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(3 * x + 5 * y * y), np.cos(7 * x * y + 1), np.sin(6 * y - 2 * x * x)]
    return np.asarray(np.rint(127.5 + 120 * np.stack(waves, axis=-1)), np.uint8)


def encoded(image: Image.Image | Pixels, kind: str, **options: Any) -> bytes:
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
    tags: dict[int, int | list[int]] | None = None,
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
    } | {tag: (3, value if isinstance(value, list) else [value]) for tag, value in (tags or {}).items()}
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


def twelve_bits(picture: Pixels) -> npt.NDArray[np.uint16]:
    """Return the red channel of a picture as a camera of 12 bits gives it, uint16 (H, W)."""
    return np.asarray(np.rint(picture[..., 0] * (4095 / 255)), np.uint16)


def write_twelve_bits(path: Path, picture: Pixels, brighter: int = 0) -> Path:
    """Write a grey PNG of 12 bits in 16; `brighter` pixels lie beyond the full scale 4095."""
    samples = twelve_bits(picture)
    samples[0, :brighter] = 9000
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png16(samples[..., None]))
    return path


def exif(orientation: int) -> bytes:
    """Return an EXIF block that holds an orientation and nothing else."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def over_white(rgba: npt.NDArray[Any], full: int = 255) -> npt.NDArray[np.float64]:
    """Lay RGBA over white in floating point, as a second implementation."""
    colour, alpha = rgba[..., :3].astype(np.float64), rgba[..., 3:] / full
    return np.asarray(colour * alpha + full * (1 - alpha), np.float64)


def with_hole(data: bytes) -> bytes:
    """Put 300 zeros into the middle of a file."""
    middle = len(data) // 2
    return data[:middle] + bytes(300) + data[middle + 300 :]


def refused(source: Any, leaf: type[ImageError], **options: Any) -> ImageError:
    """Check that a source is refused with this error, in one printable line and with a hint."""
    with pytest.raises(ImageError) as caught:
        decode(source, **options)
    assert type(caught.value) is leaf, caught.value.message
    for line in (caught.value.message, caught.value.hint):
        assert line
        assert line.replace("\u200d", "").isprintable()
        line.encode()
    return caught.value


RGBA = np.dstack([scene(), scene()[::-1, :, 1]])
GREY = np.ascontiguousarray(scene()[..., 1])
WIDE = np.random.default_rng(3).integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)

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
    "big tiff": encoded(GREY, "TIFF", big_tiff=True),
    "jpeg tiff": encoded(scene(), "TIFF", compression="jpeg"),
    "group 4 tiff": encoded(Image.fromarray(GREY > 127), "TIFF", compression="group4"),
    "tiff by hand": tiff(WIDE[:34, :40, 0], 1),
}


def bomb_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """Write a valid PNG of zeros by hand, without holding its pixels in memory."""
    deflate, row = zlib.compressobj(9), bytes(1 + width // 8 + (width % 8 > 0))
    body = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    start = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


SOUND = [*CUT.values(), encoded(RGBA, "PNG"), encoded(scene(), "PNG", exif=exif(6)), bomb_png(64, 64)]
