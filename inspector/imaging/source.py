"""Takes a picture in the many forms that a program hands in, and refuses programming mistakes.

A picture at fault is an `ImageError`, because the next one may be all right.  A mistake of the program is a
`TypeError`, a `ValueError` or a `FileNotFoundError`, because the next picture would meet it again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from inspector.imaging.files import printable

Array = npt.NDArray[Any]

CHANNELS = (1, 3, 4)
_PILLOW_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF")
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
_LONGEST_NAME, _LONGEST_PATH = 80, 255  # characters, in messages and of paths that people type


class Readable(Protocol):
    """An open file, or anything else that reads as one."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""


class ArrayLike(Protocol):
    """An object that numpy turns into an array without a copy, such as a tensor on the processor."""

    def __array__(self, *arguments: Any, **options: Any) -> Array:
        """Return the array."""


Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Array | Image.Image | Readable | ArrayLike
"""A picture: a path, the bytes of an image file or an open file of them, an array, or a Pillow image."""


def take(source: Source, max_bytes: int) -> Path | bytes | Array | Image.Image:
    """Turn a picture that was handed in into a path, the bytes of a file, an array or a Pillow image.

    Parameters
    ----------
    source : Source
        Of an open file, at most one byte more than `max_bytes` is read.

    Raises
    ------
    TypeError
        This is no picture: None, a number, a list, an array of floating point numbers, a file opened as text.
    ValueError
        An array of another shape, or an open file that was read to its end before.
    """
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        return _checked(source)
    if isinstance(source, memoryview) and (source.ndim != 1 or source.itemsize != 1):
        raise TypeError(
            "a memoryview holds the bytes of an image file; hand in numpy.asarray(view) for pixels"
        )
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return Path(source)
    if hasattr(source, "read"):
        return _read(source, max_bytes)
    if hasattr(source, "__array__") and not isinstance(source, type):
        return _checked(np.asarray(source))
    raise TypeError(_refusal(source))


def file_behind(image: Image.Image) -> bytes:
    """Return the file of an image that `PIL.Image.open` made; empty once its pixels are loaded or changed."""
    if not isinstance(image, ImageFile) or image.format not in _PILLOW_FORMATS:
        return b""
    file: Any = image.fp
    is_loaded, is_draft = image._im is not None, bool(image.decoderconfig)
    if file is None or file.closed or is_loaded or is_draft or image.tell() != 0:
        return b""
    position = file.tell()
    file.seek(0)
    data = bytes(file.read())
    file.seek(position)  # so that Pillow can go on
    return data


def is_closed(image: Image.Image) -> bool:
    """Return whether an image has no open file, so that pixels that are not loaded yet are lost."""
    file: Any = getattr(image, "fp", None)
    return file is None or bool(file.closed)


def check_file(path: str | os.PathLike[str]) -> None:
    """Refuse a path that leads to no file; a file that cannot be read is left for the decoder to report.

    Raises
    ------
    FileNotFoundError
        There is nothing of this name.
    ValueError
        It is a folder, or no path at all.
    """
    name = os.fspath(path)
    shown = repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - Path("") is the working directory
    except OSError as exc:
        if exc.errno in _NO_FILE:
            raise FileNotFoundError(f"there is no file {shown}; {_file_advice(name)}") from exc
        return
    except ValueError as exc:
        raise ValueError(f"{shown} is not the path of a file: {exc}") from exc
    if stat.S_ISDIR(mode):
        raise ValueError(
            f"{shown} is a folder, and a picture is one file; "
            "score one after the other: for path in folder.glob('*.png')"
        )


def _file_advice(name: str) -> str:
    """Name the folder that should hold a missing file, or say how to hand in a text that is no path."""
    if "://" in name[:20]:
        return "inspector loads nothing from an address: hand in the bytes of the picture"
    if len(name) > _LONGEST_PATH:
        return "if this is a picture as text, hand in its bytes: base64.b64decode(text)"
    return (
        "check its spelling"
        if Path(name).is_absolute()
        else f"the working directory is {printable(Path.cwd())}"
    )


def _read(source: Any, max_bytes: int) -> bytes:
    data = source.read(max_bytes + 1)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(
            f"read() of {_with_article(source)} gives {type(data).__name__}, not bytes; "
            "open the file with mode 'rb', or hand in its path"
        )
    if not data and getattr(source, "tell", int)():
        raise ValueError(
            f"the {type(source).__name__} is at its end, so nothing is left to read; call its seek(0) first"
        )
    return bytes(data)


def _refusal(source: object) -> str:
    allowed = "a picture is a path, bytes, an open file, an array or a Pillow image"
    if source is None:
        return f"{allowed}, not None; cv2.imread returns None for a file that it cannot read"
    if isinstance(source, Iterable):
        return (
            f"{allowed}, not {_with_article(source)}; score pictures one after the other, "
            "and convert rows of numbers with numpy.asarray(rows, numpy.uint8)"
        )
    return f"{allowed}, not {_with_article(source)}"


def _with_article(source: object) -> str:
    kind = type(source)
    name = (
        kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.lstrip('_')}.{kind.__name__}"
    )
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _checked(array: Array) -> Array:
    """Return an array that is a picture."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in CHANNELS:
        raise ValueError(
            f"an array of shape {array.shape} is not a picture; (H, W), (H, W, 1), (H, W, 3) RGB and "
            f"(H, W, 4) RGBA are; {_shape_advice(array)}"
        )
    if array.size == 0:
        raise ValueError(f"an array of shape {array.shape} has no pixels; check the slice that cut it out")
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16, np.bool_):
        raise TypeError(
            f"an array of {array.dtype} is not a picture; uint8, uint16 and bool are; {_type_advice(array)}"
        )
    return array


def _shape_advice(array: Array) -> str:
    if array.ndim == 3 and array.shape[0] in CHANNELS:
        return "put the channels last: numpy.moveaxis(picture, 0, -1)"
    if array.ndim == 4:
        return "score the pictures one after the other"
    return "hand in rows, columns and channels"


def _type_advice(array: Array) -> str:
    if array.dtype.kind in "fiu":
        low, high = float(array.min()), float(array.max())
        if array.dtype.kind == "f" and 0 <= low <= high <= 1:
            return "convert 0..1 with numpy.rint(picture * 255).astype(numpy.uint8)"
        if 0 <= low <= high <= 255:
            return "convert 0..255 with numpy.rint(picture).astype(numpy.uint8)"
    return "scale it to 0..255 by the sensor's full scale, then convert it with .astype(numpy.uint8)"
