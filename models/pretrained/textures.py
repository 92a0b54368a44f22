"""Random textures: each draw of a texture is another patch of the same surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from models.types import Floats, Rng

GREY_SHARE = 0.5  # of the textures; the others are coloured


def _standardised(values: Floats) -> Floats:
    """Bring values to mean 0 and standard deviation 1."""
    centred = values - values.mean()
    return np.asarray(centred / max(float(centred.std()), 1e-4))


def _grid(size: int, angle: float) -> tuple[Floats, Floats]:
    """Return pixel coordinates (size, size) along and across a direction of `angle` radians."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _noise(rng: Rng, size: int, grain: float) -> Floats:
    """Return smooth noise (size, size) with features about `grain` pixels wide."""
    cells = max(2, int(np.ceil(size / grain)) + 2)
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    side = int(np.ceil(cells * grain))
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)[:size, :size])


@dataclass(frozen=True)
class Pattern:
    """One pattern of a texture, with fixed parameters."""

    kind: str
    grain: float  # px
    angle: float  # radians
    shape: float  # 0 to 1, with a meaning of its own for each kind
    spread: float  # 0 to 1, disorder

    @classmethod
    def random(cls, rng: Rng) -> Pattern:
        """Draw a pattern."""
        return cls(
            str(rng.choice(list(KINDS))),
            float(np.exp(rng.uniform(np.log(2.0), np.log(20.0)))),
            float(rng.uniform(0, np.pi)),
            float(rng.random()),
            float(rng.random()),
        )

    def draw(self, rng: Rng, size: int) -> Floats:
        """Draw a patch, float32 (size, size), with mean 0 and standard deviation 1."""
        return _standardised(KINDS[self.kind](rng, size, self))


def _clouds(rng: Rng, size: int, of: Pattern) -> Floats:
    """Sum smooth noise of ever finer grain."""
    total, weight = np.zeros((size, size), np.float32), 1.0
    grain = of.grain * 3
    while grain > 1.2 and weight > 0.05:
        total += np.float32(weight) * _noise(rng, size, grain)
        grain, weight = grain / 2, weight * (0.35 + 0.6 * of.shape)
    return total


def _grating(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw parallel stripes; disorder bends them."""
    along, _ = _grid(size, of.angle)
    phase = along * np.float32(2 * np.pi / (of.grain * 1.5)) + np.float32(rng.uniform(0, 2 * np.pi))
    if of.spread > 0.4:
        phase = phase + np.float32(3 * (of.spread - 0.4)) * _noise(rng, size, 4 * of.grain)
    wave = np.sin(phase)
    return np.asarray(np.tanh(wave * (0.5 + 6 * of.shape)), np.float32)


def _cells(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw the cells of scattered points: by distance, in random greys, or as outlines."""
    pitch = max(4.0, 1.6 * of.grain)
    side = int(size / pitch) + 3
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    points = np.stack([rows + 0.5 * (columns % 2), columns], -1).reshape(-1, 2) - 1
    points = (points + rng.uniform(-1, 1, points.shape) * (0.1 + 0.7 * of.spread)) * pitch
    points = points[((points >= 0) & (points < size)).all(1)].astype(np.intp)
    seeds = np.full((size, size), 255, np.uint8)
    seeds[points[:, 0], points[:, 1]] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    if of.shape < 0.35:
        return np.asarray(distance, np.float32)
    grey = rng.standard_normal(int(labels.max()) + 1, dtype=np.float32)[labels]
    if of.shape < 0.65:
        return np.asarray(grey)
    edges = (cv2.dilate(labels.astype(np.float32), np.ones((3, 3))) != labels).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(edges, (0, 0), 0.7) + 0.1 * grey)


def _leaves(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw overlapping ellipses in random greys."""
    canvas = np.zeros((size, size), np.float32)
    radius = max(2.0, of.grain)
    for _ in range(int(min(260, 3 * (size / radius) ** 2 * 0.3 + 20))):
        x, y = rng.uniform(-radius, size + radius, 2)
        r = radius * rng.uniform(0.5, 1.5)
        axes = (int(8 * r) + 1, int(8 * r * (0.3 + 0.7 * of.shape)) + 1)
        turn = np.degrees(of.angle) + (180 * of.spread) * rng.uniform(-1, 1)
        grey = float(rng.standard_normal())
        cv2.ellipse(canvas, (int(8 * x), int(8 * y)), axes, float(turn), 0, 360, grey, -1, cv2.LINE_8, 3)
    return canvas


def _strokes(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw short lines in random greys; disorder turns them."""
    canvas = np.zeros((size, size), np.float32)
    length = of.grain * (2 + 8 * of.shape)
    for _ in range(int(min(300, 20 + size * size / (length * of.grain)))):
        start = rng.uniform(0, size, 2)
        heading = of.angle + of.spread**2 * np.pi * rng.uniform(-1, 1)
        end = start + length * rng.uniform(0.4, 1.2) * np.array([np.cos(heading), np.sin(heading)])
        a, b = (np.round(p * 8).astype(int).tolist() for p in (start, end))
        thick = max(1, round(of.grain / 8))
        cv2.line(canvas, a, b, float(rng.standard_normal()), thick, cv2.LINE_8, 3)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.6))


