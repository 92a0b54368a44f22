"""Synthetic defects."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.defects import corrupt
from models.defects.fills import FILLS
from models.defects.masks import MASKS, perlin


def crop_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One picture as the training uses it, float32 in 0 to 1."""
    return np.asarray(pixels[0].astype(np.float32) / 255)


def test_same_seed_same_defects(pixels: NDArray[np.uint8]) -> None:
    """The defects depend on the generator alone."""
    crop = crop_of(pixels)
    first, second = (corrupt(np.random.default_rng(5), crop, crop[::-1], 0.2) for _ in range(2))
    np.testing.assert_array_equal(first.picture, second.picture)
    np.testing.assert_array_equal(first.label, second.label)


def test_labels_mark_changes_only(pixels: NDArray[np.uint8]) -> None:
    """Pictures and labels are in 0 to 1, and labels lie within a pixel of a change."""
    crop = crop_of(pixels)
    other = pixels[1].astype(np.float32) / 255
    corrupted = 0
    for seed in range(200):
        picture, label = corrupt(np.random.default_rng(seed), crop, other, 0.15)
        assert picture.shape == crop.shape
        assert picture.dtype == label.dtype == np.float32
        assert np.isfinite(picture).all()
        assert 0 <= picture.min() <= picture.max() <= 1
        assert 0 <= label.min() <= label.max() <= 1
        changed = np.abs(picture - crop).max(2) > 1e-3
        padded = np.pad(changed, 1)
        near = np.any([padded[y : y + 64, x : x + 64] for y in range(3) for x in range(3)], axis=0)
        assert not label[~near].any()
        corrupted += bool(label.max() > 0.5)
    assert 0.5 < corrupted / 200 < 0.85


def test_an_invisible_edit_is_not_labelled(pixels: NDArray[np.uint8]) -> None:
    """The same change counts less in a picture of higher contrast."""
    crop = crop_of(pixels)
    faint, plain = (
        np.mean([corrupt(np.random.default_rng(s), crop, crop, c).label.mean() for s in range(60)])
        for c in (5.0, 0.05)
    )
    assert faint < 0.5 * plain


@pytest.mark.parametrize("name", MASKS)
def test_each_mask_covers_some_and_not_all(name: str) -> None:
    """A mask lies in 0 to 1, and most draws cover between a few pixels and two thirds."""
    areas = []
    for seed in range(40):
        mask = MASKS[name][1](np.random.default_rng(seed), 128, 128)
        assert mask.shape == (128, 128)
        assert 0 <= mask.min() <= mask.max() <= 1
        areas.append(mask.mean())
    assert 1e-4 < np.median(areas) < 0.66


@pytest.mark.parametrize("name", FILLS)
def test_each_fill_changes_the_crop(name: str, pixels: NDArray[np.uint8]) -> None:
    """A fill has the crop's shape and differs from it."""
    crop, mask = crop_of(pixels), np.zeros((64, 64), np.float32)
    mask[20:40, 20:40] = 1
    fill = FILLS[name][1](np.random.default_rng(1), crop, crop[::-1], mask)
    assert fill.shape == crop.shape
    assert float(np.abs(fill - crop).mean()) > 1e-3


def test_noise_is_smooth() -> None:
    """Neighbouring values of the noise differ far less than distant ones."""
    noise = perlin(np.random.default_rng(0), 128, 128)
    assert np.abs(np.diff(noise, axis=0)).mean() < 0.3 * noise.std()
