"""Pillow's decoder for each format, and its warnings."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from inspector.imaging.header import png_exif
from inspector.imaging.metadata import without_metadata

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_warnings_lock = threading.Lock()


def open_picture(kind: str, data: bytes) -> ImageFile:
    """Open a file with Pillow, without metadata that its picture does not need; decode nothing yet."""
    image = open_stripped(kind, without_metadata(kind, data))
    if kind == "PNG":
        image.info["exif"] = png_exif(data)
    return image


def open_stripped(kind: str, data: bytes) -> ImageFile:
    """Open a file that `without_metadata` returned; decode nothing yet."""
    return _plugin(kind)(BytesIO(data))


def _plugin(kind: str) -> Callable[[BytesIO], ImageFile]:
    """Return Pillow's class for a format.

    `PIL.Image.open` would try every plugin, and its pixel limit is a setting of the whole process.
    """
    if kind == "PNG":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile
    if kind == "JPEG":
        return _jpeg_class()
    if kind == "BMP":
        from PIL.BmpImagePlugin import BmpImageFile

        return BmpImageFile
    if kind == "TIFF":
        from PIL.TiffImagePlugin import TiffImageFile

        return TiffImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    return WebPImageFile


@lru_cache(maxsize=1)
def _jpeg_class() -> Callable[[BytesIO], ImageFile]:
    from PIL.JpegImagePlugin import JpegImageFile

    class Jpeg(JpegImageFile):
        """A JPEG class that does not search EXIF for a resolution, because that warns about damaged EXIF."""

        def _read_dpi_from_exif(self) -> None:
            pass

    return Jpeg


@contextmanager
def quiet(kind: str) -> Iterator[None]:
    """Silence Pillow's warnings about the tags of a TIFF.

    Warning filters belong to the process, so only one thread at a time may change them.
    """
    if kind != "TIFF":
        yield
        return
    with _warnings_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield
