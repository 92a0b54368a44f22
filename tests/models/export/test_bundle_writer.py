"""What a finished training is packed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inspector.bundle.records import ImageContract
from inspector.imaging.encode import encode_png
from inspector.settings import Settings
from models.export.bundle_writer import SHOWN_SIDE, original

CONTRACT = ImageContract(height=64, width=64)


def test_a_report_shows_what_is_left_of_a_picture(tmp_path: Path) -> None:
    """It shows the file, or the prepared picture if the file is gone, damaged or too large."""
    prepared = np.zeros((64, 64, 3), np.uint8)
    path, settings = tmp_path / "part.png", Settings()
    assert original(path, prepared, settings, CONTRACT) is prepared
    path.write_bytes(encode_png(np.full((600, 3000, 3), 9, np.uint8)))
    shown = original(path, prepared, settings, CONTRACT)
    assert shown.shape == (205, SHOWN_SIDE, 3)
    assert (shown == 9).all()
    assert original(path, prepared, Settings(max_bytes=100), CONTRACT) is prepared
    path.write_bytes(encode_png(np.full((32, 70_000), 9, np.uint8)))
    assert original(path, prepared, settings, CONTRACT).shape == (1, SHOWN_SIDE, 3)
    path.write_bytes(path.read_bytes()[:200])
    assert original(path, prepared, settings, CONTRACT) is prepared
