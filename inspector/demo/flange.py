"""The model of the rendered flange: its design, its surface, and the light on it.

Every pixel has a slope, split along (tangential) and across (radial) the lathe marks, and each lamp
adds a lobe around the slope that mirrors it into the camera:

    lobe_k = power_k * exp(-((radial - across_k) / WIDE)^2 - ((tangential - along_k) / NARROW)^2)

Wide across the marks and narrow along them, a lobe is the double fan of brightness that turned metal
shows.  Edges are smooth because coverage is taken from signed distances in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.floating]

TURN = 2 * math.pi

# The design, in radii of the part, which itself is OUTER of the picture's side.
OUTER = 0.385
BORE, HUB, BOLT_CIRCLE, HOLE, HOLES = 0.27, 0.50, 0.755, 0.095, 6
CHAMFER, FILLET, COUNTERSINK = 0.030, 0.035, 0.022
CHAMFER_SLOPE, FILLET_SLOPE, GROOVE_SLOPE = 0.42, 0.60, 0.048
DEPTH = 0.05  # share by which the lower face looks smaller, as it is further from the camera
SHADOW = 0.075  # length of the part's shadow from the main lamp

# The light, as slopes: a mirror of this slope would show the lamp.
WIDE, NARROW = 0.30, 0.075
NEAR = 0.16  # change of that slope from one side of the picture to the other


@dataclass(frozen=True)
class Flange:
    """The part as it lies in one picture; lengths in pixels, angles in radians."""

    radius: float
    turn: float
    bolt_circle: float
    hole: float
    holes: int


@dataclass(frozen=True)
class Lamp:
    """The slope that mirrors the lamp in the middle of the picture, and the lamp's power."""

    x: float
    y: float
    power: float


@dataclass(frozen=True)
class Setup:
    """The choices for one photograph; (x, y) is the centre of the part in pixels."""

    side: int
    flange: Flange
    x: float
    y: float
    lamps: tuple[Lamp, Lamp]
    ambient: float
    exposure: float
    blur: float
    falloff: tuple[float, float]

    @property
    def away(self) -> tuple[float, float]:
        """Unit vector away from the main lamp."""
        angle = math.atan2(-self.lamps[0].y, -self.lamps[0].x)
        return math.cos(angle), math.sin(angle)


@dataclass(frozen=True)
class Planes:
    """The properties of each pixel before lighting, float32 (h, w).

    Attributes
    ----------
    x, y, radius, angle
        Position relative to the part's centre, in pixels and radians.
    groove, streak
        Slope and colour of the lathe marks, of unit standard deviation.
    mottle, belt
        Smooth variation of unit standard deviation; brightness of the conveyor belt, about 1.
    """

    x: Plane
    y: Plane
    radius: Plane
    angle: Plane
    groove: Plane
    streak: Plane
    mottle: Plane
    belt: Plane

    def window(self, rows: slice, columns: slice) -> Planes:
        """Return the planes of a part of the picture."""
        return Planes(*(getattr(self, field.name)[rows, columns] for field in fields(self)))


@dataclass(frozen=True)
class Paint:
    """The change that a defect makes to a part, in planes (h, w) around the defect.

    Attributes
    ----------
    slope_x, slope_y : float32 (h, w)
        Added to the slope of the surface; 0 means no change.
    tint : float32 (h, w, 3)
        Factor of the light that the metal reflects; 1 means no change.
    dull : float32 (h, w)
        0 where the metal keeps its gloss, 1 where it has lost it.
    bite : float32 (h, w), optional
        Signed distance in pixels to a missing piece, positive inside it.
    plugged : int, optional
        Index of the hole that was not drilled.
    """

    slope_x: Plane
    slope_y: Plane
    tint: Plane
    dull: Plane
    bite: Plane | None = None
    plugged: int | None = None


@dataclass(frozen=True)
class _Holes:
    """The bolt holes: signed distances, positive inside, and the direction to the nearest axis.

    The seat is the top of a hole, also of one that was not drilled: the countersink is cut first.
    """

    top: Plane
    bottom: Plane
    seat: Plane
    radial: Plane
    tangential: Plane


