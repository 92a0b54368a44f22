"""Encodes pixels as PNG, JPEG or an animation."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Literal, cast

import cv2
from PIL import Image

from inspector.types import Pixels


def encode_png(pixels: Pixels) -> bytes:
    """Encode uint8 pixels, (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey, as PNG."""
    return _encode(".png", pixels, [])


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """Encode uint8 pixels, (H, W, 3) RGB or (H, W) grey, as JPEG of a quality of 1 to 100."""
    return _encode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_animation(
    frames: Sequence[Pixels], milliseconds: Sequence[int], kind: Literal["GIF", "PNG", "WEBP"]
) -> bytes:
    """Encode uint8 frames (H, W, 3) RGB as an endless animation.

    Parameters
    ----------
    frames : sequence of ndarray
        Frames of the same size.
    milliseconds : sequence of int
        Duration of each frame; equal neighbours become one frame with both durations.
    kind : str
        Format; PNG and WebP are lossless, GIF keeps the nearest 256 colours of each frame.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    if kind == "GIF":  # dithering would flicker
        pictures = [picture.quantize(256, dither=Image.Dither.NONE) for picture in pictures]
    options = {"lossless": True} if kind == "WEBP" else {}
    stream = BytesIO()
    pictures[0].save(
        stream,
        kind,
        save_all=True,
        append_images=pictures[1:],
        duration=list(milliseconds),
        loop=0,
        **options,
    )
    return stream.getvalue()


def _encode(suffix: str, pixels: Pixels, options: list[int]) -> bytes:
    picture = pixels
    if pixels.ndim == 3:
        order = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        picture = cast(Pixels, cv2.cvtColor(pixels, order))
    return cv2.imencode(suffix, picture, options)[1].tobytes()
