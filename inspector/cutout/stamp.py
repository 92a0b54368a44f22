"""What a cut-out was made from, written into its PNG: that is how a run knows what is done already."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from inspector.bundle.atomic import storage_errors

_KEY = b"inspector cutout\0"
_HEADER_BYTES = 33  # signature and first chunk of every PNG
_END = b"\0\0\0\0IEND\xaeB`\x82"


def stamped(png: bytes, text: str) -> bytes:
    """Insert a text chunk behind the first chunk of a PNG; viewers pass over it.

    Parameters
    ----------
    png : bytes
        A whole PNG.
    text : str
        ASCII.
    """
    content = b"tEXt" + _KEY + text.encode("ascii")
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:_HEADER_BYTES] + chunk + png[_HEADER_BYTES:]


def stamp_of(path: Path) -> str | None:
    """Read the text that `stamped` wrote into the file at `path`.

    Returns
    -------
    str or None
        None where the file is not whole, or is somebody else's.

    Raises
    ------
    StorageError
        The file cannot be read.
    """
    with storage_errors(path):
        data = path.read_bytes()
    begin = _HEADER_BYTES + 8 + len(_KEY)
    if data[_HEADER_BYTES + 4 : begin] != b"tEXt" + _KEY or not data.endswith(_END):
        return None
    (length,) = struct.unpack_from(">I", data, _HEADER_BYTES)
    return data[begin : _HEADER_BYTES + 8 + length].decode("ascii", "replace")
