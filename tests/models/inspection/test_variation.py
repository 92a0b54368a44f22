"""Pictures from which nothing can be learned are refused before the training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.demo.photograph import render
from inspector.errors import DatasetError
from models.inspection.variation import check_variation

Pixels = NDArray[np.uint8]
SIDE, COUNT = 64, 12
RNG = np.random.default_rng(0)
PART = render(0, size=SIDE).picture


def changed(change: Callable[[Pixels, int], None]) -> Pixels:
    """Copies of one part, each changed."""
    pixels = np.stack([PART] * COUNT)
    for number, picture in enumerate(pixels):
        change(picture, number)
    return pixels


def spot(picture: Pixels, number: int) -> None:
    """Paint a spot of 7 x 7 pixels, less than four patches of 4 x 4."""
    picture[10:17, 20:27] = 20 * number


def patches(picture: Pixels, number: int) -> None:
    """Paint four patches of 4 x 4 pixels."""
    picture[10:18, 20:28] = 20 * number


def by_one(picture: Pixels, number: int) -> None:
    """Darken every other picture by one level."""
    picture[:] = np.maximum(picture, 1) - number % 2


def noisy(deviation: float) -> Pixels:
    """Copies of one part with the noise of a camera, rounded to whole levels."""
    noise = RNG.normal(0, deviation, (COUNT, SIDE, SIDE, 3))
    return np.clip(PART + noise, 0, 255).round().astype(np.uint8)


ALIKE = {
    "the same": np.stack([PART] * COUNT),
    "one spot": changed(spot),
    "rounding": changed(by_one),
    "hardly any noise": noisy(0.3),
}
EMPTY = {
    "black": np.zeros((COUNT, SIDE, SIDE, 3), np.uint8),
    "each another colour": np.repeat(np.arange(COUNT, dtype=np.uint8) * 20, SIDE * SIDE * 3).reshape(
        COUNT, SIDE, SIDE, 3
    ),
    "mostly black": np.stack([np.zeros_like(PART)] * 7 + [PART] * 5),
}
DIFFERENT = {
    "parts": np.stack([render(seed, size=SIDE).picture for seed in range(COUNT)]),
    "noise alone": RNG.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8),
    "a camera's noise": noisy(1.0),
    "four patches": changed(patches),
    "some black": np.stack([np.zeros_like(PART)] * 6 + [PART] * 6),
}


@pytest.mark.parametrize("case", ALIKE)
def test_pictures_that_hardly_differ(case: str) -> None:
    """The error says how little changes, and how much has to; the hint says what to do."""
    with pytest.raises(DatasetError, match="the 12 pictures in 'parts' hardly differ") as refused:
        check_variation(Path("parts"), ALIKE[case])
    assert "255 levels or less (0.6 would do)" in refused.value.message
    assert refused.value.hint.startswith("give pictures of different good parts")


@pytest.mark.parametrize(
    ("case", "number"), [("black", 12), ("each another colour", 12), ("mostly black", 7)]
)
def test_pictures_that_show_nothing(case: str, number: int) -> None:
    """They are counted."""
    with pytest.raises(DatasetError, match=f"{number} of 12 pictures in 'parts' show nothing"):
        check_variation(Path("parts"), EMPTY[case])


@pytest.mark.parametrize("case", DIFFERENT)
def test_pictures_that_differ(case: str) -> None:
    """A part of the picture that changes is enough, and so is the noise of a camera."""
    check_variation(Path("parts"), DIFFERENT[case])
