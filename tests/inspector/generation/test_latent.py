"""Codes: drawn from the prior, and the way from one to another."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.generation.latent import Course, between, draw

SHAPES = [(2,), (64,), (32, 8, 8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_are_standard_normal(shape: tuple[int, ...]) -> None:
    """Codes have the shape that was asked for, mean 0 and variance 1."""
    codes = draw(20_000 // shape[0], shape, seed=3)
    assert codes.shape == (20_000 // shape[0], *shape)
    assert codes.dtype == np.float32
    assert abs(codes.mean()) < 0.02
    assert abs(codes.std() - 1) < 0.02


def test_the_first_draws_do_not_depend_on_the_count() -> None:
    """The same seed begins with the same codes however many follow; another seed has others."""
    few, many = draw(3, (32, 4, 4), seed=5), draw(9, (32, 4, 4), seed=5)
    assert (many[:3] == few).all()
    assert not (draw(3, (32, 4, 4), seed=6) == few).any()


@pytest.mark.parametrize("course", Course)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_both_ends_are_included(shape: tuple[int, ...], steps: int, course: Course) -> None:
    """A way has as many codes as steps; the first and the last are the ends, bit for bit."""
    a, b = draw(2, shape, seed=1)
    codes = between(a, b, steps, course)
    assert codes.shape == (steps, *shape)
    assert codes.dtype == np.float32
    assert (codes[0] == a).all()
    assert (codes[-1] == b).all()


def test_the_line_is_straight_and_even() -> None:
    """Each step of the line moves by the same vector."""
    a, b = draw(2, (32, 4, 4), seed=1)
    moves = np.diff(between(a, b, 6, Course.LINE), axis=0)
    assert np.allclose(moves, (b - a) / 5, atol=1e-6)


def test_the_arc_keeps_the_lengths_that_the_line_loses() -> None:
    """Lengths on the arc change evenly, at each place; on the line they sink towards √(d/2)."""
    a, b = draw(2, (512, 3, 3), seed=2)
    first, last = (np.linalg.norm(code, axis=0) for code in (a, b))
    for t, code in zip(np.linspace(0, 1, 5), between(a, b, 5), strict=True):
        assert np.allclose(np.linalg.norm(code, axis=0), (1 - t) * first + t * last, rtol=1e-4)
    middle = np.linalg.norm(between(a, b, 3, Course.LINE)[1], axis=0)
    assert np.allclose(middle, np.sqrt(512 / 2), rtol=0.1)


def test_the_arc_turns_evenly() -> None:
    """From one step of the arc to the next the direction turns by the same angle."""
    a, b = draw(2, (64,), seed=4)
    codes = between(a, b, 7)
    units = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    angles = np.arccos((units[1:] * units[:-1]).sum(axis=1))
    assert np.allclose(angles, angles[0], rtol=1e-3)


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0])
def test_without_an_angle_the_arc_is_the_line(factor: float) -> None:
    """The same direction, the opposite one and the origin give the line, and no division by zero."""
    (a,) = draw(1, (16,), seed=1)
    b = factor * a
    assert np.allclose(between(a, b, 5), between(a, b, 5, Course.LINE), atol=1e-5)
