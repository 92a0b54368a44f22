"""Latents drawn as points."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.article.scatter import draw, least_gaussian, non_gaussianity


def normal(n: int = 2000, d: int = 6, seed: int = 0) -> NDArray[np.float64]:
    """Draws from N(0, I)."""
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("change", ["moved", "shrunken", "in two heaps", "skewed"])
def test_the_plane_shows_the_odd_direction(change: str) -> None:
    """The plane contains the one direction that is not like the prior."""
    latents = normal()
    latents[:, 3] = {
        "moved": latents[:, 3] + 2,
        "shrunken": latents[:, 3] * 0.1,
        "in two heaps": np.sign(latents[:, 3]) * 2 + latents[:, 3] * 0.1,
        "skewed": np.exp(latents[:, 3]),
    }[change]
    plane = least_gaussian(latents)
    np.testing.assert_allclose(plane.T @ plane, np.eye(2), atol=1e-9)
    shown = non_gaussianity(latents @ plane)
    assert shown > 5 * non_gaussianity(latents[:, :2])
    assert np.linalg.norm(plane[3]) > 0.5


def test_two_dimensions_are_shown_as_they_are() -> None:
    """The plane is the space itself."""
    assert least_gaussian(normal(d=2)).tolist() == [[1, 0], [0, 1]]


def test_the_plane_depends_on_the_latents_alone() -> None:
    """The same latents give the same plane."""
    latents = normal(100)
    assert np.array_equal(least_gaussian(latents), least_gaussian(latents))


def test_the_prior_itself_is_about_zero() -> None:
    """Draws from the prior have its moments; draws twice as wide do not."""
    assert non_gaussianity(normal(d=2)) < 0.05
    assert non_gaussianity(2 * normal(d=2)) > 5


def test_points_are_drawn_at_their_position() -> None:
    """The origin is in the middle, y points up, far points lie at the edge, later samples on top."""
    red, blue = (255, 0, 0), (0, 0, 255)
    points = np.array([[0.0, 0.0], [2.0, 3.0], [99.0, 0.0]])
    picture = draw([(points, red), (points[:1], blue)], side=101)
    assert picture[50, 50].tolist() == list(blue)
    assert picture[round(100 * (1 - 3 / 4) / 2), 75].tolist() == list(red)
    assert picture[50, 98].tolist() == list(red)
    assert picture[5, 5].tolist() == [255, 255, 255]
