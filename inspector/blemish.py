"""The defects that a rendered part can have: each draws its own shape, then paints it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from inspector.flange import TURN, Flange, Paint, Plane


@dataclass(frozen=True)
class Blemish:
    """A defect at its place, relative to the centre of the part, in pixels.

    Attributes
    ----------
    x, y, reach : float
        Nothing changes further than `reach` from (x, y), across or down.
    paint : callable
        Takes the planes of x and y, relative to the centre of the part; returns `Paint`.
    """

    x: float
    y: float
    reach: float
    paint: Callable[[Plane, Plane], Paint]


def _polar(length: float, angle: float) -> tuple[float, float]:
    return length * math.cos(angle), length * math.sin(angle)


def _between_holes(flange: Flange, rng: np.random.Generator, near: float, far: float) -> tuple[float, float]:
    """Return a place between two holes, `near` to `far` radii from the centre of the part."""
    sector = TURN / flange.holes
    between = rng.integers(flange.holes) + rng.uniform(0.3, 0.7)
    return _polar(flange.radius * rng.uniform(near, far), flange.turn + sector * float(between))


def _waves(rng: np.random.Generator, length: float, count: int = 7) -> Callable[[Plane, Plane], Plane]:
    """Return smooth noise of unit spread whose features are about `length` pixels long."""
    numbers = [
        (*_polar(TURN / length * rng.uniform(0.5, 1.6), rng.uniform(0, TURN)), rng.uniform(0, TURN))
        for _ in range(count)
    ]

    def noise(x: Plane, y: Plane) -> Plane:
        total = np.zeros_like(x)
        for across, down, phase in numbers:
            total += np.sin(x * across + y * down + phase)
        return total * math.sqrt(2 / count)

    return noise


def _grey(plane: Plane) -> Plane:
    return np.repeat(plane[..., np.newaxis], 3, axis=2)


def scratch(flange: Flange, rng: np.random.Generator, strength: float) -> Blemish:
    """Return a long shallow arc: a groove with one flank lit, and a burr beside it."""
    scale = flange.radius
    x, y = _polar(scale * rng.uniform(0.58, 0.84), rng.uniform(0, TURN))
    bend, heading = scale * rng.uniform(0.7, 3.0), rng.uniform(0, TURN)
    length, width = scale * rng.uniform(0.45, 0.95), scale * rng.uniform(0.0075, 0.0115)
    phase, bright = rng.uniform(0, TURN), rng.uniform() < 0.5
    hub_x, hub_y = _polar(bend, heading)

    def paint(across: Plane, down: Plane) -> Paint:
        dx, dy = across - (x + hub_x), down - (y + hub_y)
        distance = np.hypot(dx, dy)
        along = np.mod(np.arctan2(dy, dx) - heading, TURN) - math.pi
        along *= bend
        wobble = 0.006 * np.sin(along * (9 / scale) + phase) + 0.003 * np.sin(along * (31 / scale))
        window = np.clip((1 - np.abs(along) * (2 / length)) * 3, 0, 1)
        window *= 0.82 + 0.18 * np.sin(along * (17 / scale) + 2 * phase)
        z = (distance - bend + wobble * scale) / (width * (0.45 + 0.55 * window))
        core = np.exp(-0.5 * z * z) * window
        slope = (-1.2 * strength) * z * core / distance
        burr = np.exp(-0.5 * (z - 2.2) ** 2) * window
        shade = -min(0.85, 0.5 * strength) if not bright else 0.55 * strength
        tint = 1 + shade * core - math.copysign(0.22, shade) * burr
        return Paint(slope * dx, slope * dy, _grey(tint), 0.5 * core)

    return Blemish(x, y, 0.55 * length + 6 * width, paint)


def dent(flange: Flange, rng: np.random.Generator, strength: float) -> Blemish:
    """Return the mark of a blow: an oval hollow with a steep wall and a flat floor."""
    scale = flange.radius
    x, y = _between_holes(flange, rng, 0.62, 0.88)
    long = scale * rng.uniform(0.075, 0.11)
    short = long * rng.uniform(0.65, 1.0)
    cos, sin = _polar(1, rng.uniform(0, math.pi))

    def paint(across: Plane, down: Plane) -> Paint:
        dx, dy = across - x, down - y
        u, v = (dx * cos + dy * sin) / long, (dy * cos - dx * sin) / short
        square = u * u + v * v
        hollow = np.exp(-0.7 * square * np.sqrt(square))
        wall = np.sqrt(square) * hollow
        rise = (-1.0 * strength) * wall
        tint = 1 - min(0.8, 0.34 * strength) * hollow
        slope_x, slope_y = rise * (u * cos - v * sin), rise * (u * sin + v * cos)
        return Paint(slope_x, slope_y, _grey(tint), 0.35 * hollow)

    return Blemish(x, y, 2.6 * long, paint)


_STAINS = ((0.50, 0.33, 0.17), (0.56, 0.30, 0.15), (0.36, 0.31, 0.25), (0.47, 0.38, 0.20))


def stain(flange: Flange, rng: np.random.Generator, strength: float) -> Blemish:
    """Return dried oil or rust: a see-through blotch with a darker rim, and its runs."""
    scale = flange.radius
    x, y = _between_holes(flange, rng, 0.55, 0.84)
    warps = _waves(rng, 0.34 * scale), _waves(rng, 0.34 * scale), _waves(rng, 0.14 * scale)
    blobs = [
        (*(scale * rng.uniform(-0.12, 0.12, 2)).tolist(), scale * rng.uniform(0.07, 0.14))
        for _ in range(rng.integers(3, 6))
    ]
    opacity = rng.uniform(0.62, 0.85)
    colour = np.array(_STAINS[rng.integers(len(_STAINS))], np.float32)

    def paint(across: Plane, down: Plane) -> Paint:
        dx = across - x + warps[0](across, down) * (0.022 * scale)
        dy = down - y + warps[1](across, down) * (0.022 * scale)
        film = np.zeros_like(dx)
        for blob_x, blob_y, size in blobs:
            film += np.exp(((dx - blob_x) ** 2 + (dy - blob_y) ** 2) * (-1 / size**2))
        grain = warps[2](across, down)
        cover = np.clip(film * (1.9 + 0.25 * grain) - 0.6, 0, 1)
        cover *= cover * (3 - 2 * cover)
        rim = 4 * cover * (1 - cover)
        depth = cover * (0.66 + 0.08 * grain) + 0.30 * rim
        depth = np.clip(depth * (opacity * strength), 0, 1)
        tint = 1 - depth[..., np.newaxis] * (1 - colour)
        nothing = np.zeros_like(dx)
        return Paint(nothing, nothing, tint, 0.5 * cover)

    return Blemish(x, y, 0.43 * scale, paint)


def missing_hole(flange: Flange, rng: np.random.Generator, strength: float) -> Blemish:
    """Return plain metal where a hole should be; there is nothing to make stronger."""
    del strength
    plugged = int(rng.integers(flange.holes))
    x, y = _polar(flange.bolt_circle, flange.turn + plugged * TURN / flange.holes)

    def paint(across: Plane, down: Plane) -> Paint:
        nothing = np.zeros_like(across)
        tint = np.ones((*down.shape, 3), np.float32)
        return Paint(nothing, nothing, tint, nothing, plugged=plugged)

    return Blemish(x, y, 1.6 * flange.hole, paint)


def chip(flange: Flange, rng: np.random.Generator, strength: float) -> Blemish:
    """Return a piece broken out of the rim, with the rough face of the break around it."""
    scale = flange.radius
    x, y = _polar(scale * rng.uniform(1.0, 1.03), rng.uniform(0, TURN))
    size = scale * rng.uniform(0.08, 0.12) * strength
    face = scale * rng.uniform(0.035, 0.055)
    teeth = [(n, rng.uniform(0.5, 1) * 0.11 / n**0.6, rng.uniform(0, TURN)) for n in (2, 3, 5, 7, 11)]
    grains = _waves(rng, 0.045 * scale, 11), _waves(rng, 0.045 * scale, 11)

    def paint(across: Plane, down: Plane) -> Paint:
        dx, dy = across - x, down - y
        distance, angle = np.hypot(dx, dy) + 1e-3, np.arctan2(dy, dx)
        edge = np.full_like(dx, size)
        for count, depth, phase in teeth:
            edge += (size * depth) * np.cos(angle * count + phase)
        bite = edge - distance
        rough = np.clip(1 + bite / face, 0, 1)
        slope_x = rough * (dx / distance * -0.45 + grains[0](across, down) * 0.2)
        slope_y = rough * (dy / distance * -0.45 + grains[1](across, down) * 0.2)
        tint = 1 - 0.32 * rough
        return Paint(slope_x, slope_y, _grey(tint), rough, bite=bite)

    return Blemish(x, y, 1.6 * size + face, paint)


Maker = Callable[[Flange, np.random.Generator, float], Blemish]

MAKERS: Mapping[str, Maker] = MappingProxyType(
    {"scratch": scratch, "dent": dent, "stain": stain, "missing_hole": missing_hole, "chip": chip}
)
