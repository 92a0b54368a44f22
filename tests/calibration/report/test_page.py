"""The page of a fit: what it says, what it draws, and that it is whole in itself."""

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
from hypothesis import given
from hypothesis import strategies as st

from calibration.conformal import ConformalThreshold, TooFewNormalsWarning, beta_binomial_interval
from calibration.report import charts
from calibration.report.page import (
    ReportContent,
    UnusualPicture,
    render_report,
    show_component,
    show_duration,
    show_moment,
    show_number,
    show_percent,
    write_report,
)
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
from inspector.demo.dataset import render
from inspector.errors import StorageError
from inspector.imaging.decode import Picture, decode
from inspector.imaging.files import printable
from inspector.scoring import decision

VOID = {"meta", "link", "img", "br", "hr", "input"}
NASTY = "<script>alert(1)</script>\" onerror='x' & \u202egpj.\nbolt 🔩 \udcff.png"


# --- content --------------------------------------------------------------------------------------


def calibration_of(
    scores: Sequence[float], rate: float = 0.05, review_rate: float | None = None, **changes: Any
) -> Calibration:
    """What calibration makes of held-out scores."""
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
    """A manifest without files, as the report gets it."""
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
    """Scores as normals have them: skew, and all different."""
    return tuple(np.random.default_rng(seed).gamma(5, 0.42, count).tolist())


def unusual(name: str = "part-007.png", score: float = 4.25) -> UnusualPicture:
    """A rendered part with something painted over it in the place of a heatmap."""
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
    """Collects the elements of a page, and what does not close as it should."""

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
        """What a reader reads, with single spaces."""
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
    """Headings skip no level, pictures and charts have words, and table headers say what they head."""
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
    """In both themes text has a contrast of 4.5 against what it stands on, and bars one of 3."""
    source = render_report(content_of())
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    ]
    assert len(themes) == 2
    for colours in themes:
        for text in ("ink", "quiet", "fail"):
            assert contrast(colours[text], colours["paper"]) >= 4.5, text
        for ground in ("sheet", "warn-paper"):
            assert contrast(colours["ink"], colours[ground]) >= 4.5, ground
        for bar in ("pass", "review", "fail"):
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
    """Promise, threshold, rate, held-out pictures and the beta-binomial interval are the record's."""
    calibration = calibration_of(scores_of(117))
    page = page_of(content_of(calibration))
    assert page.all("p", "promise")[0].text == promise(calibration)
    figures = re.findall(r"<dt>([^<]*)</dt><dd><b>([^<]*)</b>", render_report(content_of(calibration)))
    low, high = beta_binomial_interval(117, 100, 0.05, 0.95)
    assert dict(figures) == {
        "Threshold": f"{calibration.threshold:.2f}",
        "Promised false rejects": "≤ 5\u202f%",
        "Held-out good pictures": "117",
        "In the next 100 good parts": f"{low} to {high}",
    }
    rank = int(np.searchsorted(np.sort(calibration.heldout_scores), calibration.threshold, side="right"))
    assert f"the {rank}th smallest of 117 scores" in page.text
    assert f"{117 - rank} of them over the threshold" in page.text
    low, high = beta_binomial_interval(117, 1000, 0.05, 0.95)
    assert f"of the next 1,000 good parts, {low} to {high} will be rejected" in page.text


def test_says_how_the_score_is_made() -> None:
    """A plain mean is called so; with weights each share is named, and a floor is explained."""
    scores = scores_of(117)
    plain = page_of(content_of(calibration_of(scores)))
    assert "The score is the mean of 2 component scores (Head, Latent MMD), in units" in plain.text
    assert "excuses" not in plain.text
    weighted = page_of(content_of(calibration_of(scores, weights=(3.0, 1.0), floor=0.0)))
    said = "The score is the weighted mean of 2 component scores (Head 0.75, Latent MMD 0.25), in units"
    assert said in weighted.text
    assert "none counts as less than 0" in weighted.text


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
    assert "Too few good pictures for the 5 % that was asked for." in words
    assert "no smaller rate than 7.69 % can be promised from 12" in words
    assert "Put 18 more good pictures into the folder" in words
    assert "≤ 7.69 %" in page.text


