"""Reads an image file's header without decoding it: format, size, orientation."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from inspector.errors import ImageTooLargeError, ImageTooSmallError, TruncatedImageError, UnknownFormatError

MIN_SIDE_PIXELS = 32
MAX_PIXELS = 80_000_000

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_NOT_READ = {b"GIF8": "GIF", b"%PDF": "PDF", b"\0\0\0\x0c": "JPEG 2000", b"8BPS": "Photoshop"}
_BMP_HEADER_BYTES = (12, 40, 52, 56, 64, 108, 124)
_EXIF_ORIENTATION = 0x0112


def sniff(data: bytes, name: str) -> str:
    """Return the format by the first bytes; suffix and content type are ignored.

    Parameters
    ----------
    data : bytes
        The file, at least one byte.
    name : str
        Name of the file in messages.

    Returns
    -------
    str
        `PNG`, `JPEG`, `WebP`, `BMP` or `TIFF`.

    Raises
    ------
    TruncatedImageError
        The file ends inside a signature.
    UnknownFormatError
        The file has another format.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic) and (kind != "BMP" or _is_bmp(data)):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if any(magic.startswith(data) for magic, _ in _MAGIC) or (data.startswith(b"RIFF") and len(data) < 12):
        raise TruncatedImageError(
            f"{name} ends after {len(data)} bytes, inside its signature",
            hint="copy it again from where it was taken",
        )
    other = "HEIF or AVIF" if data[4:8] == b"ftyp" else _NOT_READ.get(data[:4])
    looks = f"looks like {other}" if other else f"begins with {data[:12]!r}"
    raise UnknownFormatError(
        f"{name} is not of an image type that is read: it {looks}",
        hint="PNG, JPEG, WebP, BMP and TIFF are read; save it as one of them",
    )


def _is_bmp(data: bytes) -> bool:
    """Return whether a header follows the letters `BM`, with which a text may begin as well."""
    return len(data) < 18 or struct.unpack_from("<I", data, 14)[0] in _BMP_HEADER_BYTES


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Refuse a picture with a side under 32 pixels, or with more than `max_pixels`.

    Raises
    ------
    ImageTooSmallError, ImageTooLargeError
        The message names the size and the limit.
    """
    if min(width, height) < MIN_SIDE_PIXELS:
        raise ImageTooSmallError(
            f"{name} has {width} x {height} pixels; each side needs at least {MIN_SIDE_PIXELS}",
            hint="hand in the picture at a larger size",
        )
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{name} has {width} x {height} = {width * height:,} pixels; at most {max_pixels:,} are read",
            hint="reduce the picture, or raise the limit with INSPECTOR_MAX_PIXELS",
        )


def webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height of a WebP from its first chunk: extended, lossless or lossy."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        low, high, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return low + (high << 16) + 1, low_height + (high_height << 16) + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def has_deep_colour(data: bytes) -> bool:
    """Return whether a PNG has several channels of 16 bits."""
    bits, colour_type = data[24], data[25]
    return bits == 16 and colour_type in (2, 4, 6)


def may_be_deep(data: bytes) -> bool:
    """Return whether a file may store more than 8 bits for each sample: a PNG of 16 bits, or any TIFF."""
    is_deep_png = data.startswith(b"\x89PNG") and data[24:25] == b"\x10"
    return is_deep_png or data.startswith((b"II", b"MM"))


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the body of each chunk of a PNG; the last one may reach beyond its end."""
    position = 8
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        yield name, position + 8, position + 8 + length
        position += 12 + length


def png_exif(data: bytes) -> bytes:
    """Return the EXIF block of a PNG, empty if it has none."""
    return next((data[start:end] for name, start, end in png_chunks(data) if name == b"eXIf"), b"")


def tiff_directory(data: bytes) -> tuple[str, str, int, int, int]:
    """Return byte order, word, first entry, number of entries and bytes of an entry of a TIFF's directory.

    Raises
    ------
    struct.error
        The directory lies behind the end.
    """
    order, is_big = ("<" if data.startswith(b"II") else ">"), 43 in data[2:4]
    word, number = ("Q", "Q") if is_big else ("I", "H")
    (start,) = struct.unpack_from(order + word, data, 8 if is_big else 4)
    (entries,) = struct.unpack_from(order + number, data, start)
    return order, word, start + struct.calcsize(f"={number}"), entries, 4 + 2 * struct.calcsize(f"={word}")


def significant_bits(data: bytes) -> int | None:
    """Return the greatest number of significant bits of a colour channel that the chunk sBIT of a PNG states.

    Returns
    -------
    int or None
        None without this chunk, or if it is damaged.
    """
    channels = {0: 1, 2: 3, 4: 1, 6: 3}.get(data[25], 0)  # grey or colour, without alpha
    for name, start, end in png_chunks(data):
        if name == b"sBIT":
            return max(data[start : min(end, start + channels)], default=None)
        if name in (b"IDAT", b"IEND"):
            break
    return None


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, of an EXIF block; 1 if it is missing or damaged.

    References
    ----------
    CIPA DC-008, *Exchangeable image file format for digital still cameras*, tag 0x0112.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == _EXIF_ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
