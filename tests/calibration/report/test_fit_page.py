"""The page of a fit: self-contained, with the numbers and pictures of the model."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.conformal import ConformalThreshold, TooFewNormalsWarning, beta_binomial_interval
from calibration.report import charts, fit_page
from calibration.report.fit_page import ReportContent, UnusualPicture, render_report, write_report
from calibration.report.wording import show_number
from calibration.thresholds import promise
from inspector.bundle.records import (
    SCHEMA_VERSION,
    Calibration,
    Column,
    ImageContract,
    Manifest,
    ParitySummary,
    TrainingSummary,
)
from inspector.demo.photograph import render
from inspector.errors import StorageError
from inspector.imaging.decode import Picture, decode
from inspector.imaging.files import printable

VOID = {"meta", "link", "img", "br", "hr", "input"}
NASTY = "<script>alert(1)</script>\" onerror='x' & \u202egpj.\nbolt 🔩 \udcff.png"


# --- content --------------------------------------------------------------------------------------


def calibration_of(
    scores: Sequence[float], rate: float = 0.05, review_rate: float | None = None, **changes: Any
) -> Calibration:
    """A calibration from held-out scores."""
    rule = ConformalThreshold(rate).fit(np.asarray(scores, dtype=np.float64).reshape(-1, 1))
    record = Calibration(
        center=(0.0,),
        scale=(1.0,),
        fused=("head", "latent_mmd"),
        threshold=rule.threshold_,
        review_threshold=None if review_rate is None else rule.threshold_at(review_rate),
        map_limit=3.0,
        map_ceiling=9.0,
        asked_false_reject_rate=rate,
        promised_false_reject_rate=rule.promised_rate_,
        promise_kept=rule.images_missing_ == 0,
        images_missing=rule.images_missing_,
        heldout_scores=tuple(scores),
        source="117 held-out pictures of <good>",
        created="2026-03-01T09:45:00+00:00",
    )
    return record.model_copy(update=changes)


def manifest() -> Manifest:
    """A manifest without files, like the one that a report gets."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name="washers",
        version=4,
        created="2026-03-01T09:30:00+00:00",
        inspector_version="0.1.0",
        image=ImageContract(height=128, width=160),
        architecture="inspection",
        columns=(Column(component="head", share=0.03),),
        latent_dim=32,
        training=TrainingSummary(
            preset="quick",
            options={"regularizer": "mmd", "steps": None},
            steps=1840,
            seconds=288.4,
            seed=11,
            threads=2,
            device="cpu",
            images=466,
            heldout_images=117,
            skipped_images=3,
            dataset_digest="sha256:" + "3f9a" * 16,
            parameters={"encoder": 421312},
            losses={"head": 0.0201},
            packages={"torch": "2.13.0"},
        ),
        parity=ParitySummary(images=117, largest_relative_difference=3.2e-6, tolerance=1e-3, verdict_flips=0),
        files={},
    )


def scores_of(count: int, seed: int = 0) -> tuple[float, ...]:
    """Scores like those of good pictures: skewed, and all different."""
    return tuple(np.random.default_rng(seed).gamma(5, 0.42, count).tolist())


def unusual(name: str = "part-007.png", score: float = 4.25) -> UnusualPicture:
    """A rendered part, with a painted rectangle as its heatmap."""
    picture = render(3, size=96).picture
    overlay = picture.copy()
    overlay[20:40, 30:60] = (240, 120, 20)
    return UnusualPicture(
        name, overlay, picture, score, {"reconstruction": 9.5, "latent_mmd": score, "head": 1.5}
    )


def content_of(calibration: Calibration | None = None, **changes: Any) -> ReportContent:
    """A small page with something in each section."""
    whole = ReportContent(
        manifest=manifest(),
        calibration=calibration or calibration_of(scores_of(117)),
        unusual=[unusual(), unusual("part-012.png", 1.75)],
        reconstructions=[(render(1, size=64).picture, render(2, size=64).picture)],
        curves={
            "total": [(step, 9.0 / (1 + step)) for step in range(500)],
            "mmd": [(step, 0.5 - step / 400) for step in range(0, 400, 10)],
        },
        notes=["broken.jpg: left out, truncated"],
    )
    return replace(whole, **changes)