def arrange(rng: np.random.Generator, side: int) -> Setup:
    """Choose the position of a part and of two lamps, for a picture of `side` by `side` pixels."""
    radius = side * OUTER * rng.uniform(0.985, 1.015)
    turn, azimuth, tilt = rng.uniform(0, TURN), rng.uniform(0, TURN), rng.uniform(0.24, 0.31)
    other = azimuth + rng.uniform(1.6, 2.6) * (1 if rng.uniform() < 0.5 else -1)
    other_tilt = rng.uniform(0.24, 0.36)
    main = Lamp(tilt * math.cos(azimuth), tilt * math.sin(azimuth), rng.uniform(0.46, 0.58))
    second = Lamp(other_tilt * math.cos(other), other_tilt * math.sin(other), rng.uniform(0.16, 0.24))
    return Setup(
        side=side,
        flange=Flange(radius, turn, BOLT_CIRCLE * radius, HOLE * radius, HOLES),
        x=side * rng.uniform(0.48, 0.52) - 0.5,
        y=side * rng.uniform(0.48, 0.52) - 0.5,
        lamps=(main, second),
        ambient=rng.uniform(0.070, 0.100),
        exposure=rng.uniform(0.92, 1.12),
        blur=rng.uniform(0.45, 0.75),
        falloff=(rng.uniform(-0.11, 0.11), rng.uniform(-0.11, 0.11)),
    )


def illuminate(setup: Setup, planes: Planes, paint: Paint | None = None) -> tuple[list[Plane], Plane]:
    """Light the scene.

    Returns
    -------
    list of four float32 (h, w)
        Light from the sky, the main lamp and the second lamp off the part, and light off the belt.
    float32 (h, w)
        How much of each pixel the part's upper face covers.
    """
    cos, sin = planes.x / planes.radius, planes.y / planes.radius
    facing = -(cos * setup.away[0] + sin * setup.away[1])
    holes = _drill(setup.flange, planes, None if paint is None else paint.plugged)
    metal, wall = _outline(setup.flange, planes.radius, holes, None if paint is None else paint.bite)
    falloff = _falloff(setup, planes)
    albedo = (1 + 0.045 * planes.streak) * _hub_shadow(setup.flange, planes.radius, facing)
    albedo *= falloff * metal
    layers: list[Plane] = [layer * albedo for layer in _reflect(setup, planes, holes, (cos, sin), paint)]
    under = 1 - metal
    layers[0] += _bore_wall(setup, planes, holes, (cos, sin), facing) * wall * under
    layers.append(planes.belt * _belt_shadow(setup, planes) * falloff * under * (1 - wall))
    return layers, metal


def _drill(flange: Flange, planes: Planes, plugged: int | None) -> _Holes:
    sector = TURN / flange.holes
    turns = (planes.angle - flange.turn) * (1 / sector)
    nearest = np.rint(turns)
    offset = (turns - nearest) * sector
    cos, sin = np.cos(offset), np.sin(offset)
    across, along = planes.radius * cos - flange.bolt_circle, planes.radius * sin
    distance = np.sqrt(across * across + along * along) + 1e-3
    below = across + DEPTH * flange.bolt_circle
    top = flange.hole - distance
    bottom = flange.hole * (1 - DEPTH) - np.sqrt(below * below + along * along)
    seat = top
    if plugged is not None:
        solid = np.float32(99 * flange.radius) * (np.mod(nearest, flange.holes) == plugged)
        top, bottom = top - solid, bottom - solid
    radial, tangential = across * cos + along * sin, along * cos - across * sin
    return _Holes(top, bottom, seat, -radial / distance, -tangential / distance)


def _outline(flange: Flange, radius: Plane, holes: _Holes, bite: Plane | None) -> tuple[Plane, Plane]:
    """Return the coverage of each pixel by the upper face, and by the upper or lower face."""
    outer = flange.radius
    upper = np.maximum(np.maximum(radius - outer, BORE * outer - radius), holes.top)
    lower = np.maximum(BORE * (1 - DEPTH) * outer - radius, holes.bottom)
    lower = np.maximum(lower, radius - (1 - DEPTH) * outer)
    if bite is not None:
        upper, lower = np.maximum(upper, bite), np.maximum(lower, bite)
    return np.clip(0.5 - upper, 0, 1), np.clip(0.5 - lower, 0, 1)


def _turned_slope(setup: Setup, radius: Plane) -> Plane:
    """Return the slope of the turned profile: chamfers at bore, hub and rim, fillet at the hub's foot."""
    fine = 4  # samples per pixel
    outer = setup.flange.radius
    at = (np.arange(int(outer * 1.1 * fine), dtype=np.float32) + 0.5) / (fine * outer)
    slope = np.zeros_like(at)
    slope[at < BORE + CHAMFER] = -CHAMFER_SLOPE
    slope[(at > HUB - CHAMFER) & (at < HUB)] = CHAMFER_SLOPE
    slope[(at >= HUB) & (at < HUB + FILLET)] = FILLET_SLOPE
    slope[at > 1 - CHAMFER] = CHAMFER_SLOPE
    reach = np.arange(-3, 3.01, 1 / max(1.0, 0.8 * fine * setup.side / 320), dtype=np.float32)
    bell = np.exp(-0.5 * reach * reach)
    slope = np.convolve(slope, bell / bell.sum(), mode="same")
    return np.asarray(slope[np.minimum((radius * fine).astype(np.int32), len(slope) - 1)])


