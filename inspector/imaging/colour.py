"""Converts samples of any kind to 8-bit RGB, and lays transparent pixels over a colour."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from inspector.imaging import header
from inspector.types import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)

_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262


def to_rgb(image: Image, kind: str, data: bytes, background: Colour) -> Pixels:
    """Turn a picture that Pillow has loaded into uint8 (H, W, 3) RGB, whatever its mode.

    Parameters
    ----------
    image : Image
        A picture that Pillow has loaded.
    kind : str
        The format, as `header.sniff` names it; empty for an image without a file.
    data : bytes
        The file; Pillow drops the low bytes of some 16-bit PNGs, so they are decoded from it again.
    background : (red, green, blue)
        The colour behind transparent pixels.

    Raises
    ------
    ValueError
        The samples are of a kind that is not read.
    """
    mode = image.mode
    if mode == "F":
        raise ValueError("floating point samples are not supported, their full scale is not known")
    if mode.startswith("I"):
        return _deep_grey(image, background)
    if kind == "PNG" and header.has_deep_colour(data):
        return _deep_colour(data, background)
    if image.has_transparency_data:
        straight = image.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode))
        return cast(Pixels, lay_over(np.asarray(straight.convert("RGBA")), background))
    if mode in ("1", "L"):
        return grey_to_rgb(np.asarray(image if mode == "L" else image.convert("L")))
    return np.asarray(image if mode == "RGB" else image.convert("RGB"))


def _deep_grey(image: Image, background: Colour) -> Pixels:
    """Convert one channel of up to 16 bits to 8-bit RGB."""
    values = np.asarray(image)
    if values.dtype.itemsize > 2 and (values.min() < 0 or values.max() > 65535):
        raise ValueError(f"samples of {values.min()} to {values.max()} are not supported, 0 to 65535 are")
    values = values.astype(np.uint16)
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    full = 4095 if tags.get(_TIFF_BITS) == (12,) else 65535
    if tags.get(_TIFF_PHOTOMETRIC) == 0:  # white is zero
        values = full - values
    rgb = grey_to_rgb(to_eight_bits(values, full))
    if "transparency" in image.info:  # the one transparent value
        rgb[values == image.info["transparency"]] = background
    return rgb


def deep_channels(data: bytes) -> npt.NDArray[Any]:
    """Decode several 16-bit channels, BGR or BGRA, with OpenCV: Pillow keeps only their high bytes.

    Raises
    ------
    ValueError
        OpenCV cannot decode them.
    """
    channels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if channels is None:
        raise ValueError("16 bit colour cannot be decoded")
    return channels


def _deep_colour(data: bytes, background: Colour) -> Pixels:
    bgr = deep_channels(data)
    if bgr.shape[2] == 4:
        return to_eight_bits(lay_over(cv2.cvtColor(bgr, cv2.COLOR_BGRA2RGBA), background))
    return to_eight_bits(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def to_eight_bits(values: npt.NDArray[Any], full: int = 65535) -> Pixels:
    """Scale samples of 0 to `full` to 0 to 255, rounded."""
    return cast(Pixels, _eight_bit_table(full)[values])


@lru_cache(maxsize=2)
def _eight_bit_table(full: int) -> Pixels:
    return np.rint(np.arange(full + 1) * 255 / full).astype(np.uint8)


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