# --- a reader of pages ----------------------------------------------------------------------------


@dataclass
class Element:
    """An element with all of the text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """Collects the elements of a page, and the faults in its structure."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.faults: list[str] = []
        self._open: list[Element] = []
        self.feed(source)
        self.close()
        self.faults += [f"<{element.tag}> is never closed" for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        if len({name for name, _ in attrs}) != len(attrs):
            self.faults.append(f"<{tag}> repeats an attribute")
        element = Element(tag, {name: value or "" for name, value in attrs})
        element.inside = [other.tag for other in self._open]
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open and close an element."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes nothing")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """Give text to all elements that are open."""
        for element in self._open:
            element.text += data

    def all(self, tag: str, kind: str | None = None) -> list[Element]:
        """Elements of a tag, and of a class if one is named."""
        return [
            element
            for element in self.elements
            if element.tag == tag and (kind is None or kind in element.attributes.get("class", "").split())
        ]

    @property
    def text(self) -> str:
        """The text of the page, with single spaces."""
        (body,) = self.all("body")
        return " ".join(body.text.split())


def page_of(content: ReportContent) -> Page:
    """The rendered page, read."""
    return Page(render_report(content))


def jpegs(page: Page) -> list[Picture]:
    """The pictures of a page, decoded."""
    prefix = "data:image/jpeg;base64,"
    sources = [image.attributes["src"] for image in page.all("img")]
    assert all(source.startswith(prefix) for source in sources)
    return [decode(base64.b64decode(source.removeprefix(prefix))) for source in sources]


# --- the page is whole in itself --------------------------------------------------------------------


def test_loads_nothing() -> None:
    """The page names no address outside of itself, runs no script, and forbids both."""
    source = render_report(content_of())
    page = Page(source)
    assert "://" not in source
    assert not re.search(r"@import|url\(|<script|<iframe|<object|\son\w+=", source)
    assert all(
        element.attributes["src"].startswith("data:")
        for element in page.elements
        if "src" in element.attributes
    )
    assert all(
        element.attributes["href"].startswith(("#", "data:"))
        for element in page.elements
        if "href" in element.attributes
    )
    policies = [meta.attributes["content"] for meta in page.all("meta") if "http-equiv" in meta.attributes]
    assert [policy.split(";")[0] for policy in policies] == ["default-src 'none'"]


@pytest.mark.parametrize(
    "content",
    [
        content_of(),
        content_of(unusual=[unusual(NASTY)], notes=[NASTY] * 9),
        content_of(calibration_of(scores_of(117), review_rate=0.2)),
        ReportContent(manifest(), calibration_of(scores_of(117))),
    ],
    ids=["usual", "nasty", "review", "bare"],
)
def test_is_valid_html(content: ReportContent) -> None:
    """Each element closes, no attribute or id is repeated, and each link has its target."""
    page = page_of(content)
    assert page.faults == []
    identifiers = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))
    anchors = [a.attributes["href"] for a in page.all("a")]
    assert anchors == [f"#{identifier}" for identifier in identifiers]


def test_can_be_heard() -> None:
    """Headings skip no level, pictures and charts have a text for screen readers, table headers a scope."""
    page = page_of(content_of())
    levels = [int(element.tag[1]) for element in page.elements if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(image.attributes["alt"] for image in page.all("img"))
    assert all(svg.attributes["role"] == "img" and svg.attributes["aria-label"] for svg in page.all("svg"))
    assert page.all("th")
    assert all(cell.attributes["scope"] == "col" for cell in page.all("th"))
    assert page.all("html")[0].attributes["lang"] == "en"


def test_colours_can_be_told_apart() -> None:
    """In both themes, text has a contrast of at least 4.5 with its background, and bars one of at least 3."""
    source = render_report(content_of())
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    ]
    assert len(blocks) == 4  # a light and a dark one: of the charts, and of the page
    for colours in (blocks[0] | blocks[2], blocks[1] | blocks[3]):
        for text in ("ink", "quiet", "fail"):
            assert contrast(colours[text], colours["paper"]) >= 4.5, text
        for ground in ("sheet", "warn-paper"):
            assert contrast(colours["ink"], colours[ground]) >= 4.5, ground
        for bar in ("pass", "review", "fail", "first", "second", "third", "fourth", "fifth", "sixth"):
            assert contrast(colours[bar], colours["paper"]) >= 3, bar


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2, from 1 to 21."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_same_content_same_bytes() -> None:
    """The same content gives the same bytes."""
    assert render_report(content_of()) == render_report(content_of())


