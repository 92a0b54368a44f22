"""Converts samples of any kind to 8-bit RGB, and lays transparent pixels over a colour."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from inspector.imaging import depth, header, tiff_tags
from inspector.imaging.depth import Depth
from inspector.imaging.metadata import without_metadata
from inspector.imaging.tiff_tags import tags_of
from inspector.types import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)

_ALPHA_IS_WRITTEN = ("PNG", "WEBP")

# OpenCV writes lines about odd files to stderr; here every fault of a file is raised as an error instead.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_PREMULTIPLIED = (1,)  # extra samples of a TIFF


class InvisibleError(ValueError):
    """Every pixel is transparent."""


def to_rgb(
    image: Image, kind: str, data: bytes, background: Colour, full_scale: int | None
) -> tuple[Pixels, Depth | None]:
    """Turn a picture that Pillow has loaded into uint8 (H, W, 3) RGB, whatever its mode.

    Parameters
    ----------
    image : Image
        A picture that Pillow has loaded.
    kind : str
        The format, as `header.sniff` names it; empty for an image without a file.
    data : bytes
        The file; Pillow drops the low bytes of 16-bit colour, so it is decoded again.
    background : (red, green, blue)
        The colour behind transparent pixels.
    full_scale : int or None
        White in a picture of more than 8 bits whose file does not state it; see `depth.measure`.

    Returns
    -------
    pixels, depth
        The depth is None for a picture of 8 bits.

    Raises
    ------
    ValueError
        The samples are of a kind that is not read.
    InvisibleError
        Every pixel is transparent.
    """
    mode = image.mode
    if mode == "F":
        raise ValueError("floating point samples are not supported, their full scale is not known")
    if mode.startswith("I"):
        return _deep_grey(image, kind, data, background, full_scale)
    if kind == "PNG" and header.has_deep_colour(data):
        samples = _red_first(deep_channels(data))
        found = depth.measure(samples[..., :3], full_scale, png=data)
        return _deep(_visible(samples, image), background, found), found
    if kind == "TIFF" and full_scale is not None and _is_deep_rgb(image):
        samples = _deep_tiff(image, data)
        found = depth.measure(samples[..., :3], full_scale, tags=tags_of(image))
        return _deep(_visible(samples, image), background, found), found
    if image.has_transparency_data:
        rgba = _visible(straight(image), image)
        return cast(Pixels, lay_over(rgba, background) if rgba.shape[2] == 4 else rgba), None
    if mode in ("1", "L"):
        return grey_to_rgb(np.asarray(image if mode == "L" else image.convert("L"))), None
    return np.asarray(image if mode == "RGB" else image.convert("RGB")), None


def array_to_rgb(
    array: npt.NDArray[Any], background: Colour, full_scale: int | None
) -> tuple[Pixels, Depth | None]:
    """Turn an array of uint8 or uint16, (H, W) or (H, W, 1, 3 or 4), into uint8 (H, W, 3) RGB.

    Returns
    -------
    pixels, depth
        An array that is 8-bit RGB already is returned as it is.  The depth is None for 8 bits.
    """
    array = _visible(array) if array.ndim == 3 else array
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype == np.uint16:
        found = depth.measure(array[..., :3] if channels == 4 else array, full_scale)
        return _deep(array if channels > 1 else array.reshape(array.shape[:2]), background, found), found
    if channels == 4:
        return cast(Pixels, lay_over(array, background)), None
    return (grey_to_rgb(array.reshape(array.shape[:2])) if channels == 1 else array), None


def _deep_grey(
    image: Image, kind: str, data: bytes, background: Colour, full_scale: int | None
) -> tuple[Pixels, Depth]:
    """Convert one channel of up to 16 bits to 8-bit RGB."""
    values = whole_numbers(image)
    if values.dtype.itemsize > 2 and (values.min() < 0 or values.max() > depth.DEEP):
        raise ValueError(f"samples of {values.min()} to {values.max()} are not supported, 0 to 65535 are")
    values = values.astype(np.uint16)
    tags = tags_of(image)
    found = depth.measure(values, full_scale, png=data if kind == "PNG" else b"", tags=tags)
    grey = depth.to_eight_bits(values, found.full_scale)
    if tags.get(tiff_tags.PHOTOMETRIC) == tiff_tags.WHITE_IS_ZERO:
        grey = cast(Pixels, cv2.bitwise_not(grey))
    rgb = grey_to_rgb(grey)
    if "transparency" in image.info:  # the one transparent value
        is_transparent = values == image.info["transparency"]
        if is_transparent.all():
            raise InvisibleError
        rgb[is_transparent] = background
    return rgb, found


def whole_numbers(image: Image) -> npt.NDArray[Any]:
    """Return the samples of one channel of whole numbers; Pillow reads unsigned ones of 32 bits as signed."""
    values = np.asarray(image)
    tags = tags_of(image)
    is_unsigned = tags.get(tiff_tags.SAMPLE_FORMAT, (1,)) == (1,) and tags.get(tiff_tags.BITS) == (32,)
    return values.view(np.uint32) if is_unsigned and values.dtype == np.int32 else values


def deep_channels(data: bytes) -> npt.NDArray[Any]:
    """Decode several 16-bit channels, BGR or BGRA, with OpenCV: Pillow keeps only their high bytes.

    Raises
    ------
    ValueError
        OpenCV cannot decode them.
    """
    kind = "PNG" if data.startswith(b"\x89PNG") else "TIFF"
    file = np.frombuffer(without_metadata(kind, data), np.uint8)
    channels = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    if channels is None:
        raise ValueError("16 bit colour cannot be decoded")
    return channels


def straight(image: Image) -> Pixels:
    """Return the colours and the alpha, not multiplied in, of a picture of 8 bits: uint8 (H, W, 4) RGBA."""
    mode = {"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)
    return np.asarray(image.convert(mode).convert("RGBA"))


def _visible(samples: npt.NDArray[Any], image: Image | None = None) -> npt.NDArray[Any]:
    """Leave out an alpha channel that nobody wrote: it is 0 everywhere.

    Cameras write pixels of 32 bits and leave 8 of them at 0, where a BMP, a TIFF or an array has alpha.

    Raises
    ------
    InvisibleError
        Every pixel is transparent in a format whose writers set alpha.
    """
    if samples.shape[2] < 4 or samples[..., 3].any():
        return samples
    if image and (image.format in _ALPHA_IS_WRITTEN or _is_premultiplied(image)):
        raise InvisibleError
    return np.ascontiguousarray(samples[..., :3])


def _is_premultiplied(image: Image) -> bool:
    return tags_of(image).get(tiff_tags.EXTRA_SAMPLES) == _PREMULTIPLIED


def _is_deep_rgb(image: Image) -> bool:
    """Return whether a TIFF has red, green and blue channels of 16 bits."""
    tags = tags_of(image)
    return (
        tags.get(tiff_tags.PHOTOMETRIC) == tiff_tags.RGB
        and min(tags.get(tiff_tags.BITS, (8,))) == 16
        and image.mode in ("RGB", "RGBA")
    )


def _deep_tiff(image: Image, data: bytes) -> npt.NDArray[Any]:
    """Decode a colour TIFF of 16 bits: uint16 (H, W, 3) RGB or (H, W, 4) RGBA, upright.

    Where only Pillow reads it, or where alpha was multiplied in, the low bytes are copies of the high ones.
    """
    if not _is_premultiplied(image):
        with suppress(ValueError):
            return _red_first(deep_channels(data))[..., : len(image.mode)]
    return np.asarray(image).astype(np.uint16) * np.uint16(257)


def _red_first(bgr: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return cv2.cvtColor(bgr, cv2.COLOR_BGRA2RGBA if bgr.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _deep(samples: npt.NDArray[Any], background: Colour, found: Depth) -> Pixels:
    """Convert uint16 samples of one, three or four channels to 8-bit RGB."""
    full = found.full_scale
    if samples.ndim == 2:
        return grey_to_rgb(depth.to_eight_bits(samples, full))
    if samples.shape[2] < 4:
        return depth.to_eight_bits(samples, full)
    alpha = samples[..., 3:]
    opaque = full if alpha.max() <= full else depth.DEEP  # alpha has the colours' full scale, or all 16 bits
    colour = depth.to_sixteen_bits(samples[..., :3], full)
    rgba = np.concatenate([colour, depth.to_sixteen_bits(alpha, opaque)], axis=2)
    return depth.to_eight_bits(lay_over(rgba, background))


def grey_to_rgb(grey: Pixels) -> Pixels:
    """Repeat one channel (H, W) three times, uint8 (H, W, 3)."""
    return cast(Pixels, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def lay_over(rgba: npt.NDArray[Any], background: Colour) -> npt.NDArray[Any]:
    """Lay straight alpha over a colour: colour · alpha + background · (1 − alpha)."""
    full = np.iinfo(rgba.dtype).max
    alpha = cv2.cvtColor(rgba[..., 3], cv2.COLOR_GRAY2RGB)
    if background == WHITE:  # white − (white − colour) · alpha
        absent = cv2.bitwise_not(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB))
        return cv2.bitwise_not(cv2.multiply(absent, alpha, scale=1 / full))
    share = alpha.astype(np.float32) / full
    behind = np.asarray(background, np.float32) * np.float32(full / 255)
    return np.rint(rgba[..., :3] * share + behind * (1 - share)).astype(rgba.dtype)
