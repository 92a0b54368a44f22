"""Encoded pictures decode to the same pixels."""

from __future__ import annotations

import numpy as np

from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_jpeg, encode_png
from tests.inspector.image_samples import (
    GREY,
    scene,
)


def test_encode() -> None:
    """PNG comes back exactly and JPEG closely, in colour and in grey."""
    np.testing.assert_array_equal(decode(encode_png(scene())).pixels, scene())
    np.testing.assert_array_equal(decode(encode_png(GREY)).pixels[..., 1], GREY)
    jpeg = decode(encode_jpeg(scene(), 95)).pixels
    assert np.abs(jpeg - scene().astype(float)).mean() < 3
    assert len(encode_jpeg(scene(), 30)) < len(encode_jpeg(scene(), 95))