def test_stays_small() -> None:
    """Large pictures of noise, the worst for JPEG, still make a page under 2 MB."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (700, 500, 3), dtype=np.uint8)
    picture = UnusualPicture("noise.png", noise, noise[::-1], 1.0, {"head": 1.0})
    page = render_report(content_of(unusual=[picture] * 12, reconstructions=[(noise, noise)] * 8))
    assert len(page.encode()) < 2_000_000


# --- what it says -----------------------------------------------------------------------------------


def test_says_what_the_calibration_says() -> None:
    """Promise, threshold, rate, held-out pictures and the beta-binomial interval are those of the record."""
    calibration = calibration_of(scores_of(117))
    page = page_of(content_of(calibration))
    assert page.all("p", "promise")[0].text == promise(calibration)
    figures = re.findall(r"<dt>([^<]*)</dt><dd><b>([^<]*)</b>", render_report(content_of(calibration)))
    low, high = beta_binomial_interval(117, 100, 0.05, 0.95)
    assert dict(figures) == {
        "Threshold": f"{calibration.threshold:.2f}",
        "Promised false rejects": "≤ 5\u202f%",
        "Held-out good pictures": "117",
        "Of the next 100 good parts": f"{low} to {high}",
    }
    rank = int(np.searchsorted(np.sort(calibration.heldout_scores), calibration.threshold, side="right"))
    assert f"the {rank}th smallest of 117 scores" in page.text
    assert f"{117 - rank} of them over the threshold" in page.text
    low, high = beta_binomial_interval(117, 1000, 0.05, 0.95)
    assert f"{low} to {high} of the next 1,000 good parts will be rejected" in page.text


def test_says_how_the_score_is_made() -> None:
    """A plain mean is called so; with weights each share is named, and a floor is explained."""
    scores = scores_of(117)
    plain = page_of(content_of(calibration_of(scores)))
    assert "It is the mean of 2 component scores: head, latent_mmd." in plain.text
    assert "counts as" not in plain.text.split("How a picture is judged")[1].split("What the promise")[0]
    weighted = page_of(content_of(calibration_of(scores, weights=(3.0, 1.0), floor=-0.5)))
    assert "It is the weighted mean of 2 component scores: head 0.75, latent_mmd 0.25." in weighted.text
    assert "A component score below −0.50 counts as −0.50" in weighted.text


@pytest.mark.parametrize(
    ("rank", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (21, "21st"), (113, "113th")],
)
def test_counts_in_words(rank: int, said: str) -> None:
    """The threshold's rank among the held-out scores is written as an ordinal."""
    calibration = calibration_of(range(1, 201)).model_copy(update={"threshold": float(rank)})
    assert f"the {said} smallest of 200 scores" in page_of(content_of(calibration)).text


def test_too_few_pictures() -> None:
    """Too few pictures give a notice: the rate asked for, the one promised, how many more it needs."""
    with pytest.warns(TooFewNormalsWarning):
        calibration = calibration_of(scores_of(12), images_missing=18)
    page = page_of(content_of(calibration, notes=[]))
    (notice,) = page.all("div", "notice")
    words = " ".join(notice.text.split())
    assert notice.attributes["role"] == "note"
    assert "There are too few good pictures for the rate of 5 % that was asked for." in words
    assert "12 held-out good pictures can promise 7.69 % and no less" in words
    assert "To get 5 %, put 18 more good pictures into the folder" in words
    assert "≤ 7.69 %" in page.text


def test_enough_pictures() -> None:
    """Where the promise is kept there is no notice."""
    assert page_of(content_of(notes=[])).all("div", "notice") == []


