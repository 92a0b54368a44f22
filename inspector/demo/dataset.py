"""Rendered photographs of machined flanges, good and defective, with exact masks of the defects.

A defective part is the good part of the same seed, under the same light and with the same noise,
with one thing changed.  Its mask is where the two pictures differ.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspector.bundle.atomic import storage_errors
from inspector.demo.defect import MAKERS, Blemish
from inspector.demo.flange import TURN, Paint, Plane, Planes, Setup, arrange, illuminate
from inspector.errors import UsageError
from inspector.imaging.encode import encode_png

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

KINDS: tuple[str, ...] = tuple(MAKERS)

SMALLEST_SIDE, LARGEST_SIDE = 32, 4096
VISIBLE_LEVELS = 7  # a pixel that changes by less is left unchanged, outside of the mask
SMALLEST_SHARE = 60 / 320**2  # of the picture that a defect has to change,
EVIDENT_LEVELS = 20.0  # and by how much on average; else it is drawn again, stronger
ATTEMPTS = 8
FRAME = 4  # pixels; the blur of the lens reaches 3
MARGIN = 8  # pixels around a defect: as many as the blur spreads it over, and the frame
SEED_STRIDE = 1_000_000  # between the seeds of two data sets
NOTE = "rendered-parts.txt"  # marks a folder as one that may be written anew
NOTE_TEXT = "Rendered by inspector. The folders beside this file are replaced when it renders again.\n"
BAND = 64  # rows that are lit at once: their planes stay in the processor's cache

# Columns: sky, main lamp, second lamp, belt; rows: red, green, blue.
COLOURS = np.array(
    [[0.93, 1.00, 0.88, 0.0145], [0.97, 0.975, 0.95, 0.0265], [1.00, 0.94, 1.00, 0.0260]], np.float32
)


@dataclass(frozen=True)
class Part:
    """A picture of a part, and what is wrong with it.

    Attributes
    ----------
    picture : uint8 (H, W, 3)
        RGB.
    mask : bool (H, W)
        True where the picture differs from the one of the same part without its defect.
    """

    picture: Pixels
    mask: Mask


def render(seed: int, *, kind: str | None = None, size: int = 320) -> Part:
    """Photograph one part.

    Parameters
    ----------
    seed : int
        Chooses the part, its place, the light and the defect; 0 or more.
    kind : str, optional
        One of `KINDS`; a good part without it.
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
    _check(seed, kind, size)
    setup = arrange(np.random.default_rng([seed, 0]), size)
    planes, noise = _prepare(np.random.Generator(np.random.SFC64([seed, 1])), setup)
    good = _photograph(setup, planes, noise)
    if kind is None:
        return Part(good, np.zeros((size, size), np.bool_))
    rng = np.random.default_rng([seed, 2, KINDS.index(kind)])
    return _spoil(setup, planes, noise, good, lambda strength: MAKERS[kind](setup.flange, rng, strength))


