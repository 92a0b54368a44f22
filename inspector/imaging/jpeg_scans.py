"""Reads the segments of a JPEG, and finds damage of its scans without decoding them.

A scan may be missing, or zeros may stand where its data was.  Decoders do not notice the first, and not
always the second, because zeros are codes like any others.

References
----------
ITU-T T.81, *Digital compression and coding of continuous-tone still images*, annexes B, G and K.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not a stuffed byte, fill or a restart
_STAND_ALONE = (0x01, 0xD8)
_DHT, _EOI, _DQT = 0xC4, 0xD9, 0xDB
SOS = 0xDA  # start of scan
FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, 0xCC}
_PROGRESSIVE, _FIRST_ARITHMETIC = (0xC2, 0xCA), 0xC9
_END_OF_BLOCK, _ENDS_OF_BLOCKS = 0x00, frozenset(range(0x10, 0xF0, 0x10))
_COEFFICIENTS = 64
_HOLE = bytes(16)  # the scans of whole photographs have at most 5 zeros in a row
_HOLE_FOUND = "a scan has a hole of zeros"


@dataclass
class Scans:
    """The facts about the scans of a JPEG that its segments state.

    Attributes
    ----------
    end : int
        Offset of the end marker.
    trailing_zeros : int
        Number of zeros in front of it.
    zeros_are_codes : bool
        Many zeros in a row can be codes of the last scan.
    lowest_bits : dict of int to list of int or None
        For each component, the lowest bit sent of its 64 coefficients; None where none was sent.
    flat_tables : set of (class, number)
        The Huffman tables, of class 0 for DC and 1 for AC, with which flat blocks are coded as zeros.
    is_progressive, is_arithmetic : bool
        True if scans refine coefficients bit by bit, and if their codes are arithmetic.
    """

    end: int = 0
    trailing_zeros: int = 0
    zeros_are_codes: bool = False
    lowest_bits: dict[int, list[int | None]] = field(default_factory=dict)
    flat_tables: set[tuple[int, int]] = field(default_factory=lambda: {(0, 0), (0, 1), (1, 1)})  # annex K
    is_progressive: bool = False
    is_arithmetic: bool = False

    def check_end(self) -> None:
        """Refuse a hole of zeros in front of the end marker, which the decoder took for codes."""
        if self.trailing_zeros >= len(_HOLE) and not self.zeros_are_codes:
            raise ValueError(_HOLE_FOUND)


def read_scans(data: bytes) -> Scans:
    """Read all segments of a JPEG, up to its end marker.

    Raises
    ------
    ValueError
        A scan is missing, a segment is damaged, or zeros are where there can be none.
    """
    scans = Scans()
    # Every hole contains eight zeros at a multiple of eight.
    may_have_hole = not np.frombuffer(data, np.uint64, len(data) // 8).all()
    for marker, start, end in segments(data):
        try:
            _read_segment(scans, marker, data[start:end])
        except LookupError as exc:
            raise ValueError(f"the segment of marker 0x{marker:02x} is damaged") from exc
        if marker == SOS:
            _read_scan_data(scans, data, end, may_have_hole)
    return scans


def without_padding(data: bytes) -> bytes:
    """Return a JPEG without zeros and fill bytes between the segments of its header."""
    parts, position = [data[:2]], 2
    for marker, start, end in segments(data):
        if data[position : start - 4].strip(b"\0\xff"):
            break
        parts.append(data[start - 4 : end])
        position = end
        if marker == SOS:
            return b"".join(parts) + data[end:]
    return data


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment's body, up to the end marker or the last whole segment."""
    position = 0
    while found := _MARKER.search(data, position):
        marker, position = found[0][1], found.end()
        if marker in _STAND_ALONE:
            continue
        if marker == _EOI:
            yield marker, position, position
            return
        start, length = position + 2, int.from_bytes(data[position : position + 2])
        position += max(2, length)
        if position > len(data):
            return
        yield marker, start, position


def _read_segment(scans: Scans, marker: int, body: bytes) -> None:
    if marker in FRAMES:
        _read_frame(scans, marker, body)
    elif marker == _DHT:
        _read_huffman_tables(scans, body)
    elif marker == _DQT:
        _check_quantisation_tables(body)
    elif marker == SOS:
        _read_scan(scans, body)
    elif marker == _EOI and any(bit != 0 for bits in scans.lowest_bits.values() for bit in bits):
        raise ValueError("a scan is missing")


def _read_frame(scans: Scans, marker: int, body: bytes) -> None:
    scans.is_progressive, scans.is_arithmetic = marker in _PROGRESSIVE, marker >= _FIRST_ARITHMETIC
    scans.lowest_bits = {component: [None] * _COEFFICIENTS for component in body[6 : 6 + 3 * body[5] : 3]}


def _read_huffman_tables(scans: Scans, body: bytes) -> None:
    """Note the tables that code flat blocks as zeros, by their first code, which consists of zeros.

    In a table for DC this code must mean that the brightness stays or changes by one step, and in one for AC
    that a block ends.  If the latter has a code for the ends of several blocks, single ends are not repeated.
    """
    while len(body) > 17:
        kind, number = divmod(body[0], 16)
        symbols, body = body[17 : 17 + sum(body[1:17])], body[17 + sum(body[1:17]) :]
        scans.flat_tables.discard((kind, number))
        is_flat = (
            symbols[0] == _END_OF_BLOCK and not _ENDS_OF_BLOCKS & set(symbols) if kind else symbols[0] <= 1
        )
        if is_flat:
            scans.flat_tables.add((kind, number))


def _check_quantisation_tables(body: bytes) -> None:
    while body:
        size = 1 + _COEFFICIENTS * (1 + body[0] // 16)
        if not np.frombuffer(body[1:size], ">u2" if body[0] // 16 else np.uint8).all():
            raise ValueError("a quantisation table holds zeros")
        body = body[size:]


def _read_scan(scans: Scans, body: bytes) -> None:
    """Note the bits that a scan sends, and whether many zeros in a row can be its codes.

    They can be codes in flat parts of a picture, in scans that send bits of coefficients as they are, and in
    arithmetic coding.
    """
    count = body[0]
    components, tables = body[1 : 1 + 2 * count : 2], body[2 : 2 + 2 * count : 2]
    first, last, bits = (body[place + 2 * count] for place in (1, 2, 3))
    if not scans.is_progressive:
        first, last, bits = 0, _COEFFICIENTS - 1, 0
    for component in components:
        scans.lowest_bits[component][first : last + 1] = [bits % 16] * (last + 1 - first)
    used = {(0, table // 16) for table in tables} if first == 0 else set()
    used |= {(1, table % 16) for table in tables} if last > 0 else set()
    scans.zeros_are_codes = scans.is_arithmetic or bits >= 16 or used <= scans.flat_tables


def _read_scan_data(scans: Scans, data: bytes, start: int, may_have_hole: bool) -> None:
    """Refuse a hole of zeros in a scan's data, and count the zeros that may pad its end."""
    following = _MARKER.search(data, start)
    end = following.start() if following else len(data)
    if following and following[0][1] == _EOI:
        filled = start + len(data[start:end].rstrip(b"\0"))
        scans.end, scans.trailing_zeros, end = end, end - filled, filled
    if may_have_hole and not scans.zeros_are_codes and data.find(_HOLE, start, end) >= 0:
        raise ValueError(_HOLE_FOUND)
