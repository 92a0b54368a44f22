"""Decodes files, bytes or arrays to checked uint8 RGB.

Pillow decodes, because it reports exactly where a damaged file ends; `inspector.imaging.jpeg` decodes JPEGs.
The size is read from the header before any pixel is decoded, so that a small file that claims a huge picture
costs no memory.  A picture at fault raises a leaf of `ImageError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from inspector.errors import ImageError
from inspector.imaging import header
from inspector.imaging.colour import WHITE, Colour, InvisibleError, array_to_rgb, straight, to_rgb
from inspector.imaging.completeness import check_complete, check_rows
from inspector.imaging.depth import DEEP, Depth
from inspector.imaging.faults import at_fault, faults
from inspector.imaging.files import MAX_BYTES, check_bytes, printable, read_picture
from inspector.imaging.header import MAX_PIXELS, check_size
from inspector.imaging.jpeg import decode_jpeg
from inspector.imaging.metadata import without_metadata
from inspector.imaging.plugin import open_picture, open_stripped, quiet
from inspector.imaging.source import Source, file_behind, is_closed, take
from inspector.imaging.upright import orientation, upright
from inspector.types import Pixels


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        RGB, contiguous and not writable.  A large JPEG may be decoded at a reduced size, with sides shorter
        than `height` and `width`.
    width, height : int
        The picture's own size in pixels, after EXIF rotation.
    depth : Depth, optional
        How a picture with more than 8 bits uses them; None for 8 bits.
    """

    pixels: Pixels
    width: int
    height: int
    depth: Depth | None = None

    @property
    def bits(self) -> Literal[8, 16]:
        """16 if the file or array stores more than 8 bits for each sample, else 8."""
        return 8 if self.depth is None else 16

    @property
    def clipped_pixels(self) -> int:
        """Number of pixels with a sample beyond the full scale."""
        return 0 if self.depth is None else self.depth.clipped_pixels


def decode(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    reduce_to: tuple[int, int] | None = None,
    background: Colour = WHITE,
    full_scale: int | None = DEEP,
) -> Picture:
    """Turn a file, its bytes or an array into uint8 RGB.

    Grey, palette, CMYK and YCbCr become RGB.  Transparent pixels are laid over a colour.  Only the first of
    several pages or frames is read.  The EXIF orientation is applied.  16 bits become 8 by dividing by a full
    scale and rounding, never by the picture's own minimum and maximum; `depth` has the rules.

    Parameters
    ----------
    source : Source
        A file, its bytes, an open file, a Pillow image, or an array of shape (H, W), (H, W, 1), (H, W, 3) RGB
        or (H, W, 4) RGBA of uint8, uint16 or bool.
    max_pixels, max_bytes : int
        Refuse a larger picture before decoding it, and a larger file before reading it.
    reduce_to : (height, width), optional
        Decode a JPEG at a half, a quarter or an eighth of its size, if its sides stay at least this long.
    background : (red, green, blue)
        The colour behind transparent pixels, 0 to 255; white without it.
    full_scale : int or None
        White in a picture of more than 8 bits whose file does not state it.  None, for models from before
        this was learned: 65535 whatever the file states.

    Returns
    -------
    Picture
        Pixels, and the size of the picture.

    Raises
    ------
    ImageError
        One of its leaves says what is wrong with the picture.
    TypeError, ValueError
        The source is no picture; see `take`.
    """
    taken = take(source, max_bytes)
    if isinstance(taken, np.ndarray):
        return _from_array(taken, max_pixels, background, full_scale)
    if isinstance(taken, Image.Image):
        return _from_pillow(taken, max_pixels, reduce_to, background, full_scale)
    if isinstance(taken, bytes):
        name, data = "the picture", taken
        check_bytes(len(data), name, max_bytes)
    else:
        name, data = printable(taken), read_picture(taken, max_bytes)
    kind = header.sniff(data, name)
    with faults(kind, name):
        return _decode(data, kind, name, max_pixels, reduce_to, background, full_scale)


def straight_rgba(data: bytes) -> Pixels | None:
    """Decode colours and transparency without laying them over a colour.

    Parameters
    ----------
    data : bytes
        An image file that `decode` accepts.

    Returns
    -------
    ndarray of uint8, shape (H, W, 4), or None
        RGBA, upright, 8 bits; None if no pixel is transparent, or nobody wrote the alpha channel.
    """
    kind = header.sniff(data, "the picture")
    with quiet(kind):
        image = open_picture(kind, data)
        if not image.has_transparency_data or image.mode.startswith("I"):
            return None
        rgba = straight(image)
    alpha = rgba[..., 3]
    if alpha.min() == 255 or alpha.max() == 0:
        return None
    return _frozen(upright(rgba, orientation(image, kind)))