def write_dataset(
    folder: Path,
    *,
    train: int = 120,
    good: int = 40,
    per_kind: int = 12,
    size: int = 320,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a data set in the layout of MVTec AD: every picture shows another part.

    The pictures are `train/good/000.png`, `test/good/000.png` and `test/KIND/000.png` for each of
    `KINDS`, with `ground_truth/KIND/000_mask.png`, 255 inside the mask.  A folder that this
    function wrote before is written anew; a folder with anything else in it is refused.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    train, good, per_kind : int
        How many good parts to learn from, good parts to test on, and defective ones of each kind.
    size : int
        Side of the pictures in pixels.
    seed : int
        Another seed gives other parts.
    progress : callable, optional
        Is told how many pictures are written, and how many there will be.

    Raises
    ------
    UsageError
        An argument is out of its range, or the folder holds something else.
    StorageError
        The folder cannot be written.
    """
    _check(seed, None, size)
    for name, count in (("train", train), ("good", good), ("per_kind", per_kind)):
        if not 0 <= count < SEED_STRIDE // 10:
            raise UsageError(
                f"{name} is {count}, allowed is 0 to {SEED_STRIDE // 10 - 1}",
                hint="ask for fewer pictures",
            )
    jobs: list[tuple[str, str | None]] = [("train", None) for _ in range(train)]
    jobs += [("test", None) for _ in range(good)]
    jobs += [("test", kind) for kind in KINDS for _ in range(per_kind)]
    with storage_errors(folder):
        _clear(folder)
        _write_all(folder, jobs, size=size, seed=seed, progress=progress)


def _check(seed: int, kind: str | None, size: int) -> None:
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
    """Smooth noise of about unit spread, float32 (side, side)."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _lathe_marks(rng: np.random.Generator, radius: Plane, angle: Plane, outer: float) -> tuple[Plane, Plane]:
    """Rings and arcs that the tool left, drawn on a chart of angle by radius and wound up."""
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
    """A woven conveyor belt, of about unit brightness."""
    fibre = cv2.GaussianBlur(rng.standard_normal((side, side), dtype=np.float32), (0, 0), 0.8)
    axis = np.arange(side, dtype=np.float32) * (TURN * 72 / side)
    across, down = np.sin(axis + rng.uniform(0, TURN)), np.sin(axis + rng.uniform(0, TURN))
    wear = _lattice(rng, max(4, side // 12), side)
    weave = across * down[:, np.newaxis]
    return np.asarray(1 + 0.13 * weave + 0.24 * fibre + 0.05 * wear + 0.07 * mottle, np.float32)


def _prepare(rng: np.random.Generator, setup: Setup) -> tuple[Planes, Plane]:
    """Planes of the whole picture, and the sensor's noise float32 (H, W, 3) of unit spread."""
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
    """Light, lens, film curve and sensor: uint8 (h, w, 3)."""
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
    """Light that reaches the camera, float32 (h, w, 3)."""
    layers, metal = illuminate(setup, planes, paint)
    light = np.asarray(cv2.transform(cv2.merge(layers), COLOURS), np.float32)
    if paint is not None:
        light *= 1 + (paint.tint - 1) * metal[..., np.newaxis]
    return np.maximum(light, 0)


def _spoil(
    setup: Setup, planes: Planes, noise: Plane, good: Pixels, make: Callable[[float], Blemish]
) -> Part:
    """Photograph the same part with a defect that can be seen."""
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
    """Set the frame to 0, where the blur of the lens lacked its neighbours."""
    inner = np.zeros_like(change)
    inner[FRAME:-FRAME, FRAME:-FRAME] = change[FRAME:-FRAME, FRAME:-FRAME]
    return inner


def _span(centre: float, reach: float, side: int) -> slice:
    return slice(max(0, int(centre - reach) - MARGIN), min(side, int(centre + reach) + MARGIN + 2))


def _clear(folder: Path) -> None:
    """Make room for a data set: remove the one that was written before, and nothing else."""
    note = folder / NOTE
    if folder.exists() and any(folder.iterdir()) and not note.is_file():
        raise UsageError(
            f"{folder} holds files that were not rendered here",
            hint="choose an empty or a new folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(NOTE_TEXT, encoding="utf-8")
    for name in ("train", "test", "ground_truth"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _write_all(
    folder: Path,
    jobs: list[tuple[str, str | None]],
    *,
    size: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    written: dict[Path, int] = {}
    for done, (split, kind) in enumerate(jobs):
        part = render(seed * SEED_STRIDE + done, kind=kind, size=size)
        target = folder / split / (kind or "good")
        number = written.setdefault(target, 0)
        written[target] += 1
        _write_png(target / f"{number:03d}.png", part.picture)
        if kind is not None:
            truth = folder / "ground_truth" / kind / f"{number:03d}_mask.png"
            _write_png(truth, part.mask.astype(np.uint8) * 255)
        if progress is not None:
            progress(done + 1, len(jobs))


def _write_png(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))
