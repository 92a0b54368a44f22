"""Pictures laid out in rows and columns."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.imaging import montage
from tests.inspector.tiny_bundle import good_picture


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 16, 17])
def test_every_picture_lies_where_it_belongs(count: int) -> None:
    """Rows are filled from left to right; pixels stay the same, and the rest is the ground."""
    pictures = [good_picture(seed, 40, 64) for seed in range(count)]
    columns, between = montage.columns_for(count), montage.gap(40, 64)
    laid = montage.lay_out(pictures, columns)
    assert laid.shape == (*montage.extent(count, columns, 40, 64), 3)
    for index, picture in enumerate(pictures):
        top = between + index // columns * (40 + between)
        left = between + index % columns * (64 + between)
        cell = laid[top : top + 40, left : left + 64]
        assert (cell == picture).all()
        cell[:] = montage.GROUND
    assert (laid == montage.GROUND).all()


def test_it_is_about_as_wide_as_high() -> None:
    """A square number of pictures gives a square; there is no empty row, and no empty column."""
    for count in range(1, 200):
        columns = montage.columns_for(count)
        assert columns**2 >= count > columns * (-(-count // columns) - 1)
    assert montage.extent(9, 3, 64, 64) == (3 * 64 + 4 * 2, 3 * 64 + 4 * 2)
    assert montage.extent(2, 50, 64, 64) == montage.extent(2, 2, 64, 64)


def test_a_stack_is_one_above_the_other() -> None:
    """Both pictures keep their pixels; the first one is above."""
    upper, lower = good_picture(1), good_picture(2)
    stacked = montage.stack(upper, lower)
    assert (stacked[:64] == upper).all()
    assert (stacked[-64:] == lower).all()
    assert (stacked[64:-64] == montage.GROUND).all()
    assert np.array(stacked).shape[0] < 2 * 64 + montage.gap(64, 64)
