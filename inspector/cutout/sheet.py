"""A contact sheet: pictures beside their cut-outs, on one page to judge them by."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from inspector.cutout.frame import Pixels
from inspector.imaging.resize import fit_to

MOST_PAIRS = 60  # of any number of pictures
PAIRS_IN_A_ROW = 5
TILE_PIXELS, CAPTION_PIXELS, GAP_PIXELS = 150, 16, 6
SQUARE_PIXELS, SQUARES = 10, (150, 200)  # greys of the checkerboard behind the cut-outs
LETTERS = 22  # of a caption


def chosen(count: int) -> list[int]:
    """Choose which of `count` pictures are shown: all, or as many as there is room for, evenly spread.

    Examples
    --------
    >>> chosen(3)
    [0, 1, 2]
    >>> len(chosen(1000)), chosen(1000)[-1]
    (60, 999)
    """
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, MOST_PAIRS))})


def pair(picture: Pixels, cut: Pixels, name: str) -> Pixels:
    """Draw one picture beside its cut-out, with its name below.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        RGB.
    cut : ndarray of uint8, shape (H, W, 4) or (H, W, 3)
        Its cut-out, RGBA or laid onto a colour.
    name : str
        What does not fit is left out from its end.
    """
    tile = np.full((TILE_PIXELS + CAPTION_PIXELS, 2 * TILE_PIXELS, 3), 255, np.uint8)
    for left, shown in ((0, _fitted(picture)), (TILE_PIXELS, _over_squares(_fitted(cut)))):
        height, width = shown.shape[:2]
        top, begin = (TILE_PIXELS - height) // 2, left + (TILE_PIXELS - width) // 2
        tile[top : top + height, begin : begin + width] = shown
    place = (4, TILE_PIXELS + CAPTION_PIXELS - 4)
    cv2.putText(tile, name[:LETTERS], place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
    return tile


def sheet(pairs: list[Pixels]) -> Pixels:
    """Lay drawn pairs out in rows: uint8 (H, W, 3); at least one is needed."""
    columns = min(len(pairs), PAIRS_IN_A_ROW)
    rows = -(-len(pairs) // columns)
    height, width = (side + GAP_PIXELS for side in pairs[0].shape[:2])
    page = np.full((rows * height + GAP_PIXELS, columns * width + GAP_PIXELS, 3), 255, np.uint8)
    for place, drawn in enumerate(pairs):
        top, left = (place // columns) * height + GAP_PIXELS, (place % columns) * width + GAP_PIXELS
        page[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return page


def _fitted(pixels: Pixels) -> Pixels:
    """Bring a picture to the size of a tile, in its own proportions."""
    scale = TILE_PIXELS / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return fit_to(pixels, height, width)


def _over_squares(rgba: Pixels) -> Pixels:
    if rgba.shape[2] == 3:
        return rgba
    row, column = np.indices(rgba.shape[:2]) // SQUARE_PIXELS
    squares = np.array(SQUARES, np.float32)[(row + column) % 2][..., np.newaxis]
    share = rgba[..., 3:].astype(np.float32) / np.float32(255)
    return cast(Pixels, np.rint(rgba[..., :3] * share + squares * (1 - share)).astype(np.uint8))
