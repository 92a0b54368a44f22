"""The result of an inspection in Python: mistakes, a flat row, a line, and a notebook's view."""

from __future__ import annotations

import base64
import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inspector.bundle.folder import Bundle, write_bundle
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from inspector.scoring import notebook
from inspector.scoring.detector import Detector
from inspector.scoring.inspection import Inspection
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill, write_picture

NAME = 'a<script>"&\n.png'


@pytest.fixture(scope="module")
def detector(tiny: Bundle) -> Detector:
    """Return the tiny model, opened."""
    return Detector(tiny)


@pytest.fixture(scope="module")
def failed(detector: Detector) -> Inspection:
    """Return an inspection of a bad picture that is larger than a notebook shows."""
    return detector.score(bad_picture(height=600, width=900), NAME)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("prat.png", FileNotFoundError),
        (".", ValueError),
        (None, TypeError),
        (good_picture() / 255, TypeError),
    ],
)
def test_mistakes_raise(source: Any, error: type[Exception], detector: Detector) -> None:
    """A mistake of the program is an error in Python, never the verdict `invalid`."""
    with pytest.raises(error):
        detector.score(source)


def test_a_name_is_text_or_a_path(detector: Detector, tmp_path: Path) -> None:
    """The result has the given name, or else the path of the picture; another name is a mistake."""
    path = write_picture(tmp_path / "part.png", good_picture())
    assert detector.score(path).path == str(path)
    assert detector.score(path, tmp_path / "other").path == str(tmp_path / "other")
    assert detector.score(path.read_bytes()).path is None
    with pytest.raises(TypeError, match="int"):
        detector.score(path, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"not a picture", encode_png(good_picture())[:900]])
def test_pictures_at_fault_stay_invalid(data: bytes, detector: Detector, tmp_path: Path) -> None:
    """A camera's empty or damaged picture is `invalid`, because the next one may be all right."""
    (tmp_path / "part.png").write_bytes(data)
    for source in (data, tmp_path / "part.png", io.BytesIO(data)):
        assert detector.score(source).verdict == "invalid"


def test_a_listed_file_may_go(command: Command, tiny: Bundle, detector: Detector, tmp_path: Path) -> None:
    """A file that was listed and has gone is `invalid` on the command line, where nobody mistyped it."""
    (tmp_path / "gone.png").symlink_to("nothing.png")
    assert detector.score_file(tmp_path / "gone.png").reason == "unreadable"
    ended = command("score", tmp_path, "--model", tiny.path, "--format", "csv")
    assert (ended.code, ended.err) == (3, "")
    assert "unreadable: " in ended.out


def test_row_is_that_of_csv(command: Command, tiny: Bundle, detector: Detector, tmp_path: Path) -> None:
    """`to_dict` has the columns and values of `--format csv`, all of them plain."""
    path = write_picture(tmp_path / "part.png", bad_picture())
    row = detector.score(path).to_dict()
    (printed,) = csv.DictReader(
        io.StringIO(command("score", path, "--model", tiny.path, "--format", "csv").out)
    )
    assert list(row) == list(printed)
    shown = {name: "" if value is None else str(value) for name, value in row.items()}
    del shown["milliseconds"], printed["milliseconds"]
    assert shown == printed
    assert all(type(value) in (str, int, float, bool, type(None)) for value in row.values())
    assert (row["verdict"], row["regions"], row["model"], row["version"]) == ("fail", 1, "tiny", 1)


def test_row_of_an_invalid_picture(detector: Detector) -> None:
    """The row of an invalid picture has its reason, and no scores."""
    row = detector.score(b"not a picture", "part.png").to_dict()
    assert (row["path"], row["verdict"], row["score"], row["width"]) == ("part.png", "invalid", None, None)
    assert str(row["reason"]).startswith("unknown_format: ")
    assert list(row) == list(detector.score(good_picture()).to_dict())  # one table holds both


def test_repr(detector: Detector, failed: Inspection) -> None:
    """Inspection and model show verdict or limits in one line."""
    shown = repr(detector.score(bad_picture(), "part.png"))
    assert re.fullmatch(
        r"<Inspection part\.png: fail, score \d+\.\d\d > 20\.00, 1 region, model tiny@1>", shown
    )
    assert re.search(r"pass, score -?\d+\.\d\d ≤ 20\.00, 0 regions", repr(detector.score(good_picture())))
    assert "invalid, empty: the picture is empty" in repr(detector.score(b""))
    assert "\n" not in repr(failed)
    assert repr(detector) == "<Detector tiny@1: 64 × 64 px, fails over 20.00, fp32>"


def test_places_in_words(tmp_path: Path) -> None:
    """The line says that no region exceeds the limit, and a flat map has no place."""
    calm = Detector(write_bundle(tmp_path / "calm", tiny_fill(map_limit=1.0)))
    assert "a place below the map's limit" in repr(calm.score(bad_picture()))
    black = calm.score(np.zeros((64, 64, 3), np.uint8))
    assert (black.verdict, black.regions) == ("fail", ())
    assert "0 regions" in repr(black)


def test_notebook_shows_picture_heatmap_and_verdict(failed: Inspection) -> None:
    """The HTML has the verdict, the escaped name, and two small pictures; it loads nothing."""
    page = failed._repr_html_()
    assert ">fail</strong>, score " in page
    assert "a&lt;script&gt;&quot;&amp;\\n.png" in page
    addresses = re.findall(r'src="([^"]+)"', page)
    shown = [
        Image.open(io.BytesIO(base64.b64decode(each.removeprefix("data:image/jpeg;base64,"))))
        for each in addresses
    ]
    assert [image.size for image in shown] == [(420, 280), (420, 280)]
    assert len(page) < 300_000
    picture, heatmap = (decode(image).pixels.astype(int) for image in shown)
    assert failed.picture is not None
    assert np.abs(picture - notebook.reduced(failed.picture)).mean() < 3
    (region,) = failed.regions
    inside = np.abs(picture - heatmap)[
        region.y * 280 // 600 : (region.y + region.height) * 280 // 600,
        region.x * 420 // 900 : (region.x + region.width) * 420 // 900,
    ]
    assert inside.mean() > 30


def test_notebook_without_pictures(detector: Detector, failed: Inspection) -> None:
    """An invalid picture shows its reason, and a kept inspection its verdict."""
    empty = detector.score(b"")._repr_html_()
    assert "empty: the picture is empty" in empty
    assert "<img" not in empty
    kept = failed.without_pixels()._repr_html_()
    assert ">fail</strong>" in kept
    assert "<img" not in kept
