"""Latents: sampled from the prior, and interpolated."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.generation.latent import interpolate, sample_prior

SHAPES = [(2,), (64,), (32, 8, 8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_are_standard_normal(shape: tuple[int, ...]) -> None:
    """Latents have the shape that was asked for, mean 0 and variance 1."""
    latents = sample_prior(20_000 // shape[0], shape, seed=3)
    assert latents.shape == (20_000 // shape[0], *shape)
    assert latents.dtype == np.float32
    assert abs(latents.mean()) < 0.02
    assert abs(latents.std() - 1) < 0.02


def test_the_first_draws_do_not_depend_on_the_count() -> None:
    """The same seed begins with the same latents however many follow; another seed has others."""
    few, many = sample_prior(3, (32, 4, 4), seed=5), sample_prior(9, (32, 4, 4), seed=5)
    assert (many[:3] == few).all()
    assert not (sample_prior(3, (32, 4, 4), seed=6) == few).any()


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_both_ends_are_included(shape: tuple[int, ...], steps: int, straight: bool) -> None:
    """There are as many latents as steps; the first and the last are the ends, bit for bit."""
    a, b = sample_prior(2, shape, seed=1)
    latents = interpolate(a, b, steps, straight=straight)
    assert latents.shape == (steps, *shape)
    assert latents.dtype == np.float32
    assert (latents[0] == a).all()
    assert (latents[-1] == b).all()


def test_the_line_is_straight_and_even() -> None:
    """Each step of the line moves by the same vector."""
    a, b = sample_prior(2, (32, 4, 4), seed=1)
    moves = np.diff(interpolate(a, b, 6, straight=True), axis=0)
    assert np.allclose(moves, (b - a) / 5, atol=1e-6)


def test_the_arc_keeps_the_lengths_that_the_line_loses() -> None:
    """Lengths on the arc change evenly, at each position; on the line they sink towards √(d/2)."""
    a, b = sample_prior(2, (512, 3, 3), seed=2)
    first, last = (np.linalg.norm(latent, axis=0) for latent in (a, b))
    for t, latent in zip(np.linspace(0, 1, 5), interpolate(a, b, 5), strict=True):
        assert np.allclose(np.linalg.norm(latent, axis=0), (1 - t) * first + t * last, rtol=1e-4)
    middle = np.linalg.norm(interpolate(a, b, 3, straight=True)[1], axis=0)
    assert np.allclose(middle, np.sqrt(512 / 2), rtol=0.1)


def test_the_arc_turns_evenly() -> None:
    """From one step of the arc to the next the direction turns by the same angle."""
    a, b = sample_prior(2, (64,), seed=4)
    latents = interpolate(a, b, 7)
    units = latents / np.linalg.norm(latents, axis=1, keepdims=True)
    angles = np.arccos((units[1:] * units[:-1]).sum(axis=1))
    assert np.allclose(angles, angles[0], rtol=1e-3)


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0])
def test_without_an_angle_the_arc_is_the_line(factor: float) -> None:
    """The same direction, the opposite one and the origin give the line, and no division by zero."""
    (a,) = sample_prior(1, (16,), seed=1)
    b = factor * a
    assert np.allclose(interpolate(a, b, 5), interpolate(a, b, 5, straight=True), atol=1e-5)