def _reflect(
    setup: Setup, planes: Planes, holes: _Holes, direction: tuple[Plane, Plane], paint: Paint | None
) -> list[Plane]:
    """Return the light that the upper face reflects from the sky, the main and the second lamp."""
    cos, sin = direction
    radial = _turned_slope(setup, planes.radius)
    steep = np.minimum(np.abs(radial) * 4, 1)
    radial += planes.groove * (GROOVE_SLOPE * (1 - 0.7 * steep))
    sunk = np.clip(holes.seat + (COUNTERSINK * setup.flange.radius + 0.5), 0, 1)
    radial += sunk * (CHAMFER_SLOPE * holes.radial - radial)
    tangential = CHAMFER_SLOPE * sunk * holes.tangential
    spread = NARROW + 0.10 * steep
    if paint is not None:
        radial += paint.slope_x * cos + paint.slope_y * sin
        tangential += paint.slope_y * cos - paint.slope_x * sin
        spread += 0.3 * paint.dull
    level = 1 - 0.5 * (radial * radial + tangential * tangential)
    layers = [setup.ambient * level * (1 + 0.1 * planes.mottle)]
    near = NEAR / setup.side
    for lamp in setup.lamps:
        x, y = lamp.x - near * planes.x, lamp.y - near * planes.y
        across, along = x * cos + y * sin, y * cos - x * sin
        lobe = np.exp(-(((radial - across) / WIDE) ** 2) - ((tangential - along) / spread) ** 2)
        matt = np.maximum(1 + 5 * (radial * across + tangential * along), 0)
        layers.append(lamp.power * (lobe + 0.20 * matt))
    return layers


def _smooth(plane: Plane) -> Plane:
    """Return the smoothstep function: 0 below 0, 1 above 1, and flat at both."""
    clipped = np.clip(plane, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def _falloff(setup: Setup, planes: Planes) -> Plane:
    """Return the falloff of light: one side is nearer to the lamp, and the lens darkens the corners."""
    u, v = planes.x / setup.side, planes.y / setup.side
    return 1 + setup.falloff[0] * u + setup.falloff[1] * v - 0.28 * (u * u + v * v)


def _hub_shadow(flange: Flange, radius: Plane, facing: Plane) -> Plane:
    """Return the shadow of the hub around its foot, darkest on the side away from the lamp."""
    beyond = radius - HUB * flange.radius
    cast = _smooth(beyond / (flange.radius * (0.02 + 0.09 * np.maximum(-facing, 0))))
    open_sky = np.clip(beyond / (0.10 * flange.radius), 0, 1)
    light = (0.75 + 0.25 * open_sky) * (0.66 + 0.34 * cast)
    return np.asarray(1 + np.clip(beyond + 0.5, 0, 1) * (light - 1))


def _bore_wall(
    setup: Setup, planes: Planes, holes: _Holes, direction: tuple[Plane, Plane], facing: Plane
) -> Plane:
    """Return the light on the inner walls of bore and holes, brightest where they face the lamp."""
    (cos, sin), (away_x, away_y) = direction, setup.away
    lit = holes.radial * facing + holes.tangential * (sin * away_x - cos * away_y)
    in_bore = planes.radius < 0.5 * (BORE + HUB) * setup.flange.radius
    lit = np.maximum(np.where(in_bore, -facing, lit), -0.5)
    return (0.06 + 0.09 * lit) * (1 + 0.15 * planes.streak)


def _belt_shadow(setup: Setup, planes: Planes) -> Plane:
    """Return the shadow on the belt: under the part's shadow, close to its rim, inside its holes."""
    outer, shift = setup.flange.radius, SHADOW * setup.flange.radius
    x, y = planes.x - setup.away[0] * shift, planes.y - setup.away[1] * shift
    cast = 0.3 + 0.7 * _smooth((np.sqrt(x * x + y * y) - 0.97 * outer) / (0.13 * outer))
    close = 0.62 + 0.38 * np.clip((planes.radius - outer) / (0.16 * outer), 0, 1)
    inside = 0.55 + 0.45 * np.clip(planes.radius - 0.92 * outer, 0, 1)
    return np.asarray(cast * close * inside)
