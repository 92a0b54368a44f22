"""The page of an evaluation: self-contained, with the figures and the worst mistakes."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from calibration.evaluation import measure
from calibration.report.evaluation_page import render_evaluation, write_evaluation
from inspector.scoring.detector import Detector
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_bundle, write_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A test folder with mistakes: a good picture that looks defective, defects that look good."""
    test = tmp_path / "test"
    for seed in range(5):
        write_picture(test / "good" / f"{seed}.png", good_picture(seed, 64, 80))
        write_picture(test / "dent" / f"{seed}.png", bad_picture(seed, 64, 80))
    write_picture(test / "good" / "dirty <lens>.png", bad_picture(7))
    (test / "good" / "broken.png").write_bytes(b"")
    for seed in range(8):
        write_picture(test / "faint" / f"{seed}.png", good_picture(20 + seed, 400, 300))
    return test


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    """The small but real model."""
    return Detector(tiny_bundle(tmp_path / "tiny"))


def test_the_page_shows_figures_and_mistakes(detector: Detector, folder: Path) -> None:
    """Rejected good pictures and missed defects are shown with their names, at most six of each."""
    page = render_evaluation(measure(detector, folder), detector)
    assert "20 labelled pictures: 7 good, 13 defective" in page
    assert "dirty &lt;lens&gt;.png" in page
    assert "broken.png</bdi>: invalid, " in page
    assert "is empty (0 bytes)" in page
    assert "<p>2 pictures. If one of them shows a defect" in page
    assert "8 pictures; these 6 are farthest from the threshold." in page
    assert page.count("<bdi>faint/") == 6
    assert page.count('<img src="data:image/jpeg;base64,') == 2 * (1 + 6)


def test_the_page_is_self_contained_html(detector: Detector, folder: Path) -> None:
    """The page loads nothing, runs no script, and every tag is closed."""
    page = render_evaluation(measure(detector, folder), detector)
    assert not re.search(r"https?://|<script|<link rel=\"stylesheet", page)
    left: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "link", "img"}:
                left.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert left.pop() == tag

    Parser().feed(page)
    assert left == []


def test_good_pictures_alone_make_a_page(detector: Detector, tmp_path: Path) -> None:
    """Without defects and without mistakes the page says so."""
    for seed in range(3):
        write_picture(tmp_path / "t" / "good" / f"{seed}.png", good_picture(seed))
    path = tmp_path / "page.html"
    write_evaluation(path, measure(detector, tmp_path / "t"), detector)
    page = path.read_text(encoding="utf-8")
    assert page.count("<p>None.</p>") == 2
    assert "Kinds of defect" not in page
    assert "nan" not in page


def test_the_page_says_what_is_odd_about_masks(detector: Detector, folder: Path) -> None:
    """Below the figures stands how many defects have a mask, and which have none."""
    plain = render_evaluation(measure(detector, folder), detector)
    assert '<ul class="masks">' not in plain
    (folder / "dent" / "0.png").rename(folder / "dent" / "<0>.png")
    mask = np.zeros((64, 80), np.uint8)
    mask[:8, :8] = 1
    for seed in range(1, 5):
        write_picture(folder.parent / "ground_truth" / "dent" / f"{seed}.png", mask)
    page = render_evaluation(measure(detector, folder), detector)
    assert "with the masks of 4 of 13 pictures of defects" in page
    assert "<li>9 of 13 pictures of defects have no mask" in page
    assert "dent/&lt;0&gt;.png" in page
