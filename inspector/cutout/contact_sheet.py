"""The contact sheet: pictures beside their cut-outs on one page."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from inspector.imaging.montage import lay_out
from inspector.imaging.resize import fit_to
from inspector.types import Pixels

MOST_PAIRS = 60
PAIRS_IN_A_ROW = 5
TILE_PIXELS, CAPTION_PIXELS, GAP_PIXELS = 150, 16, 6
SQUARE_PIXELS, SQUARES = 10, (150, 200)  # greys of the checkerboard behind the cut-outs
CAPTION_LETTERS = 22


def choose_shown(count: int) -> list[int]:
    """Choose the numbers of the pictures to show: all of `count`, or 60 evenly spread.

    Examples
    --------
    >>> choose_shown(3)
    [0, 1, 2]
    >>> len(choose_shown(1000)), choose_shown(1000)[-1]
    (60, 999)
    """
    return sorted({int(number) for number in np.linspace(0, count - 1, min(count, MOST_PAIRS))})


def draw_pair(picture: Pixels, cut: Pixels, name: str) -> Pixels:
    """Draw one picture beside its cut-out, with its name below.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        RGB.
    cut : ndarray of uint8, shape (H, W, 4) or (H, W, 3)
        The cut-out, RGBA or laid over a colour.
    name : str
        Caption; cut off after 22 letters.
    """
    tile = np.full((TILE_PIXELS + CAPTION_PIXELS, 2 * TILE_PIXELS, 3), 255, np.uint8)
    for left, shown in ((0, _fitted(picture)), (TILE_PIXELS, _over_squares(_fitted(cut)))):
        height, width = shown.shape[:2]
        top, begin = (TILE_PIXELS - height) // 2, left + (TILE_PIXELS - width) // 2
        tile[top : top + height, begin : begin + width] = shown
    place = (4, TILE_PIXELS + CAPTION_PIXELS - 4)
    cv2.putText(
        tile, name[:CAPTION_LETTERS], place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA
    )
    return tile


def lay_out_pairs(pairs: list[Pixels]) -> Pixels:
    """Lay drawn pairs out in rows, uint8 (H, W, 3); at least one is needed."""
    return lay_out(pairs, PAIRS_IN_A_ROW, gap_pixels=GAP_PIXELS, ground=255)


def _fitted(pixels: Pixels) -> Pixels:
    """Resize a picture to fit a tile, in its own proportions."""
    scale = TILE_PIXELS / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return fit_to(pixels, height, width)


def _over_squares(rgba: Pixels) -> Pixels:
    """Lay RGBA over a checkerboard; RGB is returned as it is."""
    if rgba.shape[2] == 3:
        return rgba
    row, column = np.indices(rgba.shape[:2]) // SQUARE_PIXELS
    squares = np.array(SQUARES, np.float32)[(row + column) % 2][..., np.newaxis]
    share = rgba[..., 3:].astype(np.float32) / np.float32(255)
    return cast(Pixels, np.rint(rgba[..., :3] * share + squares * (1 - share)).astype(np.uint8))