def test_enough_pictures() -> None:
    """Where the promise is kept there is no notice."""
    assert page_of(content_of(notes=[])).all("div", "notice") == []


def test_review() -> None:
    """A review threshold stands in the rule, in the table and in the chart; without one, nowhere."""
    calibration = calibration_of(scores_of(117), review_rate=0.2)
    page = page_of(content_of(calibration))
    shown = show_number(calibration.review_threshold)
    assert f"Over {shown} and up to {show_number(calibration.threshold)} it is for review" in page.text
    assert len(page.all("path", "review-line")) == 2
    assert shown in [cell.text for cell in page.all("td")]
    without = page_of(content_of())
    assert without.all("path", "review-line") == []
    assert "Review over" not in without.text


def test_nasty_names() -> None:
    """A file name can hold markup, line breaks, direction marks or bytes: it is shown, and does nothing."""
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
    """Each unusual picture has its name and scores, the deciding ones first, and a word if it would fail."""
    calibration = calibration_of(scores_of(117))
    failing = unusual("far.png", calibration.threshold + 1)
    equal = unusual("equal.png", calibration.threshold)
    page = page_of(content_of(calibration, unusual=[failing, equal]))
    captions = [" ".join(caption.text.split()) for caption in page.all("figcaption")]
    far, limit = show_number(failing.score), show_number(equal.score)
    rest = "Head 1.50 Reconstruction 9.50 (not fused)"
    assert captions == [
        f"1 far.png score {far} over the threshold Latent MMD {far} {rest}",
        f"2 equal.png score {limit} Latent MMD {limit} {rest}",
    ]


def test_pictures_are_the_ones_given() -> None:
    """The embedded pictures are those handed in, in order, scaled down with their shape kept."""
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
    assert "No held-out scores were kept for this version." in bare.text


def test_many_notes_are_folded() -> None:
    """Of many notes six are shown, and the others wait behind a line that counts them."""
    page = page_of(content_of(notes=[f"{i:02}.jpg: left out" for i in range(20)]))
    folded = page.all("details")[0]
    assert page.all("summary")[0].text == "14 more"
    assert "05.jpg" not in folded.text
    assert "06.jpg" in folded.text
    assert "19.jpg" in folded.text


def test_model_card() -> None:
    """The card holds what the manifest says, and commands that can be pasted."""
    page = page_of(content_of())
    for said in (
        "466, and 117 held out",
        "sha256:" + "3f9a" * 16,
        "1,840 in 4 min 48 s",
        "11, 2 on cpu",
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


def test_words_for_numbers() -> None:
    """Scores, rates, times and component names are written for a reader."""
    assert [show_number(x) for x in (3.2, 0.0, -0.004, 123456.0, float("nan"), None)] == [
        "3.20",
        "0.00",
        "−0.004",
        "1.23e5",
        "–",
        "–",
    ]
    assert show_percent(1 / 36) == "2.78\u202f%"
    assert [show_duration(s).replace("\u202f", " ") for s in (42.4, 301, 7260)] == [
        "42 s",
        "5 min 1 s",
        "2 h 1 min",
    ]
    assert show_moment("2026-03-01T09:30:12+01:00") == "2026-03-01 08:30 UTC"
    assert show_moment("2026-03-01T09:30:12") == "2026-03-01 09:30 UTC"
    assert show_moment("yesterday") == "yesterday"
    assert [show_component(name) for name in ("latent_mmd", "head")] == ["Latent MMD", "Head"]


# --- writing ----------------------------------------------------------------------------------------


def test_writes_the_page(tmp_path: Path) -> None:
    """The file holds the rendered page, replaces an older one, and nothing else is left beside it."""
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, content_of())
    assert path.read_text(encoding="utf-8") == render_report(content_of())
    assert list(tmp_path.iterdir()) == [path]


def test_cannot_write(tmp_path: Path) -> None:
    """A place that cannot be written to is named, with a hint."""
    with pytest.raises(StorageError, match=r"report\.html") as caught:
        write_report(tmp_path / "missing" / "report.html", content_of())
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


