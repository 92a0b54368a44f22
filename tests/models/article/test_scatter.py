"""Codes as a picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.article.scatter import draw, least_gaussian, non_gaussianity


def normal(n: int = 2000, d: int = 6, seed: int = 0) -> NDArray[np.float64]:
    """Draws of N(0, I)."""
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("change", ["moved", "shrunken", "in two heaps", "skewed"])
def test_the_plane_shows_what_is_wrong(change: str) -> None:
    """One direction that is not like the prior lies in the plane that is shown."""
    codes = normal()
    codes[:, 3] = {
        "moved": codes[:, 3] + 2,
        "shrunken": codes[:, 3] * 0.1,
        "in two heaps": np.sign(codes[:, 3]) * 2 + codes[:, 3] * 0.1,
        "skewed": np.exp(codes[:, 3]),
    }[change]
    plane = least_gaussian(codes)
    np.testing.assert_allclose(plane.T @ plane, np.eye(2), atol=1e-9)
    shown = non_gaussianity(codes @ plane)
    assert shown > 5 * non_gaussianity(codes[:, :2])
    assert np.linalg.norm(plane[3]) > 0.5


def test_two_dimensions_are_shown_as_they_are() -> None:
    """There is nothing to choose."""
    assert least_gaussian(normal(d=2)).tolist() == [[1, 0], [0, 1]]


def test_the_plane_depends_on_the_codes_alone() -> None:
    """The same codes give the same plane."""
    codes = normal(100)
    assert np.array_equal(least_gaussian(codes), least_gaussian(codes))


def test_the_prior_itself_is_about_zero() -> None:
    """Draws of the prior have moments like the prior's; twice as wide ones do not."""
    assert non_gaussianity(normal(d=2)) < 0.05
    assert non_gaussianity(2 * normal(d=2)) > 5


def test_points_are_drawn_where_they_are() -> None:
    """The origin is the middle, up is up, what lies beyond is at the edge, later samples lie above."""
    red, blue = (255, 0, 0), (0, 0, 255)
    points = np.array([[0.0, 0.0], [2.0, 3.0], [99.0, 0.0]])
    picture = draw([(points, red), (points[:1], blue)], side=101)
    assert picture[50, 50].tolist() == list(blue)
    assert picture[round(100 * (1 - 3 / 4) / 2), 75].tolist() == list(red)
    assert picture[50, 98].tolist() == list(red)
    assert picture[5, 5].tolist() == [255, 255, 255]
