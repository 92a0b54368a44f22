"""Text stored in a PNG beside its pixels; viewers ignore it."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from inspector.imaging.completeness import check_png
from inspector.types import Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_png_with_text(pixels: Pixels, key: str, text: str) -> bytes:
    """Encode uint8 pixels, (H, W, 3) RGB or (H, W, 4) RGBA, as a PNG that carries a text in Latin-1."""
    info = PngInfo()
    info.add_text(key, text)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=info, compress_level=1)
    return stream.getvalue()


def read_png_text(data: bytes, key: str) -> str | None:
    """Return the text that a PNG carries under a key; None if it has none, is damaged, or is no PNG.

    Examples
    --------
    >>> import numpy as np
    >>> png = encode_png_with_text(np.zeros((4, 4, 3), np.uint8), "made by", "a test")
    >>> read_png_text(png, "made by"), read_png_text(png[:-20], "made by")
    ('a test', None)
    """
    if not data.startswith(_SIGNATURE):
        return None
    try:
        check_png(data)
        text = PngImageFile(BytesIO(data)).info.get(key)
    except (EOFError, OSError, SyntaxError, ValueError):
        return None
    return None if text is None else str(text)