# --- charts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_threshold_stands_where_the_axis_says(kind: str) -> None:
    """On the page the threshold's line is where the axis' ticks put its number, and no bar crosses it."""
    calibration = calibration_of(scores_of(117))
    source = render_report(content_of(calibration))
    (chart,) = re.findall(rf'<svg class="chart {kind}".*?</svg>', source, re.DOTALL)
    ticks = re.findall(r'<text class="tick" x="([\d.]+)" y="[\d.]+" text-anchor="middle">([^<]+)<', chart)
    places, numbers = np.array([(float(x), float(label.replace("−", "-"))) for x, label in ticks]).T
    slope, start = np.polyfit(numbers, places, 1)
    (line,) = re.findall(r'class="threshold" d="M([\d.]+),', chart)
    assert float(line) == pytest.approx(start + slope * calibration.threshold, abs=0.05)
    bars = re.findall(
        r'class="bar (\w+)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*><title>(\d+) over', chart
    )
    assert sum(int(count) for *_, count in bars) == 117
    over = sum(score > calibration.threshold for score in calibration.heldout_scores)
    assert sum(int(count) for name, *_, count in bars if name == "fail") == over == 4
    for name, x, width, _ in bars:
        on_the_right = float(x) >= float(line) - 0.02
        assert on_the_right == (name == "fail")
        assert on_the_right or float(x) + float(width) <= float(line) + 0.02


def test_bar_heights() -> None:
    """A bar is as high as its count, and a review bar stands on the passes of its bin."""
    chart = charts.histogram([1.0] * 6 + [2.0] * 2 + [2.1] * 2 + [4.0], 2.1, 2.0)
    by_kind = {bar.kind: bar for bar in chart.bars}
    unit = by_kind["pass"].height / by_kind["pass"].count
    assert {bar.kind: bar.count for bar in chart.bars if bar.lower < 2.1 and bar.upper > 2.05} == {
        "pass": 2,
        "review": 2,
    }
    assert all(bar.height == pytest.approx(unit * bar.count, abs=0.02) for bar in chart.bars)
    stacked = [bar for bar in chart.bars if bar.lower < 2.05 < bar.upper]
    assert stacked[1].y + stacked[1].height == pytest.approx(stacked[0].y, abs=0.02)


@given(
    st.lists(st.floats(-50, 1000).map(lambda x: round(x, 3)), min_size=1, max_size=60),
    st.integers(0, 59),
    st.integers(0, 59),
    st.sampled_from([340.0, 1072.0]),
)
def test_histogram_counts_each_picture_once(
    scores: list[float], place: int, lower: int, width: float
) -> None:
    """Whatever the scores, each is in a bar of its verdict or beyond, and bars stay in the frame."""
    ordered = sorted(scores)
    threshold = ordered[place % len(ordered)]
    review = ordered[lower % (place % len(ordered) + 1)]
    chart = charts.histogram(scores, threshold, review, width=width)
    assert sum(bar.count for bar in chart.bars) + chart.beyond == len(scores)
    verdicts = [decision.verdict(score, threshold, review) for score in scores]
    for kind in ("pass", "review"):
        assert sum(bar.count for bar in chart.bars if bar.kind == kind) == verdicts.count(kind)
    assert sum(bar.count for bar in chart.bars if bar.kind == "fail") + chart.beyond == verdicts.count("fail")
    frame = chart.frame
    assert frame.left < chart.threshold_x <= frame.right - charts.ROOM_BESIDE_THRESHOLD + 0.01
    for bar in chart.bars:
        assert bar.upper <= threshold or bar.lower >= threshold
        assert frame.left - 0.02 <= bar.x
        assert bar.x + bar.width <= frame.right + 0.02
        assert bar.width > 0
        assert frame.top - 0.02 <= bar.y
        assert bar.y + bar.height <= frame.bottom + 0.02
    assert all(frame.left <= tick.position <= frame.right for tick in chart.x_ticks)


