"""Turns pictures upright, as their EXIF orientation says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import cv2
import numpy.typing as npt

from inspector.imaging import header

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

AnyPixels = TypeVar("AnyPixels", bound=npt.NDArray[Any])


def orientation(image: ImageFile, kind: str) -> int:
    """Return the orientation of a loaded picture, 1 to 8 as in EXIF; 1 is upright."""
    if kind == "TIFF":  # Pillow has turned it already
        return 1
    return header.orientation(image.info.get("exif", b""))


def upright(pixels: AnyPixels, turn: int) -> AnyPixels:
    """Turn pixels upright according to an EXIF orientation."""
    if turn in (5, 7):  # mirrored along a diagonal
        pixels = cast(AnyPixels, cv2.transpose(pixels))
    if turn in (3, 7):
        return cast(AnyPixels, cv2.rotate(pixels, cv2.ROTATE_180))
    if turn in (6, 8):
        clockwise = turn == 6
        rotation = cv2.ROTATE_90_CLOCKWISE if clockwise else cv2.ROTATE_90_COUNTERCLOCKWISE
        return cast(AnyPixels, cv2.rotate(pixels, rotation))
    if turn in (2, 4):
        return cast(AnyPixels, cv2.flip(pixels, 1 if turn == 2 else 0))
    return pixels