def _weave(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw threads that cross each other, or a grid."""
    u, v = _grid(size, of.angle)
    period = np.float32(np.pi / max(2.0, of.grain))
    shift = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
    bend = np.float32(of.spread * 0.8) * _noise(rng, size, 3 * of.grain)
    a, b = u * period + shift[0] + bend, v * period + shift[1] - bend
    if of.shape < 0.5:
        over = np.sin(a) * np.sin(b) > 0
        return np.asarray(np.where(over, np.abs(np.sin(a)), 0.8 * np.abs(np.cos(b))), np.float32)
    return np.asarray(np.maximum(np.sin(a), np.sin(b)) ** 3, np.float32)


def _dots(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw round dots in a grid; disorder moves them."""
    pitch = max(4.0, 1.8 * of.grain)
    u, v = _grid(size, of.angle)
    jitter = np.float32(of.spread * pitch * 0.35)
    u = u + np.float32(rng.uniform(0, pitch)) + jitter * _noise(rng, size, 2 * pitch)
    v = v + np.float32(rng.uniform(0, pitch)) + jitter * _noise(rng, size, 2 * pitch)
    du, dv = np.mod(u, pitch) - pitch / 2, np.mod(v, pitch) - pitch / 2
    reach = np.float32(pitch * (0.15 + 0.25 * of.shape))
    return np.asarray(1 / (1 + np.exp(np.clip((np.sqrt(du * du + dv * dv) - reach) * 1.5, -30, 30))))


def _brushed(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw noise that is blurred along one direction."""
    side = int(size * 1.5)
    white = rng.standard_normal((side, side), dtype=np.float32)
    long = cv2.GaussianBlur(white, (0, 0), sigmaX=of.grain * (0.5 + 3 * of.shape), sigmaY=0.6)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(np.degrees(of.angle)), 1.0)
    turn[:, 2] -= np.full(2, (side - size) / 2)
    return np.asarray(cv2.warpAffine(long, turn, (size, size), borderMode=cv2.BORDER_REFLECT))


def _bricks(rng: Rng, size: int, of: Pattern) -> Floats:
    """Draw bricks with joints; disorder varies their greys."""
    u, v = _grid(size, of.angle)
    height = np.float32(max(4.0, of.grain * 1.3))
    width = height * np.float32(1 + 2 * of.shape)
    u, v = u + np.float32(rng.uniform(0, width)), v + np.float32(rng.uniform(0, height))
    row = np.floor(v / height)
    column = np.floor(u / width + 0.5 * (row % 2))
    down, across = np.mod(v, height), np.mod(u + 0.5 * (row % 2) * width, width)
    inside = np.minimum(np.minimum(down, height - down), np.minimum(across, width - across))
    joint = np.clip(inside / np.float32(1 + 0.12 * of.grain), 0, 1)
    seed = np.float32(rng.uniform(1, 100))
    tone = np.modf(np.sin(row * 12.9898 + column * 78.233 + seed) * 43758.5453)[0]
    return np.asarray(joint + np.float32(0.6 * of.spread) * tone * joint, np.float32)


# Each draws a patch (size, size) in any range of values.
KINDS: dict[str, Callable[[Rng, int, Pattern], Floats]] = {
    "clouds": _clouds,
    "grating": _grating,
    "cells": _cells,
    "leaves": _leaves,
    "strokes": _strokes,
    "weave": _weave,
    "dots": _dots,
    "brushed": _brushed,
    "bricks": _bricks,
}


@dataclass(frozen=True)
class Texture:
    """A coloured mixture of one to three patterns."""

    patterns: tuple[Pattern, ...]
    mixing: str  # of the first two patterns
    strength: float  # contrast around the base colour
    base: Floats  # (3,), 0 to 1
    direction: Floats  # (3,), the colour in which the first pattern changes the base
    second: Floats  # (3,), and the second pattern

    @classmethod
    def random(cls, rng: Rng) -> Texture:
        """Draw a texture; most have little contrast, as surfaces of parts do."""
        count = int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
        patterns = tuple(Pattern.random(rng) for _ in range(count))
        if rng.random() < GREY_SHARE:
            base = np.full(3, rng.uniform(0.15, 0.85))
            direction, second = np.ones(3), np.ones(3) * rng.choice([-1, 1])
        else:
            base = rng.uniform(0.1, 0.9, 3)
            direction, second = rng.normal(0.4, 0.6, 3), rng.normal(0, 0.8, 3)
        return cls(
            patterns,
            str(rng.choice(["add", "mask", "warp", "times"])),
            float(np.exp(rng.uniform(np.log(0.015), np.log(0.22)))),
            base.astype(np.float32),
            direction.astype(np.float32),
            second.astype(np.float32),
        )

    def draw(self, rng: Rng, size: int) -> Floats:
        """Draw a patch, float32 (size, size, 3), not clipped to 0 to 1."""
        first = self.patterns[0].draw(rng, size)
        other = np.zeros_like(first)
        if len(self.patterns) > 1:
            other = self.patterns[1].draw(rng, size)
            first = self._mixed(first, other)
        if len(self.patterns) > 2:
            first = first + np.float32(0.5) * self.patterns[2].draw(rng, size)
        colour = self.direction * first[..., None] + np.float32(0.5) * self.second * other[..., None]
        return np.asarray(self.base + np.float32(self.strength) * colour, np.float32)

    def _mixed(self, first: Floats, other: Floats) -> Floats:
        """Mix two patterns (size, size)."""
        if self.mixing == "mask":
            return np.where(other > 0.3, first, np.float32(0.3) * first + np.float32(1.0))
        if self.mixing == "times":
            return first * other
        if self.mixing == "warp":
            size = first.shape[0]
            y, x = np.mgrid[:size, :size].astype(np.float32)
            reach = np.float32(0.5 * self.patterns[0].grain)
            bent = cv2.GaussianBlur(other, (0, 0), 2.0)
            return np.asarray(
                cv2.remap(
                    first, x + reach * bent, y - reach * bent, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
                )
            )
        return first + np.float32(0.7) * other
