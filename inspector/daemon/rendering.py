"""Draws an inspection for the console: picture, heatmap, reconstruction or thumbnail, as JPEG."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from inspector.imaging.encode import encode_jpeg
from inspector.imaging.resize import fit_to
from inspector.scoring.detector import Detector
from inspector.scoring.inspection import Inspection
from inspector.scoring.preparation import read

LARGEST_SIDE_PIXELS = 1600  # as much as a screen shows
THUMBNAIL_SIDE_PIXELS = 160
JPEG_QUALITY = 88


class View(StrEnum):
    """The last part of `/v1/inspections/{number}/views/{view}`."""

    PICTURE = "picture"
    HEATMAP = "heatmap"
    RECONSTRUCTION = "reconstruction"
    THUMBNAIL = "thumbnail"


def render(view: View, data: bytes, inspection: Inspection, detector: Detector) -> bytes:
    """Draw one view as JPEG, upright, at most `LARGEST_SIDE_PIXELS` on a side.

    Parameters
    ----------
    view : View
    data : bytes
        The image file as it was sent.
    inspection : Inspection
        The result for this file; not invalid.
    detector : Detector
        The model that inspected it.
    """
    side = THUMBNAIL_SIDE_PIXELS if view is View.THUMBNAIL else LARGEST_SIDE_PIXELS
    picture = read(data, detector.manifest.image, detector.settings, reduce_to=(side, side))
    scale = min(1.0, side / max(picture.height, picture.width))
    size = (max(1, round(picture.height * scale)), max(1, round(picture.width * scale)))
    pixels = fit_to(picture.pixels, *size)
    if view is View.HEATMAP:
        drawn = detector.draw(inspection, pixels)
        pixels = pixels if drawn is None else drawn
    elif view is View.RECONSTRUCTION:
        _, prepared = detector.prepare(data)
        pixels = fit_to(detector.reconstruct(prepared[np.newaxis])[0], *size)
    return encode_jpeg(pixels, JPEG_QUALITY)
