"""Random scenes: many pictures of one surface or one part, as a camera would take them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pretrained.textures import Texture
from models.types import Floats, Rng

Doubles = NDArray[np.float64]
Point = NDArray[np.floating]  # (x, y), px

CANVAS = 176  # px; crops of 128 px are cut from it
PART_SHARE = 0.6  # of the scenes; the others are plain surfaces


@dataclass(frozen=True)
class Variation:
    """By how much the good pictures of one scene differ from each other."""

    angle: float  # degrees
    shift: float  # px
    stretch: float  # relative
    gain: float  # relative, of the whole picture
    uneven: float  # relative, of light over the picture
    noise: float  # of the full range
    blur: float  # px

    @classmethod
    def random(cls, rng: Rng) -> Variation:
        """Draw a variation, between a fixture under fixed light and parts dropped on a belt."""
        return cls(
            float(rng.choice([1.0, 8.0, 180.0], p=[0.5, 0.2, 0.3])),
            float(rng.choice([1.0, 6.0, 24.0], p=[0.4, 0.3, 0.3])),
            float(rng.choice([0.005, 0.04], p=[0.6, 0.4])),
            float(rng.uniform(0, 0.3)),
            float(rng.choice([0.0, 0.12, 0.3], p=[0.4, 0.4, 0.2])),
            float(np.exp(rng.uniform(np.log(0.003), np.log(0.04)))),
            float(rng.uniform(0, 0.8)),
        )


class Scene:
    """An inspection task: a surface, or a part on a ground.

    Parameters
    ----------
    rng : numpy Generator
        Draws everything that all pictures of the scene share.
    """

    def __init__(self, rng: Rng) -> None:
        self.variation = Variation.random(rng)
        self._ground = Texture.random(rng)
        self._ground_fixed = rng.random() < 0.5
        self._ground_angle = float(rng.choice([0.0, 3.0, 180.0], p=[0.5, 0.3, 0.2]))
        self._border = _Border.random(rng) if rng.random() < 0.25 else None
        self._still = self._ground.draw(rng, CANVAS)
        self._part: tuple[Floats, Floats] | None = None
        if rng.random() < PART_SHARE:
            if rng.random() < 0.6:  # most parts lie on a ground of little contrast
                self._still = np.asarray(
                    self._still.mean((0, 1)) + 0.15 * (self._still - self._still.mean((0, 1)))
                )
                self._ground_fixed = True
            self._part = make_part(rng)
        self._fresh = rng.random() < 0.3  # each part has a grain of its own
        self._grain = Texture.random(rng)

    def draw(self, rng: Rng, size: int = 128) -> Floats:
        """Draw a good picture, float32 (size, size, 3) in 0 to 1."""
        variation = self.variation
        picture = self._draw_ground(rng)
        if self._part is not None:
            picture = self._lay_part(rng, picture)
        elif self._border is not None:
            picture = self._border.lay(rng, picture)
        reach = min(variation.shift, (CANVAS - size) / 2) if self._part is not None else (CANVAS - size) / 2
        y, x = ((CANVAS - size) / 2 + rng.uniform(-reach, reach, 2)).astype(int)
        return see(rng, picture[y : y + size, x : x + size], variation)

    def _draw_ground(self, rng: Rng) -> Floats:
        if self._part is not None and self._ground_fixed:
            return self._still.copy()
        patch = self._ground.draw(rng, CANVAS)
        angle = self._ground_angle * rng.uniform(-1, 1)
        if abs(angle) < 0.5:
            return patch
        turn = cv2.getRotationMatrix2D((CANVAS / 2, CANVAS / 2), float(angle), 1.0)
        return np.asarray(cv2.warpAffine(patch, turn, (CANVAS, CANVAS), borderMode=cv2.BORDER_REFLECT_101))

    def _lay_part(self, rng: Rng, ground: Floats) -> Floats:
        assert self._part is not None
        variation = self.variation
        colour, alpha = self._part
        if self._fresh:
            colour = colour + np.float32(0.5) * (self._grain.draw(rng, CANVAS) - self._grain.base)
        scale = 1 + variation.stretch * rng.uniform(-1, 1)
        turn = cv2.getRotationMatrix2D(
            (CANVAS / 2, CANVAS / 2), float(variation.angle * rng.uniform(-1, 1)), float(scale)
        )
        turn[:, 2] += np.asarray(rng.uniform(-1, 1, 2) * min(variation.shift, 10.0))
        both = np.dstack([colour, alpha])
        moved = cv2.warpAffine(both, turn, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR)
        shadow = cv2.GaussianBlur(np.roll(moved[..., 3], (3, 3), (0, 1)), (0, 0), 4)[..., None]
        cover = moved[..., 3:]
        return np.asarray(ground * (1 - 0.3 * shadow) * (1 - cover) + moved[..., :3] * cover)


@dataclass(frozen=True)
class _Border:
    """A straight edge with another colour behind it, as at the end of a plate."""

    angle: float
    colour: Floats
    reach: float

    @classmethod
    def random(cls, rng: Rng) -> _Border:
        angle = rng.choice([0, 0.5, 1, 1.5]) * np.pi + rng.normal(0, 0.05)
        return cls(float(angle), rng.uniform(0, 1, 3).astype(np.float32), float(rng.uniform(20, 60)))

    def lay(self, rng: Rng, picture: Floats) -> Floats:
        y, x = np.mgrid[:CANVAS, :CANVAS].astype(np.float32) - CANVAS / 2
        away = x * np.float32(np.cos(self.angle)) + y * np.float32(np.sin(self.angle))
        edge = self.reach + rng.normal(0, 4)
        cover = 1 / (1 + np.exp(np.clip((edge - away) * 1.5, -30, 30)))[..., None].astype(np.float32)
        return np.asarray(picture * (1 - cover) + self.colour * cover)


def see(rng: Rng, picture: Floats, variation: Variation) -> Floats:
    """Take a picture with the camera: add light, blur and noise; float32 (H, W, 3) in 0 to 1."""
    size = picture.shape[0]
    light = np.float32(1 + variation.gain * rng.uniform(-1, 1))
    seen = picture * light
    if variation.uneven > 0:
        y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
        tilt = rng.normal(0, 1, 5).astype(np.float32)
        field = tilt[0] * x + tilt[1] * y + tilt[2] * x * x + tilt[3] * y * y + tilt[4] * x * y
        seen = seen * (1 + np.float32(variation.uneven) * field)[..., None]
    if variation.blur > 0.2:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), variation.blur * float(rng.uniform(0.6, 1.2))))
    noise = rng.standard_normal((size, size, 1 if rng.random() < 0.5 else 3), dtype=np.float32)
    return np.asarray(np.clip(seen + np.float32(variation.noise) * noise, 0, 1), np.float32)


def make_part(rng: Rng) -> tuple[Floats, Floats]:
    """Draw a part on the canvas: colour float32 (CANVAS, CANVAS, 3) and cover (CANVAS, CANVAS)."""
    cover = _outline(rng, rng.uniform(25, 80), rng.normal(CANVAS / 2, 6, 2))
    if rng.random() < 0.4:
        cover = np.maximum(cover, _outline(rng, rng.uniform(15, 50), rng.normal(CANVAS / 2, 30, 2)))
    colour = _shaded(rng, Texture.random(rng).draw(rng, CANVAS), cover)
    for _ in range(int(rng.integers(0, 7))):
        detail = _outline(rng, np.exp(rng.uniform(np.log(3), np.log(30))), rng.normal(CANVAS / 2, 28, 2))
        how = rng.integers(0, 4)
        if how == 0:  # a print or an insert
            fill = np.broadcast_to(rng.uniform(0, 1, 3).astype(np.float32), colour.shape)
        elif how == 1:
            fill = Texture.random(rng).draw(rng, CANVAS)
        elif how == 2:  # a darker or brighter relief
            fill = _shaded(rng, colour * np.float32(rng.uniform(0.5, 1.4)), detail)
        else:  # a hole
            cover = cover * (1 - detail)
            continue
        colour = colour * (1 - detail[..., None]) + fill * detail[..., None]
    return np.asarray(colour, np.float32), np.asarray(cover, np.float32)


def _shaded(rng: Rng, colour: Floats, cover: Floats) -> Floats:
    """Light rounded edges from one side."""
    round_ = cv2.GaussianBlur(cover, (0, 0), float(np.exp(rng.uniform(0, 2.0))))
    dy, dx = np.gradient(round_)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(angle)) * dx + np.float32(np.sin(angle)) * dy
    strength = np.float32(rng.uniform(0, 0.5) / max(float(np.abs(slope).max()), 1e-3))
    return np.asarray(colour + (strength * slope)[..., None])


def _outline(rng: Rng, radius: float, centre: Point) -> Floats:
    """Draw a random shape, float32 (CANVAS, CANVAS) in 0 to 1."""
    kind = int(rng.integers(0, 7))
    turn = rng.uniform(0, np.pi)
    if kind == 4:
        return _bar(rng, radius, centre, turn)
    if kind == 5:
        return _wire(rng, radius, centre)
    if kind == 6:
        return _letters(rng, radius, centre)
    angles = np.linspace(0, 2 * np.pi, 144, endpoint=False)
    radii, squash = (_ellipse, _gear, _polygon, _lump)[kind](rng, radius, angles)
    return _filled(radii * np.cos(angles), radii * np.sin(angles) * squash, turn, centre)


def _filled(x: Doubles, y: Doubles, turn: float, centre: Point) -> Floats:
    """Turn a closed line (n,), (n,) by `turn` radians, move it to `centre` and fill it."""
    mask = np.zeros((CANVAS, CANVAS), np.float32)
    points = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1) + centre
    cv2.fillPoly(mask, [np.round(points * 8).astype(np.int32)], 1.0, cv2.LINE_AA, 3)
    return mask


def _ellipse(rng: Rng, radius: float, angles: Doubles) -> tuple[Doubles, float]:
    """Return the radius at each angle, and the factor by which the shape is squashed."""
    return np.full_like(angles, radius), rng.uniform(0.3, 1)


def _gear(rng: Rng, radius: float, angles: Doubles) -> tuple[Doubles, float]:
    return radius * (1 + rng.uniform(0.05, 0.3) * np.tanh(4 * np.sin(angles * rng.integers(3, 24)))), 1.0


def _polygon(rng: Rng, radius: float, angles: Doubles) -> tuple[Doubles, float]:
    corners = rng.integers(3, 9)
    half = np.pi / corners
    return radius * np.cos(half) / np.cos(np.mod(angles, 2 * np.pi / corners) - half), rng.uniform(0.4, 1)


def _lump(rng: Rng, radius: float, angles: Doubles) -> tuple[Doubles, float]:
    waves = sum(rng.normal(0, 0.25 / k) * np.sin(k * angles + rng.uniform(0, 6)) for k in range(1, 6))
    return radius * np.clip(1 + waves, 0.3, 1.7), rng.uniform(0.5, 1)


def _wire(rng: Rng, radius: float, centre: Point) -> Floats:
    """Draw a bent wire."""
    mask = np.zeros((CANVAS, CANVAS), np.float32)
    path = centre + np.cumsum(rng.normal(0, radius * 0.4, (int(rng.integers(3, 8)), 2)), 0)
    thick = int(max(2, radius * rng.uniform(0.05, 0.3)))
    cv2.polylines(mask, [np.round(path * 8).astype(np.int32)], False, 1.0, thick, cv2.LINE_AA, 3)
    return mask


def _letters(rng: Rng, radius: float, centre: Point) -> Floats:
    """Draw one to four letters or digits."""
    text = "".join(chr(int(c)) for c in rng.integers(48, 91, int(rng.integers(1, 5))))
    start = (int(centre[0] - radius), int(centre[1] + radius / 3))
    font, thick = int(rng.integers(0, 8)), max(1, int(radius / 10))
    drawn = np.zeros((CANVAS, CANVAS), np.uint8)
    cv2.putText(drawn, text, start, font, radius / 30, 255, thick, cv2.LINE_AA)
    return np.asarray(drawn / np.float32(255))


def _bar(rng: Rng, radius: float, centre: Point, turn: float) -> Floats:
    """Draw a bar; some have a thread, a head or a point."""
    along = np.linspace(-1, 1, 120)
    half = radius * rng.uniform(0.08, 0.4) * np.ones_like(along)
    if rng.random() < 0.6:  # thread
        pitch = rng.uniform(10, 60)
        threaded = (along > rng.uniform(-1, 0.3)).astype(float)
        half = half + threaded * radius * rng.uniform(0.02, 0.08) * np.sin(pitch * along)
    if rng.random() < 0.6:  # head
        half = np.where(along < rng.uniform(-0.9, -0.6), half * rng.uniform(1.3, 2.5), half)
    if rng.random() < 0.4:  # point
        half = half * np.clip((1 - along) / rng.uniform(0.1, 0.6), 0, 1)
    x = np.concatenate([along, along[::-1]]) * radius * 1.3
    return _filled(x, np.concatenate([half, -half[::-1]]), turn, centre)