def test_review() -> None:
    """The rule, the table and the chart show a review threshold if there is one."""
    calibration = calibration_of(scores_of(117), review_rate=0.2)
    page = page_of(content_of(calibration))
    shown = show_number(calibration.review_threshold)
    said = f"A score over {shown} and up to {show_number(calibration.threshold)} is for review"
    assert said in page.text
    assert len(page.all("path", "review-line")) == 2
    assert shown in [cell.text for cell in page.all("td")]
    without = page_of(content_of())
    assert without.all("path", "review-line") == []
    assert "Review over" not in without.text


def test_nasty_names() -> None:
    """Markup, line breaks, direction marks and bytes in a file name are shown and have no effect."""
    page = page_of(content_of(unusual=[unusual(NASTY)], notes=[f"{NASTY}: left out"]))
    assert page.faults == []
    assert page.all("bdi")[0].text == printable(NASTY)
    assert page.all("img")[0].attributes["alt"] == printable(NASTY)
    assert page.all("li")[0].text == printable(f"{NASTY}: left out")
    assert {"script", "good"}.isdisjoint(element.tag for element in page.elements)
    assert not any(name.startswith("on") for element in page.elements for name in element.attributes)
    assert "117 held-out pictures of <good>" in page.text
    render_report(content_of(unusual=[unusual(NASTY)])).encode()


def test_unusual_pictures() -> None:
    """Each has its name, its scores, the fused ones first, and its size beside the threshold."""
    calibration = calibration_of(scores_of(117))
    threshold = calibration.threshold
    pictures = [
        replace(unusual("far.png", 2 * threshold), suspicious=True),
        replace(unusual("equal.png", threshold), rank=2),
        replace(unusual("learned.png", threshold / 2), held_out=False),
    ]
    page = page_of(content_of(calibration, unusual=pictures))
    captions = [" ".join(caption.text.split()) for caption in page.all("figcaption")]
    far, limit, half = (show_number(picture.score) for picture in pictures)
    rest = "head 1.50 reconstruction 9.50 (not part of the score)"
    assert captions == [
        f"1 far.png suspicious score {far} over the threshold (2.00 ×) latent_mmd {far} {rest}",
        f"2 equal.png score {limit} (1.00 × the threshold) latent_mmd {limit} {rest}",
        f"1 learned.png score {half} (0.50 × the threshold) latent_mmd {half} {rest}",
    ]
    assert (
        "1 of these pictures is suspicious: its score lies clearly above the others of its kind." in page.text
    )
    headings = [heading.text for heading in page.all("h3")]
    assert headings[:2] == ["Pictures that set the threshold", "Pictures that the model learned from"]


def test_no_suspicious_picture() -> None:
    """The page says so; a threshold of 0 or less is nothing to compare with."""
    page = page_of(content_of(calibration_of([-2.0] * 30), unusual=[unusual("a.png", -2.0)]))
    assert "None of these pictures is suspicious" in page.text
    assert "× the threshold" not in page.text
    assert "Pictures that the model learned from" not in page.text


def test_pictures_are_the_ones_given() -> None:
    """The embedded pictures are the given ones, in order, scaled down in proportion."""
    wide = np.zeros((300, 900, 3), np.uint8)
    wide[:, 450:] = 255
    red = np.zeros((60, 40, 3), np.uint8)
    red[..., 0] = 250
    content = content_of(
        unusual=[UnusualPicture("wide.png", red, wide, 1.0, {})], reconstructions=[(wide, red)]
    )
    pictures = jpegs(page_of(content))
    sizes = [(picture.height, picture.width) for picture in pictures]
    assert sizes == [(147, 440), (60, 40), (147, 440), (60, 40)]
    assert pictures[0].pixels[:, :200].max() < 10
    assert pictures[0].pixels[:, 240:].min() > 245
    assert np.abs(pictures[1].pixels.mean((0, 1)) - [250, 0, 0]).max() < 6


def test_nothing_to_show() -> None:
    """A version without pictures, curves and notes says so in each section, and keeps its numbers."""
    page = page_of(ReportContent(manifest(), calibration_of(scores_of(117))))
    assert page.all("img") == []
    for what in ("pictures", "reconstructions", "training curves"):
        assert f"No {what} were kept for this version." in page.text
    assert len(page.all("svg")) == 2
    without_scores = calibration_of(scores_of(117)).model_copy(update={"heldout_scores": ()})
    bare = page_of(ReportContent(manifest(), without_scores))
    assert bare.faults == []
    assert bare.all("svg") == []
    assert "No scores of good pictures were kept for this version." in bare.text