def test_one_far_score_does_not_squeeze_the_others() -> None:
    """A score far away is counted at the edge of the chart, and the others keep their room."""
    chart = charts.histogram([*np.linspace(1, 3, 50), 500.0], 2.9)
    assert chart.beyond == 1
    assert chart.scale.upper < 10
    page = page_of(content_of(calibration_of([*np.linspace(1, 3, 50), 500.0])))
    assert "1 farther right, up to 500.00" in page.text


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e5), st.integers(2, 12))
def test_ticks_are_round(lower: float, span: float, intervals: int) -> None:
    """Ticks are whole multiples of 1, 2 or 5 times a power of ten, inside the axis and not too many."""
    ticks = charts.nice_ticks(lower, lower + span, intervals)
    step = charts.nice_step(span, intervals)
    mantissa = step / 10 ** np.floor(np.log10(step) + 1e-9)
    assert round(float(mantissa), 6) in (1, 2, 5)
    assert len(ticks) <= intervals + 1
    assert all(lower - 1e-6 * step <= tick <= lower + span + 1e-6 * step for tick in ticks)
    assert all(abs(tick / step - round(tick / step)) < 1e-3 for tick in ticks)


def test_curve_on_a_linear_axis() -> None:
    """A curve begins and ends where its numbers say, between the ticks of its axes."""
    chart = charts.curve([(0, 1.0), (50, 3.0), (100, 2.0)])
    assert chart is not None
    points = [tuple(map(float, point.split(","))) for point in chart.line.removeprefix("M").split("L")]
    frame = chart.frame
    assert [x for x, _ in points] == [frame.left, (frame.left + frame.right) / 2, frame.right]
    y = {float(tick.label): tick.position for tick in chart.y_ticks}
    assert [y[1.0], y[3.0], y[2.0]] == pytest.approx([height for _, height in points], abs=0.06)
    assert (chart.last, chart.last_x) == (2.0, frame.right)
    assert chart.band == ""
    assert not chart.logarithmic


def test_curve_on_a_logarithmic_axis() -> None:
    """A loss that falls by far has a logarithmic axis: equal factors, equal distances."""
    chart = charts.curve([(step, 10.0 ** (2 - step / 100)) for step in range(401)])
    assert chart is not None
    assert chart.logarithmic
    assert [tick.label for tick in chart.y_ticks] == ["0.01", "0.1", "1", "10", "100"]
    gaps = np.diff([tick.position for tick in chart.y_ticks])
    assert gaps == pytest.approx([gaps[0]] * 4, abs=0.02)
    steep = charts.curve([(step, 10.0 ** (-step / 10)) for step in range(301)])
    assert steep is not None
    assert 3 <= len(steep.y_ticks) <= 7


def test_long_curves_are_averaged() -> None:
    """Many points become a line of means in a band of extremes, clipped to the chart."""
    points = [(step, 1.0 + (step % 2)) for step in range(6000)]
    points[3000] = (3000, 1e6)
    chart = charts.curve(points)
    assert chart is not None
    heights = [float(y) for y in re.findall(r",([-\d.]+)", chart.band)]
    assert chart.line.count("L") == 119
    assert len(heights) == 240
    assert min(heights) >= chart.frame.top
    assert max(heights) <= chart.frame.bottom
    assert chart.last == 1.5


@pytest.mark.parametrize(
    "values", [[0.25], [0.0, 0.0], [-1.0, -1.0], [-0.5, 0.5], [1e-9, 2e-9], [5.0, float("inf")]]
)
def test_odd_curves(values: list[float]) -> None:
    """Single, equal, negative, tiny and infinite values make a chart whose line lies in its frame."""
    chart = charts.curve(list(enumerate(values)))
    assert chart is not None
    for point in chart.line.removeprefix("M").split("L"):
        x, y = map(float, point.split(","))
        assert chart.frame.left <= x <= chart.frame.right
        assert chart.frame.top <= y <= chart.frame.bottom


def test_curve_of_nothing() -> None:
    """A loss that was never a number has no chart, and the page says so."""
    assert charts.curve([(0, float("nan"))]) is None
    page = page_of(content_of(curves={"total": [(0, float("nan"))]}))
    assert "No finite value." in page.text
    assert page.faults == []
