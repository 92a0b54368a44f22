"""A picture at fault is `invalid`: exit code 3, no scores, and one line that says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inspector.commands.conftest import Plant
from tests.inspector.conftest import Command
from tests.inspector.image_samples import bomb_png, encoded, scene
from tests.inspector.tiny_bundle import good_picture

PICTURES: dict[str, tuple[bytes, str, str]] = {
    "text": (b"not a picture\n", "unknown_format", "not of an image type"),
    "truncated PNG": (encoded(good_picture(), "PNG")[:4000], "truncated", "ends too early"),
    "truncated JPEG": (encoded(scene(), "JPEG")[:900], "truncated", "ends too early"),
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
