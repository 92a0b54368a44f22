"""Takes metadata out of a file before it is decoded, so that odd metadata never makes a picture invalid.

Decoders stop at a damaged colour profile, a long text or a resolution of the wrong type, though no pixel
depends on them.  So they get only the parts of a file that its samples and its orientation need.
"""

from __future__ import annotations

import struct

from inspector.imaging.header import png_chunks, tiff_directory
from inspector.imaging.jpeg_scans import FRAMES, SOS, segments

_PNG_SAMPLES = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_APP0, _APP1, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_TIFF_SAMPLES = frozenset(
    {
        *(256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325),
        *(292, 293),  # options of the fax compressions
        *(281, 341),  # the full scale
        *(332, 338, 339),  # inks, extra samples, sample format
        *(347, *range(512, 522), 529, 530, 531, 532),  # JPEG and YCbCr
    }
)


def without_metadata(kind: str, data: bytes) -> bytes:
    """Return the parts of a PNG, a JPEG or a TIFF that its first picture needs; other data as they are.

    Parameters
    ----------
    kind : str
        The format, as `header.sniff` names it.
    data : bytes
        The file.  Missing and damaged parts stay so.

    Returns
    -------
    bytes
        A JPEG keeps its EXIF block.  A PNG loses it; `header.png_exif` reads it.
    """
    if kind == "PNG":
        return _png(data)
    if kind == "JPEG":
        return _jpeg(data)
    return _tiff(data) if kind == "TIFF" else data


def _png(data: bytes) -> bytes:
    parts = [data[start - 8 : end + 4] for name, start, end in png_chunks(data) if name in _PNG_SAMPLES]
    return data[:8] + b"".join(parts)


def _jpeg(data: bytes) -> bytes:
    """Leave out application segments and comments in front of the first scan.

    JFIF and Adobe segments say how colours are coded.  libjpeg warns about their version and about codes
    that it does not know, and then takes the usual ones; these are written here.
    """
    found = list(_header_segments(data))
    if not found or found[-1][0] != SOS:
        return data
    channels = next((data[start + 5] for marker, start, _ in found if marker in FRAMES), 0)
    parts, position = [data[:2]], 2
    for marker, start, end in found:
        parts.append(data[position : start - 4])  # bytes between segments
        parts.append(_needed(marker, data[start - 4 : end], channels))
        position = end
    return b"".join(parts) + data[position:]


def _header_segments(data: bytes) -> list[tuple[int, int, int]]:
    found = []
    for segment in segments(data):
        found.append(segment)
        if segment[0] == SOS:
            break
    return found


def _needed(marker: int, segment: bytes, channels: int) -> bytes:
    """Return a segment as decoding needs it; empty if it does not."""
    body = segment[4:]
    if marker == _APP0:
        return _JFIF if body.startswith(b"JFIF\0") and len(body) >= _JFIF_BYTES else b""
    if marker == _APP14:
        if not body.startswith(b"Adobe") or len(body) < _ADOBE_BYTES:
            return b""
        usual = 1 if channels == 3 else 2  # YCbCr, or YCCK
        return b"\xff\xee\x00\x0e" + body[:11] + bytes([usual if body[11] else 0])
    if marker == _APP1:
        return segment if body.startswith(b"Exif\0\0") else b""
    return b"" if _APP0 <= marker <= _APP15 or marker == _COM else segment


def _tiff(data: bytes) -> bytes:
    """Leave out tags of the first directory, which then is the last one."""
    order, word, first, entries, entry_bytes = tiff_directory(data)
    end = first + entries * entry_bytes
    if end + struct.calcsize(f"={word}") > len(data):
        return data
    tags = (data[at : at + entry_bytes] for at in range(first, end, entry_bytes))
    kept = [tag for tag in tags if struct.unpack_from(f"{order}H", tag)[0] in _TIFF_SAMPLES]
    number = "Q" if word == "Q" else "H"
    count, no_next = struct.pack(order + number, len(kept)), struct.pack(order + word, 0)
    start = first - len(count)
    changed = b"".join([count, *kept, no_next])
    return b"".join([data[:start], changed, memoryview(data)[start + len(changed) :]])
