"""Batches of whole pictures."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.article.batches import BATCH, NOISE, PictureSampler, to_pixels, to_tensor


def test_a_batch_depends_on_seed_and_step_alone(pixels: NDArray[np.uint8], pictures: PictureSampler) -> None:
    """A step gives the same batch in any order of calls; other steps and seeds give others."""
    first, later = pictures.draw(4), pictures.draw(5)
    again = PictureSampler(pixels, np.arange(10), flip=False, seed=3).draw(4)
    other = PictureSampler(pixels, np.arange(10), flip=False, seed=4).draw(4)
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not first.noisy.equal(later.noisy)
    assert not first.noisy.equal(other.noisy)


def test_no_picture_comes_twice_in_a_batch(pixels: NDArray[np.uint8]) -> None:
    """Of a hundred pictures a batch holds fifty different ones; of ten it holds all ten."""
    many = np.concatenate([pixels] * 9)[:100].copy()
    many[:, 0, 0, 0] = np.arange(100)
    batch = PictureSampler(many, np.arange(100), flip=False, seed=0).draw(0)
    marks = {round(float(picture[0, 0, 0]), 4) for picture in batch.clean}
    assert len(batch.clean) == len(marks) == BATCH
    assert len(PictureSampler(pixels, np.arange(10), flip=False, seed=0).draw(0).clean) == 10


def test_a_duplicate_group_is_drawn_as_often_as_one_picture(pixels: NDArray[np.uint8]) -> None:
    """Of 200 pictures 140 are near-duplicates: 35 in a batch if each counts, one or two as a group."""
    many = np.concatenate([pixels] * 17)[:200].copy()
    many[:140, 0, 0, 0], many[140:, 0, 0, 0] = 255, 0
    alike = np.r_[np.zeros(140, int), np.arange(1, 61)]
    for groups, low, high in ((None, 30, 40), (alike, 0.5, 3)):
        sampler = PictureSampler(many, np.arange(200), flip=False, seed=0, groups=groups)
        counts = [int((sampler.draw(step).clean[:, 0, 0, 0] > 0).sum()) for step in range(20)]
        assert low <= np.mean(counts) <= high


def test_the_noise_is_a_truncated_normal(pictures: PictureSampler) -> None:
    """No value lies beyond two standard deviations; the spread is 0.88 of the whole normal's."""
    batch = pictures.draw(0)
    noise = batch.noisy - batch.clean
    assert float(noise.abs().max()) <= 2 * NOISE + 1e-6
    assert abs(float(noise.std()) / NOISE - 0.8796) < 0.01


def test_pictures_are_mirrored_only_on_request(pixels: NDArray[np.uint8]) -> None:
    """With `flip` some pictures are mirrored and some are not; without it none is."""
    known = to_tensor(pixels[:1])[0]
    for flip, expected in ((True, {True, False}), (False, {True})):
        sampler = PictureSampler(pixels, np.arange(1), flip=flip, seed=0)
        drawn = [sampler.draw(step).clean[0] for step in range(12)]
        assert {bool(x.equal(known)) for x in drawn} == expected
        assert all(x.equal(known) or x.equal(known.flip(2)) for x in drawn)


def test_pixels_survive_the_conversion_and_back(pixels: NDArray[np.uint8]) -> None:
    """0 to 255 becomes −1 to 1 and back without a change; values beyond are clipped."""
    x = to_tensor(pixels)
    assert float(x.min()) >= -1
    assert float(x.max()) <= 1
    np.testing.assert_array_equal(to_pixels(x), pixels)
    assert to_pixels(torch.full((1, 3, 2, 2), 7.0)).max() == 255