def _decode(
    data: bytes,
    kind: str,
    name: str,
    max_pixels: int,
    reduce_to: tuple[int, int] | None,
    background: Colour,
    full_scale: int | None,
) -> Picture:
    if kind == "JPEG":
        return _decode_jpeg(data, name, max_pixels, reduce_to, background)
    image, size = load(data, kind, name, max_pixels)
    turn = orientation(image, kind)
    rgb, depth = to_rgb(image, kind, data, background, full_scale)
    width, height = size[::-1] if turn >= 5 else size
    return Picture(_frozen(upright(rgb, turn)), width, height, depth)


def load(data: bytes, kind: str, name: str, max_pixels: int) -> tuple[ImageFile, tuple[int, int]]:
    """Check size and completeness of a file, load its samples, and return them with its (width, height).

    Call it inside `faults`.
    """
    if kind == "WebP":  # its decoder reserves the canvas as soon as it is made
        check_size(*header.webp_size(data), name, max_pixels)
    with quiet(kind):
        image = open_picture(kind, data)
        size = image.size
        check_size(*size, name, max_pixels)
        check_complete(kind, image, data)
        image.load()
        if kind == "PNG":
            check_rows(image, data)
    return image, image.size if kind == "TIFF" else size


def _decode_jpeg(
    data: bytes, name: str, max_pixels: int, reduce_to: tuple[int, int] | None, background: Colour
) -> Picture:
    data = without_metadata("JPEG", data)
    image = open_stripped("JPEG", data)
    width, height = image.size
    check_size(width, height, name, max_pixels)
    turn = orientation(image, "JPEG")
    if turn >= 5:
        width, height = height, width
    rgb = decode_jpeg(data, image.mode, _reduced(image.size, turn, reduce_to))
    if rgb is None:
        image.load()
        rgb, _ = to_rgb(image, "JPEG", data, background, None)
    return Picture(_frozen(upright(rgb, turn)), width, height)


def _reduced(size: tuple[int, int], turn: int, reduce_to: tuple[int, int] | None) -> tuple[int, int]:
    """Return height and width at which to decode a JPEG: all, a half, a quarter or an eighth of its own."""
    width, height = size
    if reduce_to is None:
        return height, width
    rows, columns = reduce_to[::-1] if turn >= 5 else reduce_to
    most = min(height // rows, width // columns)
    reduction = next((reduction for reduction in (8, 4, 2) if reduction <= most), 1)
    return -(-height // reduction), -(-width // reduction)


def _from_array(
    array: npt.NDArray[Any], max_pixels: int, background: Colour, full_scale: int | None
) -> Picture:
    """Convert an array to 8-bit RGB; one that is 8-bit RGB is not copied."""
    height, width = array.shape[:2]
    check_size(width, height, "the array", max_pixels)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    if array.dtype == np.bool_:
        array = (array.view(np.uint8) != 0) * np.uint8(255)  # Pillow writes True as the byte 255
    rgb, depth = array_to_rgb(array, background, full_scale)
    return Picture(_frozen(rgb), width, height, depth)


def _from_pillow(
    image: Image.Image,
    max_pixels: int,
    reduce_to: tuple[int, int] | None,
    background: Colour,
    full_scale: int | None,
) -> Picture:
    """Decode the file of an image that is not loaded yet; convert any other image as its file would be.

    Pillow keeps 8 bits of 16-bit colour, and forgives damage of JPEGs.
    """
    name = "the Pillow image"
    check_size(*image.size, name, max_pixels)
    data = file_behind(image)
    if data:
        kind = header.sniff(data, name)
        with faults(kind, name):
            return _decode(data, kind, name, max_pixels, reduce_to, background, full_scale)
    try:
        with faults(image.format or "file", name):
            image.load()
    except ImageError as exc:
        if is_closed(image):
            raise ValueError(
                "the Pillow image was closed before its pixels were loaded; score it inside its `with` block"
            ) from exc
        raise
    if image.mode == "F":
        raise TypeError(
            "a Pillow image of floating point samples has no full scale; convert it to mode L or RGB"
        )
    turn = header.orientation(image.info.get("exif", b""))
    try:
        rgb, depth = to_rgb(image, "", b"", background, full_scale)
    except InvisibleError as exc:
        raise at_fault("", name, exc) from exc
    pixels = upright(rgb, turn)
    return Picture(_frozen(pixels), pixels.shape[1], pixels.shape[0], depth)


def _frozen(pixels: Pixels) -> Pixels:
    """Return a contiguous view that cannot be written, so that several readers can share it."""
    view = np.ascontiguousarray(pixels).view()
    view.flags.writeable = False
    return view
