"""Renders photographs of machined flanges, good and defective, with exact masks of the defects.

A defective part is the good part of the same seed, under the same light and with the same noise, with one
change.  Its mask marks the pixels in which the two pictures differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inspector.demo.defect import MAKERS, Blemish
from inspector.demo.flange import TURN, Paint, Plane, Planes, Setup, arrange, illuminate
from inspector.errors import UsageError
from inspector.types import Mask, Pixels

KINDS: tuple[str, ...] = tuple(MAKERS)

SMALLEST_SIDE, LARGEST_SIDE = 32, 4096
VISIBLE_LEVELS = 7  # a smaller change of a pixel is undone and left out of the mask
SMALLEST_SHARE = 60 / 320**2  # share of the picture that a defect has to change
EVIDENT_LEVELS = 20.0  # mean change that a defect has to make; a weaker one is drawn again, stronger
ATTEMPTS = 8
FRAME = 4  # pixels; the blur of the lens reaches 3
MARGIN = 8  # pixels around a defect, for the blur and the frame
BAND = 64  # rows that are lit at once: their planes stay in the processor's cache

# Columns: sky, main lamp, second lamp, belt; rows: red, green, blue.
COLOURS = np.array(
    [[0.93, 1.00, 0.88, 0.0145], [0.97, 0.975, 0.95, 0.0265], [1.00, 0.94, 1.00, 0.0260]], np.float32
)


@dataclass(frozen=True)
class Part:
    """A picture of a part, and the mask of its defect.

    Attributes
    ----------
    picture : uint8 (H, W, 3)
        RGB.
    mask : bool (H, W)
        True where the picture differs from a picture of the same part without the defect.
    """

    picture: Pixels
    mask: Mask


def render(seed: int, *, kind: str | None = None, size: int = 320) -> Part:
    """Photograph one part.

    Parameters
    ----------
    seed : int
        Chooses the part, its position, the light and the defect; 0 or more.
    kind : str, optional
        Kind of the defect, one of `KINDS`; a good part without it.
    size : int
        Side of the picture in pixels, 32 to 4096.

    Returns
    -------
    Part
        The same bytes for the same arguments.

    Raises
    ------
    UsageError
        An argument is out of its range.

    Examples
    --------
    >>> part = render(7, kind="scratch", size=128)
    >>> part.picture.shape, part.mask.shape, bool(part.mask.any())
    ((128, 128, 3), (128, 128), True)
    >>> good = render(7, size=128)
    >>> bool((good.picture == part.picture)[~part.mask].all())
    True
    """
    check_arguments(seed, kind, size)
    setup = arrange(np.random.default_rng([seed, 0]), size)
    planes, noise = _prepare(np.random.Generator(np.random.SFC64([seed, 1])), setup)
    good = _photograph(setup, planes, noise)
    if kind is None:
        return Part(good, np.zeros((size, size), np.bool_))
    rng = np.random.default_rng([seed, 2, KINDS.index(kind)])
    return _spoil(setup, planes, noise, good, lambda strength: MAKERS[kind](setup.flange, rng, strength))


def check_arguments(seed: int, kind: str | None, size: int) -> None:
    """Raise `UsageError` if an argument of `render` is out of its range."""
    if kind is not None and kind not in KINDS:
        raise UsageError(
            f"unknown kind of defect {kind!r}, allowed are {', '.join(KINDS)}",
            hint="leave it out for a good part",
        )
    if not SMALLEST_SIDE <= size <= LARGEST_SIDE:
        raise UsageError(
            f"size is {size} pixels, allowed is {SMALLEST_SIDE} to {LARGEST_SIDE}",
            hint="320 is a good size to start with",
        )
    if seed < 0:
        raise UsageError(f"seed is {seed}, allowed is 0 or more", hint="choose another seed")


def _lattice(rng: np.random.Generator, cells: int, side: int) -> Plane:
    """Return smooth noise of about unit standard deviation, float32 (side, side)."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _lathe_marks(rng: np.random.Generator, radius: Plane, angle: Plane, outer: float) -> tuple[Plane, Plane]:
    """Return the slope and the colour of the lathe marks, drawn in polar coordinates and remapped."""
    density, turns, overlap = 1.4, 192, 48
    white = rng.standard_normal((turns, int(outer * 1.5) + 2), dtype=np.float32)
    around = np.concatenate([white[-overlap:], white, white[:overlap]])
    arcs = cv2.blur(around, (1, 41))[overlap:-overlap] * 6.4
    ticks = cv2.blur(around, (1, 9))[overlap:-overlap] * 3.0
    ring = rng.standard_normal((1, white.shape[1]), dtype=np.float32)
    ring += 3.2 * cv2.GaussianBlur(ring, (0, 0), 2.0)
    chart = np.dstack([0.75 * ring + 0.6 * arcs, 0.5 * arcs[:, ::-1] + 0.6 * ticks])
    chart = np.concatenate([chart, chart[:1]])
    column, row = radius * density, angle * (turns / TURN)
    marks = cv2.remap(chart, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(marks[..., 0], np.float32), np.asarray(marks[..., 1], np.float32)


def _belt(rng: np.random.Generator, side: int, mottle: Plane) -> Plane:
    """Return a woven conveyor belt of about unit brightness."""
    fibre = cv2.GaussianBlur(rng.standard_normal((side, side), dtype=np.float32), (0, 0), 0.8)
    axis = np.arange(side, dtype=np.float32) * (TURN * 72 / side)
    across, down = np.sin(axis + rng.uniform(0, TURN)), np.sin(axis + rng.uniform(0, TURN))
    wear = _lattice(rng, max(4, side // 12), side)
    weave = across * down[:, np.newaxis]
    return np.asarray(1 + 0.13 * weave + 0.24 * fibre + 0.05 * wear + 0.07 * mottle, np.float32)


def _prepare(rng: np.random.Generator, setup: Setup) -> tuple[Planes, Plane]:
    """Return the planes of the whole picture, and sensor noise of unit deviation, float32 (H, W, 3)."""
    side = setup.side
    axis = np.arange(side, dtype=np.float32)
    x = np.tile(axis - setup.x, (side, 1))
    y = np.repeat((axis - setup.y)[:, np.newaxis], side, axis=1)
    polar = cv2.cartToPolar(x, y)
    radius, angle = np.maximum(polar[0], 1e-3).astype(np.float32), np.asarray(polar[1], np.float32)
    groove, streak = _lathe_marks(rng, radius, angle, setup.flange.radius)
    mottle = _lattice(rng, 5, side)
    belt = _belt(rng, side, mottle)
    noise = rng.standard_normal((side, side, 3), dtype=np.float32)
    return Planes(x, y, radius, angle, groove, streak, mottle, belt), noise


def _photograph(setup: Setup, planes: Planes, noise: Plane, paint: Paint | None = None) -> Pixels:
    """Apply light, lens, film curve and sensor noise; return uint8 (h, w, 3)."""
    if paint is None:
        bands = [slice(top, top + BAND) for top in range(0, len(noise), BAND)]
        light = np.concatenate([_expose(setup, planes.window(band, slice(None))) for band in bands])
    else:
        light = _expose(setup, planes, paint)
    light = cv2.GaussianBlur(light, (0, 0), setup.blur)
    film = cv2.sqrt(1 - cv2.exp(light * (-2 * setup.exposure))) * 255
    film += noise * (0.9 + 0.0075 * film)
    return np.asarray(np.clip(film + 0.5, 0, 255), np.uint8)


def _expose(setup: Setup, planes: Planes, paint: Paint | None = None) -> Plane:
    """Return the light that reaches the camera, float32 (h, w, 3)."""
    layers, metal = illuminate(setup, planes, paint)
    light = np.asarray(cv2.transform(cv2.merge(layers), COLOURS), np.float32)
    if paint is not None:
        light *= 1 + (paint.tint - 1) * metal[..., np.newaxis]
    return np.maximum(light, 0)


def _spoil(
    setup: Setup, planes: Planes, noise: Plane, good: Pixels, make: Callable[[float], Blemish]
) -> Part:
    """Photograph the same part with a defect, drawn again until it is visible."""
    for attempt in range(ATTEMPTS):
        blemish = make(1.2**attempt)
        place = (
            _span(setup.y + blemish.y, blemish.reach, setup.side),
            _span(setup.x + blemish.x, blemish.reach, setup.side),
        )
        window = planes.window(*place)
        bad = _photograph(setup, window, noise[place], blemish.paint(window.x, window.y))
        change = np.abs(bad.astype(np.int16) - good[place]).max(axis=2)
        seen = _inside(change) >= VISIBLE_LEVELS
        large = np.count_nonzero(seen) >= SMALLEST_SHARE * setup.side**2
        if large and change[seen].mean() >= EVIDENT_LEVELS:
            break
    picture, mask = good.copy(), np.zeros(good.shape[:2], np.bool_)
    picture[place][seen] = bad[seen]
    mask[place] = seen
    return Part(picture, mask)


def _inside(change: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Set the frame to 0, because the blur of the lens lacked neighbours there."""
    inner = np.zeros_like(change)
    inner[FRAME:-FRAME, FRAME:-FRAME] = change[FRAME:-FRAME, FRAME:-FRAME]
    return inner


def _span(centre: float, reach: float, side: int) -> slice:
    return slice(max(0, int(centre - reach) - MARGIN), min(side, int(centre + reach) + MARGIN + 2))
