"""Pairs of views: the same places, other light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.pretrained.views import BRIGHTNESS, Look, Source, ViewSampler, retaken, two_views

LOOK = Look()


def chart() -> NDArray[np.uint8]:
    """A picture whose red is x, whose green is y, one level a pixel; uint8 (224, 224, 3)."""
    y, x = np.mgrid[:224, :224]
    return np.stack([x, y, np.full_like(x, 99)], 2).astype(np.uint8)


def levels(view: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Red and green of a view at points (K, 2)."""
    x, y = points[:, :1], points[:, 1:]
    return np.asarray(cv2.remap(view.astype(np.float32), x, y, cv2.INTER_LINEAR)[:, 0, :2], np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_points_show_the_same_place_in_both_views(seed: int) -> None:
    """Both views of the chart have the same colour there; at another point's place they have not."""
    (first, second), points = two_views(np.random.default_rng(seed), chart(), LOOK)
    found, expected = levels(second, points[1]), levels(first, points[0])
    assert np.abs(found - expected).max() < 3  # of 224 levels: rounding, and mirrors at the border
    assert np.abs(np.roll(found, 1, 0) - expected).mean() > 10


def test_views_differ_as_the_look_allows() -> None:
    """Turn, magnification and flip follow from the points; over many pairs they use their ranges."""
    turns, zooms = [], []
    for seed in range(200):
        views, (first, second) = two_views(np.random.default_rng(seed), chart(), LOOK)
        assert views.shape == (2, LOOK.side, LOOK.side, 3)
        assert first.shape == (LOOK.points, 2)
        for points in (first, second):
            assert points.min() >= LOOK.margin
            assert points.max() <= LOOK.side - LOOK.margin
        across = np.linalg.lstsq(np.c_[first, np.ones(LOOK.points)], second, rcond=None)[0][:2].T
        assert np.linalg.det(across) > 0  # both views are flipped, or none
        zooms.append(np.log(np.linalg.det(across)) / 2)
        turns.append(np.rad2deg(np.arctan2(across[1, 0], across[0, 0])))
    assert 10 < np.abs(turns).max() < LOOK.turn + 0.1
    assert 0.15 < np.abs(zooms).max() < 2 * LOOK.zoom + 0.01


def test_pictures_are_shown_at_every_quarter_turn_and_flipped() -> None:
    """Red rises to the right, left, bottom or top of a view; half of the views are mirrored."""
    seen = set()
    for seed in range(60):
        (view, _), _ = two_views(np.random.default_rng(seed), chart(), Look(scale=(2.0, 2.5)))
        slopes = [np.gradient(view[..., c].astype(float), axis=a).mean() for c in (0, 1) for a in (1, 0)]
        seen.add(tuple(np.sign(np.round(slopes, 1)).tolist()))
    assert len(seen) == 8


def test_views_that_share_too_little_are_drawn_again() -> None:
    """Far shifts often leave no common place; the views that are returned have one."""
    look = Look(shift=0.45)
    for seed in range(20):
        _, points = two_views(np.random.default_rng(seed), chart(), look)
        assert points.shape == (2, look.points, 2)
        assert points.min() >= look.margin


def test_a_retaken_view_keeps_what_it_shows() -> None:
    """Light, colour and noise differ each time, a quarter of the views is grey, and the pattern stays."""
    blocks = np.random.default_rng(0).integers(60, 200, (12, 12, 3))
    view = np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)
    pattern = view.mean(2) - cv2.blur(view.mean(2), (24, 24))
    means, grey = set(), 0
    for seed in range(200):
        again = retaken(np.random.default_rng(seed), view)
        assert again.dtype == np.float32
        assert 0 <= again.min() < again.max() <= 1
        shown = again.mean(2) - cv2.blur(again.mean(2), (24, 24))
        assert np.corrcoef(shown.ravel(), pattern.ravel())[0, 1] > 0.8
        grey += np.corrcoef(again[..., 0].ravel(), again[..., 1].ravel())[0, 1] > 0.7
        means.add(round(float(again.mean()), 3))
    assert len(means) > 100
    assert 30 < grey < 70


def sampler(seed: int, look: Look = LOOK) -> ViewSampler:
    """Draws from noise alone."""
    noise = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)
    return ViewSampler([Source(noise, 1.0)], look, seed)


def test_views_depend_on_seed_and_step_alone() -> None:
    """Step 3 is the same whatever was drawn before; another seed or step gives other views."""
    look = Look(pictures=3)
    one = sampler(1, look)
    views = one.draw(3)
    other_step = one.draw(4)
    again, other_seed = sampler(1, look).draw(3), sampler(2, look).draw(3)
    assert views.pictures.equal(again.pictures)
    assert views.points.equal(again.points)
    assert not views.pictures.equal(other_step.pictures)
    assert not views.pictures.equal(other_seed.pictures)
    assert views.pictures.shape == (6, 3, 96, 96)
    assert views.points.shape == (2, 3, 14, 2)


def test_both_views_of_a_picture_are_neighbours_by_half_a_batch() -> None:
    """Picture i and picture B + i come from one picture: each picture of the bank has a colour of its own."""
    colours = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250]], np.uint8)
    bank = np.broadcast_to(colours[:, None, None], (3, 64, 64, 3)).copy()
    bank[:, ::2] //= 2
    views = ViewSampler([Source(bank, 1.0)], Look(pictures=30), 0).draw(0)
    spread = views.pictures.mean((2, 3))
    coloured = (spread.max(1).values - spread.min(1).values) > 0.1  # the others were made grey
    strongest = spread.argmax(1)
    both = coloured[:30] & coloured[30:]
    assert int(both.sum()) > 8
    assert strongest[:30][both].equal(strongest[30:][both])
    assert set(strongest[:30][both].tolist()) == {0, 1, 2}


def test_views_have_one_brightness() -> None:
    """Noise of middle grey has the brightness that a fit gives to pictures."""
    means = sampler(0, Look(pictures=12)).draw(0).pictures.mean((1, 2, 3))
    torch.testing.assert_close(means, torch.full((24,), BRIGHTNESS), atol=1e-4, rtol=0)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_sources_are_drawn_by_their_shares(share: float) -> None:
    """Of 400 pictures, the share of the striped source is striped; the other source is plain."""
    plain = np.full((4, 64, 64, 3), 128, np.uint8)
    striped = np.zeros((2, 64, 64, 3), np.uint8)
    striped[:, (np.arange(64) // 8) % 2 == 0] = 255
    look = Look(pictures=400, points=2, side=32, margin=3)
    views = ViewSampler([Source(plain, 1 - share), Source(striped, share)], look, 3).draw(0)
    found = (views.pictures[:400].std((1, 2, 3)) > 0.2).float().mean()
    assert float(found) == pytest.approx(share, abs=0.06)
