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

from inspector.imaging.jpeg_scans import Scans, read_scans
from inspector.types import Pixels

_HARMLESS = re.compile(r"JFIF revision|Adobe color transform|Invalid SOS parameters")
_LEFT_AT_END = "extraneous bytes before marker 0xd9"


def decode_jpeg(data: bytes, mode: str, reduction: int = 1) -> Pixels | None:
    """Decode a whole JPEG to RGB.

    Parameters
    ----------
    data : bytes
        The file.  Bytes behind its end marker are ignored, and zeros in front of it that pad the last scan.
    mode : str
        Pillow's name for the samples: `L`, `RGB` or `CMYK`.
    reduction : int
        2, 4 or 8 decodes at a half, a quarter or an eighth of the size; 1 decodes at full size.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3), or None
        RGB; None if the strict decoder stops at something harmless in the header.

    Raises
    ------
    ValueError
        Something is missing or damaged.
    MemoryError
        The memory does not suffice.
    """
    scans = read_scans(data)
    try:
        pixels = _decoded(data, mode, reduction)
    except ValueError as exc:
        text = str(exc)
        if "Insufficient memory" in text:
            raise MemoryError(text) from exc
        if _HARMLESS.search(text):
            return None
        if scans.trailing_zeros and text.endswith(_LEFT_AT_END):
            return _unpadded(data, scans, mode, reduction)
        raise ValueError(text.replace("Unsupported marker", "unknown marker")) from exc
    scans.check_end()
    return pixels


def _unpadded(data: bytes, scans: Scans, mode: str, reduction: int) -> Pixels:
    """Decode without the zeros in front of the end marker: padding is not needed, lost data is."""
    filled, rest = data[: scans.end - scans.trailing_zeros], data[scans.end :]
    try:
        return _decoded(filled + rest, mode, reduction)
    except ValueError:  # the last byte of the data may be a zero, too
        return _decoded(filled + b"\0" + rest, mode, reduction)


def _decoded(data: bytes, mode: str, reduction: int) -> Pixels:
    """Decode, and raise the first warning as a `ValueError`."""
    height, width = simplejpeg.decode_jpeg_header(data)[:2]
    rows, columns = (-(-int(side) // reduction) for side in (height, width))
    space = "CMYK" if mode == "CMYK" else "RGB"
    pixels: Pixels = simplejpeg.decode_jpeg(data, space, min_height=rows, min_width=columns)
    if mode == "CMYK":  # inverted, as Adobe stores it
        return np.asarray(Image.fromarray(~pixels, "CMYK").convert("RGB"))
    return pixels
