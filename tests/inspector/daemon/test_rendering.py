"""The console's views of an inspection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspector.bundle.folder import write_bundle
from inspector.daemon.rendering import JPEG_QUALITY, View, render
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_jpeg, encode_png
from inspector.scoring import heatmap
from inspector.scoring.detector import Detector
from tests.inspector.image_samples import write_twelve_bits
from tests.inspector.tiny_bundle import TWELVE_BITS, bad_picture, tiny_bundle, tiny_fill

BAD = encode_png(bad_picture(height=120, width=160))


@pytest.mark.parametrize(("threshold", "verdict"), [(1e9, "pass"), (1.0, "fail")])
def test_the_console_outlines_the_regions_of_the_json(tmp_path: Path, threshold: float, verdict: str) -> None:
    """A picture that passed lists no region and gets no outline, although its map exceeds the limit."""
    detector = Detector(tiny_bundle(tmp_path / "tiny", threshold=threshold))
    inspection = detector.score(BAD)
    assert inspection.verdict == verdict
    assert inspection.coarse_map is not None
    calibration = detector.calibration
    assert heatmap.find_regions(inspection.coarse_map, calibration.map_limit)
    regions = inspection.record().regions
    assert bool(regions) == (verdict == "fail")
    expected = heatmap.overlay(
        decode(BAD).pixels,
        inspection.coarse_map,
        limit=calibration.map_limit,
        ceiling=calibration.map_ceiling,
        regions=regions,
    )
    drawn = render(View.HEATMAP, BAD, inspection.without_pixels(), detector)
    assert drawn == encode_jpeg(expected, JPEG_QUALITY)


def test_views_are_as_large_as_a_screen_shows(tmp_path: Path) -> None:
    """A large picture's heatmap covers the same pixels in a smaller drawing."""
    detector = Detector(tiny_bundle(tmp_path / "tiny"))
    data = encode_png(bad_picture(height=2400, width=3200))
    inspection = detector.score(data)
    drawn, picture = (
        decode(render(view, data, inspection, detector)).pixels.astype(int)
        for view in (View.HEATMAP, View.PICTURE)
    )
    assert drawn.shape == picture.shape == (1200, 1600, 3)
    rows, columns = np.nonzero(np.abs(drawn - picture).max(axis=2) > 60)
    (region,) = inspection.regions
    assert abs(rows.min() - region.y / 2) < 20
    assert abs(columns.max() - (region.x + region.width) / 2) < 20


@pytest.mark.parametrize("view", [View.PICTURE, View.THUMBNAIL, View.HEATMAP, View.RECONSTRUCTION])
def test_views_of_twelve_bits(tmp_path: Path, view: View) -> None:
    """The console shows 12 bits in 16 as it shows the same picture of 8 bits."""
    detector = Detector(write_bundle(tmp_path / "tiny", tiny_fill(contract=TWELVE_BITS)))
    grey = np.repeat(bad_picture(3)[..., :1], 3, axis=2)
    deep = write_twelve_bits(tmp_path / "part.png", grey).read_bytes()
    drawn = [render(view, data, detector.score(data), detector) for data in (deep, encode_png(grey))]
    assert drawn[0] == drawn[1]
