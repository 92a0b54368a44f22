"""Pictures of a rendered data set beside their heatmaps and their true defects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from inspector.bundle.atomic import storage_errors, write_bytes
from inspector.demo.photograph import KINDS
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import Detector
from inspector.types import Mask, Pixels

SHOWN_GOOD, SHOWN_PER_KIND = 2, 4
GAP_PIXELS = 6
GAP_GREY, OUTLINE = 255, (255, 64, 160)


def write_heatmaps(folder: Path, pictures: Path, detector: Detector) -> Path:
    """Write a strip for some pictures of each kind, and one sheet with the first strip of each kind.

    A strip shows a picture, the heatmap that the model draws on it, and the outline of the true defect.

    Parameters
    ----------
    folder : Path
        Made if it does not exist; files of the same names are replaced.
    pictures : Path
        A data set of `inspector.demo.dataset.write_dataset`.
    detector : Detector
        The model.

    Returns
    -------
    Path
        Path of the sheet.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sheet = []
    for kind in ("good", *KINDS):
        shown = SHOWN_GOOD if kind == "good" else SHOWN_PER_KIND
        paths = sorted((pictures / "test" / kind).glob("*.png"))[:shown]
        strips = [_strip(path, pictures / "ground_truth" / kind, detector) for path in paths]
        for path, strip in zip(paths, strips, strict=True):
            write_bytes(folder / f"{kind}_{path.stem}.png", encode_png(strip), durable=False)
        sheet += strips[:1]
    gap = np.full((GAP_PIXELS, *sheet[0].shape[1:]), GAP_GREY, np.uint8)
    stacked = np.concatenate([piece for strip in sheet for piece in (gap, strip)][1:])
    write_bytes(folder / "overview.png", encode_png(stacked), durable=False)
    return folder / "overview.png"


def _strip(path: Path, truth: Path, detector: Detector) -> Pixels:
    """Return the picture, its heatmap and its true defect side by side."""
    picture = decode(path).pixels
    drawn = detector.draw(detector.score(path), picture)
    mask_file = truth / f"{path.stem}_mask.png"
    real = picture
    if mask_file.is_file():
        real = _outlined(picture, decode(mask_file).pixels[..., 0] > 0)
    gap = np.full((picture.shape[0], GAP_PIXELS, 3), GAP_GREY, np.uint8)
    return np.concatenate([picture, gap, picture if drawn is None else drawn, gap, real], axis=1)


def _outlined(picture: Pixels, mask: Mask) -> Pixels:
    """Draw a line of one pixel around a mask, two pixels away from it."""
    neighbours = np.ones((3, 3), np.uint8)
    near = cv2.dilate(mask.astype(np.uint8), neighbours, iterations=2)
    line = cv2.dilate(near, neighbours) > near
    drawn = picture.copy()
    drawn[line] = OUTLINE
    return drawn
