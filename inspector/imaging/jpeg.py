"""Decodes a JPEG, and refuses damage that decoders forgive.

libjpeg decodes whatever bytes there are.  If a scan ends early or late, a code is impossible or a restart
marker is wrong, it warns and goes on.  `simplejpeg` raises the first warning.  Damage without a warning is
found by `inspector.imaging.jpeg_scans`.
"""

from __future__ import annotations

import re

import numpy as np
import simplejpeg
from PIL import Image

from inspector.imaging.jpeg_scans import Scans, read_scans, without_padding
from inspector.types import Pixels

_HARMLESS = re.compile(r"Invalid SOS parameters|Could not determine")
_EXTRANEOUS, _LEFT_AT_END = "extraneous bytes", "extraneous bytes before marker 0xd9"


def decode_jpeg(data: bytes, mode: str, reduced: tuple[int, int] = (0, 0)) -> Pixels | None:
    """Decode a whole JPEG to RGB.

    Parameters
    ----------
    data : bytes
        The file without its metadata, about which libjpeg warns as well.  Ignored are bytes behind its end
        marker, and zeros that pad its header or its last scan.
    mode : str
        Pillow's name for the samples: `L`, `RGB` or `CMYK`.
    reduced : (height, width)
        Decode at the smallest size that has these sides, in eighths of the full one; (0, 0) is full.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3), or None
        RGB; None if the strict decoder stops at something harmless, or at colours in an unusual layout.

    Raises
    ------
    ValueError
        Something is missing or damaged.
    MemoryError
        The memory does not suffice.
    """
    scans = read_scans(data)
    try:
        pixels = _decoded(data, mode, reduced)
    except ValueError as exc:
        text = str(exc)
        if "Insufficient memory" in text:
            raise MemoryError(text) from exc
        if _HARMLESS.search(text):
            return None
        joined = without_padding(data)
        if _EXTRANEOUS in text and len(joined) < len(data):
            return decode_jpeg(joined, mode, reduced)
        if scans.trailing_zeros and text.endswith(_LEFT_AT_END):
            return _unpadded(data, scans, mode, reduced)
        raise ValueError(text.replace("Unsupported marker", "unknown marker")) from exc
    scans.check_end()
    return pixels


def _unpadded(data: bytes, scans: Scans, mode: str, reduced: tuple[int, int]) -> Pixels:
    """Decode without the zeros in front of the end marker: padding is not needed, lost data is."""
    filled, rest = data[: scans.end - scans.trailing_zeros], data[scans.end :]
    try:
        return _decoded(filled + rest, mode, reduced)
    except ValueError:  # the last byte of the data may be a zero, too
        return _decoded(filled + b"\0" + rest, mode, reduced)


def _decoded(data: bytes, mode: str, reduced: tuple[int, int]) -> Pixels:
    """Decode, and raise the first warning as a `ValueError`."""
    space = "CMYK" if mode == "CMYK" else "RGB"
    pixels: Pixels = simplejpeg.decode_jpeg(data, space, min_height=reduced[0], min_width=reduced[1])
    if mode == "CMYK":  # inverted, as Adobe stores it
        return np.asarray(Image.fromarray(~pixels, "CMYK").convert("RGB"))
    return pixels
