"""Turns the exceptions of decoders into the `ImageError` that says what is wrong with a picture."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
from PIL import Image

from inspector.errors import (
    ImageError,
    ImageTooLargeError,
    TransparentImageError,
    TruncatedImageError,
    UnknownFormatError,
)
from inspector.imaging.colour import InvisibleError
from inspector.imaging.files import printable

# Errors of decoders on damaged bytes; Pillow also fails in its own assertions.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    cv2.error,
    struct.error,
    zlib.error,
)
_UNSUPPORTED = re.compile(r"cannot handle (?!0-)|support|unknown (pixel|data)|not available")


@contextmanager
def faults(kind: str, name: str) -> Iterator[None]:
    """Turn every exception of a decoder into the `ImageError` that says what is wrong with the picture."""
    try:
        yield
    except (MemoryError, Image.DecompressionBombError) as exc:
        raise ImageTooLargeError(
            f"{name} needs more memory to decode than there is ({printable(str(exc))})",
            hint="reduce the picture before handing it in",
        ) from exc
    except _DAMAGE as exc:
        raise at_fault(kind, name, exc) from exc


def at_fault(kind: str, name: str, exc: Exception) -> ImageError:
    """Return the error for a decoder's exception: a wholly transparent, an unsupported or a damaged file."""
    if isinstance(exc, InvisibleError):
        return TransparentImageError(
            f"{name} is wholly transparent: the alpha of every pixel is 0",
            hint="save it without an alpha channel",
        )
    detail = printable(str(exc)) or type(exc).__name__
    if _UNSUPPORTED.search(detail):
        return UnknownFormatError(
            f"{name} is a {kind} of a variant that is not read: {detail}",
            hint="save it again as an 8 or 16 bit grey or RGB PNG",
        )
    return TruncatedImageError(
        f"{name} ends too early or is damaged ({kind}: {detail})",
        hint="copy it again from where it was taken; it may have been cut while it was written",
    )
