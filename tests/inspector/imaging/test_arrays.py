"""Arrays become uint8 RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from inspector.imaging.decode import decode
from tests.inspector.image_samples import (
    GREY,
    RGBA,
    WIDE,
    over_white,
    scene,
)

PILLOW_BITS = np.array(Image.fromarray(np.where(GREY > 127, 255, 0).astype(np.uint8)).convert("1"))


def test_pillow_writes_true_as_255() -> None:
    """The byte behind True is not always 1."""
    assert PILLOW_BITS.dtype == np.bool_
    assert set(np.unique(PILLOW_BITS.view(np.uint8))) == {0, 255}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, np.dstack([GREY] * 3)),
        (GREY[..., np.newaxis], np.dstack([GREY] * 3)),
        (scene(), scene()),
        (scene()[::-1, ::-1], scene()[::-1, ::-1]),
        (RGBA, np.rint(over_white(RGBA))),
        (GREY > 127, np.where(np.dstack([GREY] * 3) > 127, 255, 0)),
        (PILLOW_BITS, np.where(np.dstack([GREY] * 3) > 127, 255, 0)),
        (PILLOW_BITS[..., np.newaxis], np.where(np.dstack([GREY] * 3) > 127, 255, 0)),
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
