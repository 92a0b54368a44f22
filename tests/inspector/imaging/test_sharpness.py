"""Sharpness, against OpenCV's Laplacian."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inspector.demo.photograph import render
from inspector.imaging.sharpness import sharpness


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_variance_of_the_laplacian(seed: int) -> None:
    """The sharpness equals the variance of OpenCV's Laplacian of OpenCV's grey, border excluded."""
    picture = render(seed, size=96).picture
    grey = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F, ksize=1)[1:-1, 1:-1]
    assert sharpness(picture) == pytest.approx(laplacian.var(), rel=1e-4)


def test_it_falls_with_blur() -> None:
    """A blurred picture is less sharp, and a flat picture has 0."""
    picture = render(1, size=96).picture
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.5).astype(np.uint8)
    assert sharpness(picture) > sharpness(blurred) > 0
    assert sharpness(np.full((40, 40, 3), (7, 90, 201), np.uint8)) == 0
