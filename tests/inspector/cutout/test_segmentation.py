"""The object of a picture is found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.cutout import evidence
from inspector.cutout.segmentation import find_object
from tests.inspector.cutout.scenes import SIDE, disc, noisy, overlap, painted, plain


def test_a_soft_shadow_stays_behind() -> None:
    """A soft shadow on a plain background is not part of the object."""
    mask = disc()
    shadow = cv2.GaussianBlur(np.roll(mask, (10, 10), (0, 1)).astype(np.float64), (0, 0), 12)
    picture = painted(plain() * (1 - 0.4 * shadow[..., np.newaxis]), mask, (60, 60, 70))
    assert overlap(find_object(picture), mask) > 0.97


def test_light_that_falls_off_is_no_object() -> None:
    """A brighter middle of a plain background is not part of the object."""
    row, column = np.indices((SIDE, SIDE))
    light = 220 - ((row - 80) ** 2 + (column - 80) ** 2)[..., np.newaxis] / 160
    picture = painted(light * np.ones(3), disc(radius=30), (90, 40, 40))
    assert overlap(find_object(picture), disc(radius=30)) > 0.97


def test_an_object_may_reach_over_one_side() -> None:
    """An object that the lower side cuts off is found down to the last row."""
    mask = disc(80, 130, 45)
    found = find_object(painted(plain(), mask, (40, 90, 160)))
    assert overlap(found, mask) > 0.95
    assert found is not None
    assert found[-1].sum() > 0.9 * mask[-1].sum()


def test_sharpness_is_evidence() -> None:
    """In front of a blurred background, sharpness is evidence for an object of the same colours."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(30, 220, (40, 40, 3))
    squares = np.kron(coarse, np.ones((4, 4, 1)))
    mask = disc(radius=45)
    ground = cv2.GaussianBlur(np.kron(rng.permutation(coarse), np.ones((4, 4, 1))), (0, 0), 2.0)
    picture = noisy(np.where(mask[..., np.newaxis], squares, ground))
    found = evidence.further_evidence(picture, (), ())
    assert np.median(found[disc(radius=35)]) > 0 > np.median(found[~disc(radius=60)])


def test_sharpness_everywhere_is_no_evidence() -> None:
    """A texture that is equally sharp everywhere gives no evidence."""
    texture = np.random.default_rng(1).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    assert not evidence.further_evidence(texture, (), ()).any()


@pytest.mark.parametrize("picture", [plain(90), plain(0), plain(255) * 0 + np.arange(SIDE)[:, None, None]])
def test_nothing_stands_out_of_a_plain_picture(picture: NDArray[np.floating]) -> None:
    """One colour, or a ramp from dark to bright, holds no object."""
    assert find_object(picture.astype(np.uint8)) is None


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_has_the_turned_object(turns: int) -> None:
    """A turned picture has the turned mask."""
    mask = disc(60, 90, 35)
    picture = painted(plain(), mask, (30, 120, 60))
    found = find_object(np.ascontiguousarray(np.rot90(picture, turns)))
    assert overlap(found, np.rot90(mask, turns)) > 0.97
