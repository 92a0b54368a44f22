"""The mask becomes a clean alpha matte."""

from __future__ import annotations

import cv2
import numpy as np

from inspector.cutout import matte
from inspector.cutout.matte import MatteOptions
from inspector.cutout.picture import Options, cut_out
from inspector.cutout.segmentation import SegmentationOptions
from inspector.imaging.encode import encode_png
from tests.inspector.cutout.scenes import disc, noisy, painted, plain


def test_tiny_parts_are_dropped_and_small_holes_filled() -> None:
    """The tiny part is dropped and the small hole is filled; options change both."""
    mask = disc(60, 80, 40) | disc(135, 80, 12)
    mask[2:4, 2:4] = True
    mask[78:81, 58:61] = False
    mask[60:72, 45:57] = False
    tidied = matte.clean(mask, MatteOptions())
    assert not tidied[2, 2]
    assert tidied[79, 59]
    assert tidied[80, 135]
    assert not tidied[66, 50]
    assert not matte.clean(mask, MatteOptions(parts=1))[80, 135]
    assert matte.clean(mask, MatteOptions(holes=1.0))[66, 50]
    assert not matte.clean(mask, MatteOptions(holes=0.0))[79, 59]


def test_the_edge_of_a_large_picture_follows_its_colours() -> None:
    """A mask of a quarter of the size is drawn at full size within two pixels of the true edge."""
    row, column = np.indices((640, 640))
    away = np.sqrt((row - 320.0) ** 2 + (column - 320.0) ** 2) - 200
    picture = noisy(np.where(away[..., np.newaxis] <= 0, (180, 50, 40), (200, 200, 190)))
    mask = cv2.resize((away <= 0).astype(np.uint8), (160, 160), interpolation=cv2.INTER_NEAREST) > 0
    alpha = matte.alpha(mask, picture, MatteOptions())
    assert alpha.shape == (640, 640)
    assert alpha[away < -2].min() > 127 > alpha[away > 2].max()


def test_a_hard_edge_has_two_values() -> None:
    """Without a smooth edge, alpha is 0 or 255."""
    alpha = matte.alpha(disc(), painted(plain(), disc(), (10, 10, 10)), MatteOptions(edge_pixels=0))
    assert set(np.unique(alpha)) == {0, 255}


def test_a_cut_out_cut_out_again_is_the_same() -> None:
    """The cut-out of a cut-out has the same pixels."""
    once = cut_out(encode_png(painted(plain(), disc(), (10, 90, 160))), Options())
    assert once is not None
    twice = cut_out(encode_png(once.rgba), Options(SegmentationOptions(iterations=1)))
    assert twice is not None
    assert twice.had_alpha
    assert np.array_equal(twice.rgba, once.rgba)