def test_many_notes_are_folded() -> None:
    """Of many notes, six are shown, and the others are folded behind a line that counts them."""
    page = page_of(content_of(notes=[f"{i:02}.jpg: left out" for i in range(20)]))
    folded = page.all("details")[0]
    assert page.all("summary")[0].text == "14 more"
    assert "05.jpg" not in folded.text
    assert "06.jpg" in folded.text
    assert "19.jpg" in folded.text


def test_model_card() -> None:
    """The card shows the values of the manifest, and commands that can be pasted."""
    page = page_of(content_of())
    for said in (
        "583 good pictures: 466 for training + 117 held out",
        "sha256:" + "3f9a" * 16,
        "1,840 in 4 min 48 s",
        "Seed11",
        "cpu, 2 threads",
        "Last loss: head0.02",
        "160 × 128 pixels, RGB",
        "Encoder parameters421,312",
        "3.2e−6 of the score; 0.001 is allowed",
        "torch2.13.0",
        "2026-03-01 09:45 UTC",
    ):
        assert said in page.text
    commands = [code.text for code in page.all("code") if "pre" in code.inside]
    assert "inspector score PICTURES --model washers@4 --heatmaps heatmaps/" in commands
    assert "inspector calibrate GOOD_FOLDER --model washers --max-false-reject 0.05" in commands


def test_brightness_and_detail() -> None:
    """The card says what white is, and what one pixel of the model covers; neither for models from before."""
    page = page_of(content_of())
    assert "Brightness" not in page.text
    assert "one pixel of the model covers" not in page.text
    before = manifest()
    image = before.image.model_copy(update={"full_scale": 4095, "bits": (8, 16)})
    training = before.training.model_copy(
        update={"smallest_picture": (320, 128), "largest_picture": (640, 512)}
    )
    page = page_of(content_of(manifest=before.model_copy(update={"image": image, "training": training})))
    white = "8-bit pictures: white is 255; 16-bit pictures with 12 bits in use: white is 4095"
    assert f"Brightness{white}" in page.text
    covers = (
        "one pixel of the model covers 2.0 x 1.0 to 4.0 x 4.0 pixels of the picture, which differ in size"
    )
    assert f"Detail{covers}" in page.text
    assert f"160 × 128 pixels: {covers}." in page.text


# --- writing ----------------------------------------------------------------------------------------


def test_writes_the_page(tmp_path: Path) -> None:
    """The file has the rendered page and replaces an older one; no temporary file is left."""
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, content_of())
    assert path.read_text(encoding="utf-8") == render_report(content_of())
    assert list(tmp_path.iterdir()) == [path]


def test_cannot_write(tmp_path: Path) -> None:
    """An error names the path that cannot be written, with a hint."""
    with pytest.raises(StorageError, match=r"report\.html") as caught:
        write_report(tmp_path / "missing" / "report.html", content_of())
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


# --- charts -----------------------------------------------------------------------------------------


def test_losses_are_drawn_and_explained() -> None:
    """Each loss has its chart and its explanation."""
    content = content_of(loss_meanings={"mmd": "distance of the latents from the prior"})
    page = page_of(content)
    (figures,) = page.all("div", "curves")
    assert figures.text.split()[0] == "total"
    assert "ends at " in figures.text
    assert "distance of the latents from the prior" in figures.text
    assert len(page.all("path", "loss")) == 2


def test_the_page_has_the_histogram_in_two_sizes() -> None:
    """Both show the held-out scores; the style sheet hides one of them."""
    calibration = calibration_of(scores_of(117))
    source = render_report(content_of(calibration))
    for kind, (width, height) in fit_page.CHART_SIZES.items():
        chart = charts.histogram(
            calibration.heldout_scores, calibration.threshold, width=width, height=height
        )
        assert f'<div class="{kind}">{chart.__html__()}</div>' in source


def test_a_loss_without_numbers() -> None:
    """A loss that was never a number has no chart, and the page says so."""
    page = page_of(content_of(curves={"total": [(0, float("nan"))]}))
    assert "No finite value." in page.text
    assert page.faults == []
