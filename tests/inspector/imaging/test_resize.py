"""Resizing stretches to the given size."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.imaging.resize import fit_to
from tests.inspector.image_samples import (
    HEIGHT,
    WIDTH,
    scene,
)


@pytest.mark.parametrize("size", [(24, 36), (96, 144), (24, 144), (96, 36), (48, 72), (48, 20)])
def test_fit_to(size: tuple[int, int]) -> None:
    """A picture is stretched to the given size; the result is contiguous and similar."""
    fitted = fit_to(scene(), *size)
    assert fitted.shape == (*size, 3)
    assert fitted.flags.c_contiguous
    assert fitted.dtype == np.uint8
    assert np.abs(fit_to(fitted, HEIGHT, WIDTH) - scene().astype(float)).mean() < 4


def test_fit_to_shrinks_by_area() -> None:
    """Shrinking by two is the mean of each block of four, in both directions or in one."""
    blocks = scene().astype(float)
    both = blocks.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(fit_to(scene(), HEIGHT // 2, WIDTH // 2) - both).max() <= 0.5
    rows = blocks.reshape(HEIGHT // 2, 2, WIDTH, 3).mean(axis=1)
    assert np.abs(fit_to(scene(), HEIGHT // 2, WIDTH) - rows).max() <= 0.5


def test_fit_to_same_size() -> None:
    """A picture of the right size is returned as it is; a view is made contiguous."""
    picture = scene()
    assert fit_to(picture, HEIGHT, WIDTH) is picture
    assert fit_to(picture[:, ::-1], HEIGHT, WIDTH).flags.c_contiguous
