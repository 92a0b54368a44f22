"""The defects of a rendered part; each function chooses a shape and returns how to paint it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from inspector.demo.flange import TURN, Flange, Paint, Plane


@dataclass(frozen=True)
class Blemish:
    """A defect and its position, in pixels from the centre of the part.

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
    """Return a position between two holes, `near` to `far` radii from the centre of the part."""
    sector = TURN / flange.holes
    between = rng.integers(flange.holes) + rng.uniform(0.3, 0.7)
    return _polar(flange.radius * rng.uniform(near, far), flange.turn + sector * float(between))


def _waves(rng: np.random.Generator, length: float, count: int = 7) -> Callable[[Plane, Plane], Plane]:
    """Return smooth noise of unit standard deviation with features about `length` pixels long."""
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
    """Return two or three shallow arcs side by side: grooves with one flank lit, and burrs beside them."""
    scale = flange.radius
    around = rng.uniform(0, TURN)
    x, y = _polar(scale * rng.uniform(0.64, 0.80), around)
    # Mostly across the lathe marks: a scratch along them could not be told from a mark.
    heading = around + TURN / 4 * (1 if rng.uniform() < 0.5 else -1) + rng.uniform(-0.9, 0.9)
    bend, length = scale * rng.uniform(0.7, 3.0), scale * rng.uniform(0.55, 0.85)
    width, phase = scale * rng.uniform(0.0105, 0.0145), rng.uniform(0, TURN)
    shade = (-0.85 if rng.uniform() < 0.5 else 1.3) * strength
    lines = [(0.0, 0.0, 1.0)]
    for _ in range(rng.integers(1, 3)):
        aside = lines[-1][0] + rng.uniform(4.5, 7.0)
        lines.append((aside, length * rng.uniform(-0.2, 0.2), rng.uniform(0.5, 0.9)))
    hub_x, hub_y = _polar(bend, heading)

    def paint(across: Plane, down: Plane) -> Paint:
        dx, dy = across - (x + hub_x), down - (y + hub_y)
        distance = np.hypot(dx, dy)
        along = np.mod(np.arctan2(dy, dx) - heading, TURN) - math.pi
        along *= bend
        wobble = 0.004 * np.sin(along * (9 / scale) + phase) + 0.001 * np.sin(along * (31 / scale))
        slope, core, burr = (np.zeros_like(dx) for _ in range(3))
        for aside, shift, depth in lines:
            window = depth * np.clip((1 - np.abs(along - shift) * (2 / length)) * 3, 0, 1)
            window *= 0.82 + 0.18 * np.sin(along * (17 / scale) + 2 * phase + aside)
            z = (distance - bend + wobble * scale) / width - aside
            z /= 0.45 + 0.55 * window
            groove = np.exp(-0.5 * z * z) * window
            slope += z * groove
            core += groove
            burr += np.exp(-0.5 * (z - 2.2) ** 2) * window
        slope *= -1.8 * strength / distance
        tint = np.maximum(1 + shade * core - math.copysign(0.22, shade) * burr, 0.1)
        return Paint(slope * dx, slope * dy, _grey(tint), np.minimum(0.5 * core, 1))

    return Blemish(x, y, 0.70 * length + 20 * width, paint)


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


_STAINS = ((0.40, 0.24, 0.11), (0.46, 0.22, 0.10), (0.26, 0.22, 0.17), (0.36, 0.27, 0.13))


def stain(flange: Flange, rng: np.random.Generator, strength: float) -> Blemish:
    """Return dried oil or rust: a translucent blotch with a darker rim."""
    scale = flange.radius
    x, y = _between_holes(flange, rng, 0.55, 0.84)
    warps = _waves(rng, 0.34 * scale), _waves(rng, 0.34 * scale), _waves(rng, 0.14 * scale)
    blobs = [
        (*(scale * rng.uniform(-0.12, 0.12, 2)).tolist(), scale * rng.uniform(0.07, 0.14))
        for _ in range(rng.integers(3, 6))
    ]
    opacity = rng.uniform(0.85, 1.05)
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
    """Return a hole that was countersunk but not drilled; `strength` has no effect."""
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
    x, y = _polar(scale * rng.uniform(0.99, 1.02), rng.uniform(0, TURN))
    size = scale * rng.uniform(0.12, 0.155) * strength
    face = scale * rng.uniform(0.09, 0.13)
    teeth = [(n, rng.uniform(0.5, 1) * 0.11 / n**0.6, rng.uniform(0, TURN)) for n in (2, 3, 5, 7, 11)]
    grains = _waves(rng, 0.06 * scale, 11), _waves(rng, 0.06 * scale, 11)

    def paint(across: Plane, down: Plane) -> Paint:
        dx, dy = across - x, down - y
        distance, angle = np.hypot(dx, dy) + 1e-3, np.arctan2(dy, dx)
        edge = np.full_like(dx, size)
        for count, depth, phase in teeth:
            edge += (size * depth) * np.cos(angle * count + phase)
        bite = edge - distance
        rough = np.clip(1 + bite / face, 0, 1)
        slope_x = rough * (dx / distance * -0.45 + grains[0](across, down) * 0.4)
        slope_y = rough * (dy / distance * -0.45 + grains[1](across, down) * 0.4)
        tint = 1 - 0.32 * rough
        return Paint(slope_x, slope_y, _grey(tint), rough, bite=bite)

    return Blemish(x, y, 1.6 * size + face, paint)


Maker = Callable[[Flange, np.random.Generator, float], Blemish]

MAKERS: Mapping[str, Maker] = MappingProxyType(
    {"scratch": scratch, "dent": dent, "stain": stain, "missing_hole": missing_hole, "chip": chip}
)
