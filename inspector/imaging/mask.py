"""Decodes masks: pictures that mark places by any value but zero."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inspector.imaging import header, tiff_tags
from inspector.imaging.colour import deep_channels, straight, whole_numbers
from inspector.imaging.decode import load
from inspector.imaging.faults import faults
from inspector.imaging.files import MAX_BYTES, printable, read_picture
from inspector.imaging.header import MAX_PIXELS
from inspector.imaging.tiff_tags import tags_of
from inspector.imaging.upright import orientation, upright

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Mask:
    """A decoded mask.

    Attributes
    ----------
    levels : ndarray of shape (height, width)
        The largest sample of each pixel, as the file stores it: never scaled, and never rounded to 8 bits.
        0 where the pixel is black or transparent.
    is_lossy : bool
        True if the format changes values when it compresses: JPEG, and lossy WebP.
    """

    levels: Numbers
    is_lossy: bool


def decode_mask(path: Path, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Mask:
    """Decode a mask without changing its values.

    Grey, colour, palette and 1-bit masks are read, with 8, 16 or 32 bits, and floating point numbers.
    A palette counts by its colours.  If no colour says more than black, the marks are the indices of the
    palette, or the opaque pixels: some programs write all colours of a palette black, or draw in black on
    a transparent background.

    Parameters
    ----------
    path : Path
        An image file.
    max_pixels, max_bytes : int
        Refuse a larger mask.

    Returns
    -------
    Mask
        Upright, according to EXIF.

    Raises
    ------
    ImageError
        The file cannot be decoded.
    """
    data, name = read_picture(path, max_bytes), printable(path)
    kind = header.sniff(data, name)
    with faults(kind, name):
        image, _ = load(data, kind, name, max_pixels)
        levels = np.ascontiguousarray(_levels(image, kind, data))
        turned = upright(levels, orientation(image, kind))
    return Mask(turned, kind == "JPEG" or (kind == "WebP" and b"VP8L" not in data))


def _levels(image: ImageFile, kind: str, data: bytes) -> Numbers:
    if image.mode == "F" or image.mode.startswith("I"):
        return _one_channel(image)
    if (kind == "PNG" and header.has_deep_colour(data)) or (kind == "TIFF" and _has_deep_colour(image)):
        channels = deep_channels(data)
        colours = channels[..., :3].max(axis=2)
        return _where_opaque(colours, channels[..., 3]) if channels.shape[2] == 4 else colours
    if image.has_transparency_data:
        rgba = straight(image)
        return _where_opaque(rgba[..., :3].max(axis=2), rgba[..., 3])
    colours = np.asarray(image.convert("RGB")).max(axis=2)
    return np.asarray(image) if image.mode == "P" and not colours.any() else colours


def _one_channel(image: ImageFile) -> Numbers:
    """Return the sizes of whole or floating point numbers."""
    if image.mode == "F":
        return np.asarray(np.abs(np.nan_to_num(np.asarray(image))))
    values = whole_numbers(image)
    levels = np.abs(values.astype(np.float64))  # turning takes no 64-bit integers
    tags = tags_of(image)
    if tags.get(tiff_tags.PHOTOMETRIC) == tiff_tags.WHITE_IS_ZERO:
        levels = 2 ** max(tags[tiff_tags.BITS]) - 1 - levels
    if "transparency" in image.info:  # the one transparent value
        levels[values == image.info["transparency"]] = 0
    return levels


def _has_deep_colour(image: ImageFile) -> bool:
    bits: tuple[int, ...] = tags_of(image).get(tiff_tags.BITS, (8,))
    return len(bits) > 1 and max(bits) > 8


def _where_opaque(colours: Numbers, alpha: Numbers) -> Numbers:
    """Return the colours of pixels that are not transparent.

    If nothing is opaque, the alpha channel was never written: then the colours count alone, unless they
    are all the same.  If every opaque pixel is black, the alpha channel is the mask.
    """
    if not alpha.any():
        return colours if colours.min() < colours.max() else np.zeros_like(colours)
    levels = np.where(alpha > 0, colours, 0)
    return alpha if not levels.any() and alpha.min() < alpha.max() else levels
