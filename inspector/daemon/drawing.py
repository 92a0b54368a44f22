"""What the console shows of an inspection: the picture, its heatmap, its reconstruction, a thumbnail."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inspector.imaging import images
from inspector.scoring import heatmap
from inspector.scoring.detector import Detector
from inspector.settings import Settings

LARGEST_SIDE = 1600  # pixels; a screen shows no more
THUMBNAIL_SIDE = 160
QUALITY = 88


class View(StrEnum):
    """Last part of `/v1/inspections/{number}/views/{view}`."""

    PICTURE = "picture"
    HEATMAP = "heatmap"
    RECONSTRUCTION = "reconstruction"
    THUMBNAIL = "thumbnail"


def render(
    view: View, data: bytes, coarse_map: NDArray[np.float32], detector: Detector, settings: Settings
) -> bytes:
    """Draw one view as JPEG, at most `LARGEST_SIDE` pixels on a side, upright.

    Parameters
    ----------
    view : View
    data : bytes
        The image file as it was sent.
    coarse_map : float32 (h, w)
        As the detector gave it; higher is more anomalous.
    detector : Detector
        The model that inspected it.
    settings : Settings
        Limits on the picture.
    """
    most = THUMBNAIL_SIDE if view is View.THUMBNAIL else LARGEST_SIDE
    background = detector.manifest.image.background
    picture = images.decode(
        data,
        max_pixels=settings.max_pixels,
        max_bytes=settings.max_bytes,
        reduce_to=(most, most),
        background=background,
    )
    scale = min(1.0, most / max(picture.height, picture.width))
    height, width = (max(1, round(side * scale)) for side in (picture.height, picture.width))
    pixels = images.fit_to(picture.pixels, height, width)
    if view is View.HEATMAP:
        calibration = detector.calibration
        anomaly_map = heatmap.upsample(coarse_map, height, width)
        pixels = heatmap.overlay(
            pixels,
            anomaly_map,
            limit=calibration.map_limit,
            ceiling=calibration.map_ceiling,
            regions=heatmap.regions(anomaly_map, calibration.map_limit),
        )
    elif view is View.RECONSTRUCTION:
        _, prepared = detector.prepare(data)
        pixels = images.fit_to(detector.reconstruct(prepared[np.newaxis])[0], height, width)
    return images.encode_jpeg(pixels, QUALITY)
