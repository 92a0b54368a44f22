"""Finds damage that decoders accept: lost ends, wrong checksums, missing rows, holes of zeros."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.imaging import tiff_tags
from inspector.imaging.header import png_chunks, tiff_directory
from inspector.imaging.jpeg import decode_jpeg
from inspector.imaging.metadata import without_metadata
from inspector.imaging.tiff_tags import tags_of

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_INFLATED_BYTES = 1 << 20
_BMP_RUN_LENGTHS = (1, 2)
_JPEG, _PACKBITS, _DEFLATE = 7, 32773, (8, 32946)  # compressions of a TIFF
_TIFF_HEADER_BYTES = 8
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_FIRST_PRIVATE_TAG = 32768


def check_complete(kind: str, image: ImageFile, data: bytes) -> None:
    """Check a file before it is decoded.

    Parameters
    ----------
    kind : str
        The format, as `header.sniff` names it.
    image : ImageFile
        The picture as Pillow opened it, not yet loaded.
    data : bytes
        The file.

    Raises
    ------
    EOFError, ValueError, zlib.error
        Something is missing or damaged.
    """
    if kind == "PNG":
        check_png(data)
    elif kind == "JPEG":
        decode_jpeg(without_metadata(kind, data), image.mode)
    elif kind == "WebP":
        _check_webp(data, *image.size)
    elif kind == "BMP":
        _check_bmp(data)
    elif kind == "TIFF":
        _check_tiff(tags_of(image), data)


def check_rows(image: ImageFile, data: bytes) -> None:
    """Check that the compressed rows of a PNG do not end before the last one, which Pillow leaves black.

    Parameters
    ----------
    image : ImageFile
        The loaded picture.  Its rows are counted only if the last one looks black.
    data : bytes
        The file.

    Raises
    ------
    EOFError
        Rows are missing.
    """
    width, height = image.size
    last = height - 1 - (height % 2 if data[28] else 0)  # the last pass of an interlaced one has odd rows
    if any(np.any(image.getpixel((column, last))) for column in range(0, width, 1 + width // 16)):
        return
    needed, found = _png_bytes(width, height, data), 0
    inflater = zlib.decompressobj()
    for name, start, end in png_chunks(data):
        rest = data[start:end] if name == b"IDAT" else b""
        while rest and found < needed:
            found += len(inflater.decompress(rest, _INFLATED_BYTES))
            rest = inflater.unconsumed_tail
    if found < needed:
        raise EOFError(f"its rows end after {found:,} of {needed:,} bytes")


def _png_bytes(width: int, height: int, data: bytes) -> int:
    """Return the number of bytes of the rows of a PNG, each with the number of its filter."""
    pixel_bits, total = data[24] * _PNG_CHANNELS[data[25]], 0
    for top, left, row_step, column_step in _ADAM7 if data[28] else ((0, 0, 1, 1),):
        rows, columns = -((top - height) // row_step), -((left - width) // column_step)
        total += rows * (1 + (columns * pixel_bits + 7) // 8) if columns > 0 else 0
    return total


def check_png(data: bytes) -> None:
    """Walk the chunks of a PNG up to the last, and compare the checksums of critical chunks.

    Raises
    ------
    EOFError
        The last chunk is missing.
    ValueError
        A checksum does not match, so bytes were changed.
    """
    view = memoryview(data)
    for name, start, end in png_chunks(data):
        if end + 4 > len(data):
            break
        is_critical = not name[0] & 0x20
        if is_critical and zlib.crc32(view[start - 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ValueError(f"the checksum of chunk {name!r} does not match")
        if name == b"IEND":
            return
    raise EOFError("the last chunk is missing")


def _check_webp(data: bytes, width: int, height: int) -> None:
    """Refuse a hole of zeros in the lossy data of a WebP.

    A flat block of 16 x 16 pixels is coded in a fraction of a bit, as zeros: at most a byte for 40 blocks,
    measured on white, black and grey pictures.  Everywhere else, at most ten zeros follow each other.
    """
    hole = bytes(32 + -(-width // 16) * -(-height // 16) // 20)
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        if name == b"ANMF":  # a frame, whose chunks follow its own header
            position += 24
            continue
        if name == b"VP8 " and data.find(hole, position, position + 8 + length) >= 0:
            raise ValueError("its data has a hole of zeros")
        position += 8 + length + length % 2


def _check_bmp(data: bytes) -> None:
    """Check that the runs of a compressed BMP lie in the file; Pillow fills missing pixels."""
    (start,) = struct.unpack_from("<I", data, 10)
    compression, size_bytes = struct.unpack_from("<I", data, 30)[0], struct.unpack_from("<I", data, 34)[0]
    if compression in _BMP_RUN_LENGTHS and start + size_bytes > len(data):
        raise EOFError(f"it reaches to byte {start + size_bytes:,} of {len(data):,}")


def _check_tiff(tags: Mapping[int, Any], data: bytes) -> None:
    """Check that directory, tags, strips and tiles of a TIFF lie in the file, and check their contents."""
    if (
        tags.get(tiff_tags.PLANAR) == 2
        and tags.get(tiff_tags.CHANNELS, 1) > 1
        and max(tags.get(tiff_tags.BITS, (8,))) > 8
    ):
        raise ValueError("colour planes of 16 bits are not supported")
    extents = [
        *zip(tags.get(tiff_tags.STRIPS, ()), tags.get(tiff_tags.STRIP_BYTES, ()), strict=False),
        *zip(tags.get(tiff_tags.TILES, ()), tags.get(tiff_tags.TILE_BYTES, ()), strict=False),
    ]
    for end in chain(_tiff_ends(data), map(sum, extents)):
        if end > len(data):
            raise EOFError(f"it reaches to byte {end:,} of {len(data):,}")
    _check_pieces(tags)
    for place, (start, size) in enumerate(extents):
        _check_piece(tags, data[start : start + size], place)


def _check_pieces(tags: Mapping[int, Any]) -> None:
    """Check that no strip or tile is missing, or lies in the header."""
    width, height, is_tiled = tags[tiff_tags.WIDTH], tags[tiff_tags.HEIGHT], tiff_tags.TILES in tags
    rows = tags.get(tiff_tags.TILE_ROWS if is_tiled else tiff_tags.STRIP_ROWS, height)
    needed = -(-height // rows) * (-(-width // tags[tiff_tags.TILE_WIDTH]) if is_tiled else 1)
    needed *= tags.get(tiff_tags.CHANNELS, 1) if tags.get(tiff_tags.PLANAR) == 2 else 1
    starts = tags.get(tiff_tags.TILES if is_tiled else tiff_tags.STRIPS, ())
    if len(starts) < needed:
        raise EOFError(f"{needed - len(starts):,} of {needed:,} strips or tiles are missing")
    if min(starts) < _TIFF_HEADER_BYTES:
        raise ValueError(f"a strip or tile begins at byte {min(starts)}, in the header")


def _check_piece(tags: Mapping[int, Any], piece: bytes, place: int) -> None:
    """Check a strip or tile by its compression, where libtiff ignores damage."""
    compression = tags.get(tiff_tags.COMPRESSION)
    if compression in _DEFLATE:
        inflater = zlib.decompressobj()
        while piece and not inflater.eof:
            inflater.decompress(piece, _INFLATED_BYTES)
            piece = inflater.unconsumed_tail
    elif compression == _PACKBITS and tags.get(tiff_tags.PHOTOMETRIC) != tiff_tags.YCBCR:  # it may be coarser
        _check_runs(piece, _unpacked_bytes(tags, place))
    elif compression == _JPEG and max(tags.get(tiff_tags.BITS, (8,))) == 8:
        tables = tags.get(tiff_tags.JPEG_TABLES)
        stream = (
            piece if tables is None else tables[:-2] + piece[2:]
        )  # without the end and the start between them
        mode = "CMYK" if tags.get(tiff_tags.PHOTOMETRIC) == tiff_tags.CMYK else "RGB"
        decode_jpeg(without_metadata("JPEG", stream), mode, (1, 1))


def _unpacked_bytes(tags: Mapping[int, Any], place: int) -> int:
    """Return the number of bytes of the rows of a strip or tile."""
    height, is_tiled = tags[tiff_tags.HEIGHT], tiff_tags.TILES in tags
    width = tags[tiff_tags.TILE_WIDTH] if is_tiled else tags[tiff_tags.WIDTH]
    rows = tags[tiff_tags.TILE_ROWS] if is_tiled else min(tags.get(tiff_tags.STRIP_ROWS, height), height)
    if not is_tiled:
        rows = min(rows, height - place % -(-height // rows) * rows)  # the last strip
    bands = 1 if tags.get(tiff_tags.PLANAR) == 2 else tags.get(tiff_tags.CHANNELS, 1)
    return int(rows * (-(-width * bands * max(tags.get(tiff_tags.BITS, (1,))) // 8)))


def _check_runs(piece: bytes, needed: int) -> None:
    """Check that the runs of PackBits fill their rows exactly: a changed length shifts all that follows.

    References
    ----------
    TIFF 6.0, section 9.
    """
    found = position = 0
    while position < len(piece) and found < needed:
        code = piece[position]
        if code < 128:  # code + 1 bytes follow as they are
            found += code + 1
            position += code + 2
        else:  # one byte, 257 - code times; 128 is nothing
            found += 257 - code if code > 128 else 0
            position += 2 if code > 128 else 1
    if found != needed or not len(piece) - 1 <= position <= len(piece):  # a byte may pad it to a word
        raise ValueError(
            f"its runs fill {found:,} of {needed:,} bytes, and end at {position:,} of {len(piece):,}"
        )


def _tiff_ends(data: bytes) -> Iterator[int]:
    """Yield the end of the first directory, then the ends of the values of its public tags."""
    order, word, first, entries, entry_bytes = tiff_directory(data)
    word_bytes = struct.calcsize(f"={word}")
    yield first + entry_bytes * entries + word_bytes
    for entry in range(first, first + entry_bytes * entries, entry_bytes):
        tag, code, count, value = struct.unpack_from(f"{order}HH{word}{word}", data, entry)
        size_bytes = count * _TIFF_TYPE_BYTES.get(code, 0)
        if tag < _FIRST_PRIVATE_TAG and size_bytes > word_bytes:
            yield value + size_bytes
