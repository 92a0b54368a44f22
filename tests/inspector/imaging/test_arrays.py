"""Arrays become uint8 RGB, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from inspector.errors import (
    UnknownFormatError,
)
from inspector.imaging.decode import decode
from tests.inspector.image_samples import (
    GREY,
    RGBA,
    WIDE,
    over_white,
    refused,
    scene,
)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, np.dstack([GREY] * 3)),
        (GREY[..., np.newaxis], np.dstack([GREY] * 3)),
        (scene(), scene()),
        (scene()[::-1, ::-1], scene()[::-1, ::-1]),
        (RGBA, np.rint(over_white(RGBA))),
        (GREY > 127, np.where(np.dstack([GREY] * 3) > 127, 255, 0)),
        (WIDE[..., 0], np.dstack([np.rint(WIDE[..., 0] / 257)] * 3)),
        (WIDE[..., :3], np.rint(WIDE[..., :3] / 257)),
        (WIDE[..., 0].astype(">u2"), np.dstack([np.rint(WIDE[..., 0] / 257)] * 3)),
        (scene().transpose(1, 0, 2), scene().transpose(1, 0, 2)),
    ],
)
def test_arrays(array: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Arrays of every allowed shape and type become contiguous RGB of 8 bits."""
    picture = decode(array)
    rounding = 1 if array.shape[2:] == (4,) else 0
    assert np.abs(picture.pixels - expected.astype(float)).max() <= rounding
    assert picture.pixels.flags.c_contiguous
    assert (picture.height, picture.width) == array.shape[:2]


def test_pixels_are_read_only() -> None:
    """Decoded pixels cannot be written, while the caller's array stays writable."""
    array = scene()
    picture = decode(array)
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0] = 0
    array[0, 0] = 7
    assert array.flags.writeable


@pytest.mark.parametrize(
    ("array", "fragment"),
    [
        (np.zeros((64, 64), np.float32), "float32"),
        (np.zeros((64, 64), np.int64), "int64"),
        (np.zeros((3, 64, 64), np.uint8), "(3, 64, 64)"),
        (np.zeros((1, 64, 64, 3), np.uint8), "(1, 64, 64, 3)"),
        (np.zeros((64, 64, 2), np.uint8), "(64, 64, 2)"),
        (np.zeros(64, np.uint8), "(64,)"),
        (np.array("part"), "()"),
    ],
)
def test_arrays_refused(array: npt.NDArray[Any], fragment: str) -> None:
    """An array of another type or shape is refused; the message names it and the allowed ones."""
    error = refused(array, UnknownFormatError)
    assert fragment in error.message
    assert "uint8" in error.message or "RGB" in error.message


@pytest.mark.parametrize("source", [None, 3, Image.new("RGB", (64, 64)), ["part.png"]])
def test_other_sources_refused(source: Any) -> None:
    """A source that is neither a path, bytes nor an array is refused by the name of its type."""
    assert type(source).__name__ in refused(source, UnknownFormatError).message
