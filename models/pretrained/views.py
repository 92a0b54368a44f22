"""Two views of one picture, and points that show the same place in both: the batches of dense contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.types import Floats, Rng

BRIGHTNESS = 0.45  # mean of every view, because a fit also brings all pictures to one brightness
CANDIDATES = 16  # points drawn for each one that is kept; not all of them lie in both views


class Views(NamedTuple):
    """The pictures of one training step, each seen twice."""

    pictures: Tensor  # (2B, 3, side, side): the first views of all pictures, then the second ones
    points: Tensor  # (2, B, K, 2): x and y in px; point k of a picture is the same place in both views


@dataclass(frozen=True)
class Source:
    """Pictures to draw from.

    Attributes
    ----------
    pictures : uint8 (N, H, W, 3)
    share : float
        Share of all drawn pictures that comes from this source, 0 to 1.
    """

    pictures: NDArray[np.uint8]
    share: float


@dataclass(frozen=True)
class Look:
    """How views are drawn: what both views of a picture share, and by how much they differ.

    Attributes
    ----------
    pictures, points : int
        Pictures of a step, and points of each picture.
    side : int
        Height and width of a view in pixels.
    scale : (float, float)
        Smallest and largest magnification of the picture; both views share it.
    turn : float
        The second view is turned by at most this many degrees against the first.
    zoom : float
        Each view is magnified once more, by a factor between exp(−zoom) and exp(zoom).
    shift : float
        The middle of each view moves by at most this share of its side.
    margin : float
        Points keep this distance in pixels from the border of both views.
    """

    pictures: int = 40
    points: int = 14
    side: int = 96
    scale: tuple[float, float] = (0.55, 1.3)
    turn: float = 12.0
    zoom: float = 0.12
    shift: float = 0.18
    margin: float = 8.0


class ViewSampler:
    """Draws pairs of views; the views of a step depend on seed and step alone.

    Parameters
    ----------
    sources : sequence of Source
        Their shares add up to 1.
    look : Look
    seed : int
    """

    def __init__(self, sources: Sequence[Source], look: Look, seed: int) -> None:
        self._sources, self._look, self._seed = sources, look, seed

    def draw(self, step: int) -> Views:
        """Return the views of this step."""
        look = self._look
        rng = np.random.default_rng([self._seed, step])
        pictures = np.empty((2, look.pictures, look.side, look.side, 3), np.float32)
        points = np.empty((2, look.pictures, look.points, 2), np.float32)
        shares = [source.share for source in self._sources]
        for i, chosen in enumerate(rng.choice(len(shares), look.pictures, p=shares)):
            bank = self._sources[chosen].pictures
            views, points[:, i] = two_views(rng, bank[rng.integers(len(bank))], look)
            pictures[:, i] = [retaken(rng, view) for view in views]
        mean = pictures.mean((2, 3, 4), keepdims=True)
        pictures *= np.clip(BRIGHTNESS / np.maximum(mean, 1e-3), 0.4, 2.5)
        flat = pictures.reshape(-1, look.side, look.side, 3)
        return Views(torch.from_numpy(flat).permute(0, 3, 1, 2), torch.from_numpy(points))


def two_views(rng: Rng, picture: NDArray[np.uint8], look: Look) -> tuple[NDArray[np.uint8], Floats]:
    """Cut two views from a picture, and draw points that both of them show.

    Beyond its border the picture is mirrored.

    Parameters
    ----------
    rng : numpy Generator
    picture : uint8 (H, W, 3)
    look : Look

    Returns
    -------
    views : uint8 (2, side, side, 3)
    points : float32 (2, points, 2)
        x and y of the same places in both views, in px from the middle of the first pixel.
    """
    while True:
        maps = _placements(rng, picture.shape[:2], look)
        if (points := _matches(rng, maps, look)) is not None:
            break
    size = (look.side, look.side)
    views = [
        cv2.warpAffine(picture, m[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for m in maps
    ]
    return np.stack(views), points


def _placements(
    rng: Rng, shape: tuple[int, ...], look: Look
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the affine maps (3, 3) from the picture's pixels to those of each view."""
    height, width = shape
    scale = np.exp(rng.uniform(*np.log(look.scale)))
    centre = rng.uniform(0.3, 0.7, 2) * (width, height)
    turn, flip = 90 * rng.integers(4), rng.random() < 0.5
    maps = []
    for own_turn in (0.0, rng.uniform(-look.turn, look.turn)):
        zoom = scale * np.exp(rng.uniform(-look.zoom, look.zoom))
        angle = np.deg2rad(turn + own_turn)
        middle = centre + rng.uniform(-1, 1, 2) * look.side / zoom * look.shift
        rotation = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if flip:
            rotation = rotation @ np.diag([-1.0, 1.0])
        offset = look.side / 2 - rotation @ middle
        maps.append(np.vstack([np.hstack([rotation, offset[:, None]]), [0, 0, 1]]))
    return maps[0], maps[1]


def _matches(rng: Rng, maps: tuple[NDArray[np.float64], NDArray[np.float64]], look: Look) -> Floats | None:
    """Draw points (2, points, 2) that both views show; return None if the views share too little."""
    low, high = look.margin, look.side - look.margin
    first = rng.uniform(low, high, (CANDIDATES * look.points, 2))
    across = maps[1] @ np.linalg.inv(maps[0])
    second = first @ across[:2, :2].T + across[:2, 2]
    shown = ((second > low) & (second < high)).all(1)
    if shown.sum() < look.points:
        return None
    return np.stack([first[shown], second[shown]])[:, : look.points].astype(np.float32)


def retaken(rng: Rng, view: NDArray[np.uint8]) -> Floats:
    """Return a view as if it were taken once more: in other light and colour, less sharp, with noise.

    A quarter of the views become grey.

    Parameters
    ----------
    rng : numpy Generator
    view : uint8 (side, side, 3)

    Returns
    -------
    float32 (side, side, 3) in 0 to 1
    """
    x = view.astype(np.float32) / np.float32(255)
    if rng.random() < 0.25:
        x = np.repeat(x.mean(2, keepdims=True), 3, 2)
    mean = x.mean()
    x = (x - mean) * np.float32(rng.uniform(0.7, 1.35)) + mean * np.float32(rng.uniform(0.75, 1.3))
    x = x * (1 + rng.uniform(-0.12, 0.12, 3).astype(np.float32))  # a colour cast
    if rng.random() < 0.4:  # light from one side
        y, across = np.mgrid[: x.shape[0], : x.shape[1]].astype(np.float32) / x.shape[0] - 0.5
        slopes = rng.normal(0, 0.25, 2).astype(np.float32)
        x = x * (1 + slopes[0] * y + slopes[1] * across)[..., None]
    if rng.random() < 0.4:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.3, 1.2)))
    noise = rng.standard_normal((*x.shape[:2], 1 if rng.random() < 0.5 else 3), dtype=np.float32)
    return np.asarray(np.clip(x + np.float32(rng.uniform(0, 0.035)) * noise, 0, 1), np.float32)
