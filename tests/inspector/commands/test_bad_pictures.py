"""A picture at fault is `invalid`: exit code 3, no scores, and one line that says why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.inspector.commands.conftest import Plant
from tests.inspector.conftest import Command
from tests.inspector.image_samples import bomb_png, encoded, scene, with_hole
from tests.inspector.tiny_bundle import good_picture

PICTURES: dict[str, tuple[bytes, str, str]] = {
    "text": (b"not a picture\n", "unknown_format", "not of an image type"),
    "truncated PNG": (encoded(good_picture(), "PNG")[:4000], "truncated", "ends too early"),
    "truncated JPEG": (encoded(scene(), "JPEG")[:900], "truncated", "ends too early"),
    "JPEG with a hole": (with_hole(encoded(scene(200, 300), "JPEG")), "truncated", "hole of zeros"),
    "progressive JPEG with a hole": (
        with_hole(encoded(good_picture(), "JPEG", progressive=True)),
        "truncated",
        "JPEG",
    ),
    "WebP with a hole": (with_hole(encoded(good_picture(), "WEBP")), "truncated", "hole of zeros"),
    "transparent": (encoded(np.zeros((64, 64, 4), np.uint8), "PNG"), "transparent", "wholly transparent"),
    "0 bytes": (b"", "empty", "0 bytes"),
    "bomb": (bomb_png(), "too_large", "30000 x 30000"),
    "too small": (encoded(good_picture()[:16, :16], "PNG"), "too_small", "32"),
}


@pytest.mark.parametrize("case", PICTURES)
def test_score(case: str, command: Command, plant: Plant, tmp_path: Path) -> None:
    """The row has a reason and no scores, stderr is empty, and there is no heatmap."""
    content, reason, message = PICTURES[case]
    (tmp_path / "part.png").write_bytes(content)
    ended = command("score", tmp_path / "part.png", "--heatmaps", tmp_path / "maps")
    row = json.loads(ended.out)
    assert (ended.code, ended.err, row["verdict"]) == (3, "", "invalid")
    assert (row["score"], row["p_value"], row["components"], row["regions"]) == (None, None, None, [])
    assert row["reason"].startswith(f"{reason}: ")
    assert message in row["reason"]
    assert "\n" not in row["reason"]
    assert not list((tmp_path / "maps").iterdir())
