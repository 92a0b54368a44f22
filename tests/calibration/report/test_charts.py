"""Charts are drawn to scale for all numbers, and describe themselves in words."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.report import charts, svg
from calibration.report.axis import nice_step, nice_ticks
from calibration.report.bins import score_bins
from calibration.report.charts import Line, MarkRow
from calibration.report.svg import Chart
from inspector.scoring import decision

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> ET.Element:
    """The chart as an XML reader sees its file."""
    return ET.fromstring(chart.document())  # noqa: S314 - our own text


def styled(chart: Chart, style: str) -> list[ET.Element]:
    """The shapes of a class, in the order of drawing."""
    return [one for one in drawn(chart).iter() if style in one.attrib.get("class", "").split()]


def axis(chart: Chart, anchor: str) -> tuple[list[float], list[float]]:
    """Numbers at the ticks of an axis and their positions; `middle` is the horizontal axis."""
    ticks = [one for one in styled(chart, "tick") if one.attrib["text-anchor"] == anchor]
    numbers = [float((one.text or "").replace("−", "-").replace(",", "")) for one in ticks]
    places = [float(one.attrib["x" if anchor == "middle" else "y"]) for one in ticks]
    return numbers, places if anchor == "middle" else [place - 4 for place in places]


def route(chart: Chart, style: str) -> list[tuple[float, float]]:
    """The corners of a path."""
    corners = re.findall(r"([-\d.]+),([-\d.]+)", styled(chart, style)[0].attrib["d"])
    return [(float(x), float(y)) for x, y in corners]


# --- every chart ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chart",
    [
        charts.histogram([1.0, 2.0, 3.0], 2.5, 1.5),
        charts.loss_curve("<total>", [(0, 1.0), (1, 2.0)]),
        charts.line_chart(
            [Line("<w>", ((2, 1.0, True),))], title="Error", categories="sizes", filled="yes", hollow="no"
        ),
        charts.mark_chart(
            [MarkRow("<a>", (0.6, 0.7, 0.8), (0.9, None))],
            description="AUROC",
            series=("ours", "<one>", "two"),
            axis="AUROC",
            lower=0.5,
            upper=1.0,
        ),
    ],
    ids=["histogram", "loss", "lines", "marks"],
)
def test_a_chart_is_complete(chart: Chart) -> None:
    """Its file is well-formed, describes itself, brings its own light and dark colours, and loads nothing."""
    root = drawn(chart)
    assert root.tag == f"{SVG}svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == root.findtext(f"{SVG}title") == chart.description
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
    assert not re.search(r"url\(|@import|href", chart.document())
    assert chart.document().replace("http://www.w3.org/2000/svg", "").count("://") == 0
    assert chart.shapes in chart.__html__()
    assert "<style" not in chart.__html__()


# --- axes -------------------------------------------------------------------------------------------


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e5), st.integers(2, 12))
def test_ticks_are_round(lower: float, span: float, intervals: int) -> None:
    """Ticks are whole multiples of 1, 2 or 5 times a power of ten, inside the axis and not too many."""
    ticks = nice_ticks(lower, lower + span, intervals)
    step = nice_step(span, intervals)
    mantissa = step / 10 ** np.floor(np.log10(step) + 1e-9)
    assert round(float(mantissa), 6) in (1, 2, 5)
    assert len(ticks) <= intervals + 1
    assert all(lower - 1e-6 * step <= tick <= lower + span + 1e-6 * step for tick in ticks)
    assert all(abs(tick / step - round(tick / step)) < 1e-3 for tick in ticks)


# --- held-out scores --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [350, 1072])
def test_threshold_stands_where_the_axis_says(width: int) -> None:
    """The threshold's line is where the axis' ticks put its number, and no bar crosses it."""
    scores = np.random.default_rng(0).gamma(5, 0.42, 117)
    threshold = float(np.sort(scores)[112])
    chart = charts.histogram(scores.tolist(), threshold, width=width)
    numbers, places = axis(chart, "middle")
    slope, start = np.polyfit(numbers, places, 1)
    line = float(styled(chart, "threshold")[0].attrib["d"].removeprefix("M").split(",")[0])
    assert line == pytest.approx(start + slope * threshold, abs=0.05)
    counts = {True: 0, False: 0}
    for bar in styled(chart, "bar"):
        left, right = float(bar.attrib["x"]), float(bar.attrib["x"]) + float(bar.attrib["width"])
        fails = "fail" in bar.attrib["class"].split()
        assert left >= line - 0.02 if fails else right <= line + 0.02
        counts[fails] += int((bar.findtext(f"{SVG}title") or "").split()[0])
    assert counts == {False: 113, True: 4}


def test_bar_heights() -> None:
    """A bar is as high as its count, and a review bar stands on the passes of its bin."""
    chart = charts.histogram([1.0] * 6 + [2.0] * 2 + [2.1] * 2 + [4.0], 2.1, 2.0)
    numbers, places = axis(chart, "end")
    unit = (places[0] - places[-1]) / (numbers[-1] - numbers[0])
    bars = styled(chart, "bar")
    assert len({bar.attrib["x"] for bar in bars}) < len(bars)
    bottoms: dict[str, float] = {}
    for bar in bars:
        count = int((bar.findtext(f"{SVG}title") or "").split()[0])
        top, height = float(bar.attrib["y"]), float(bar.attrib["height"])
        assert height == pytest.approx(unit * count, abs=0.02)
        assert top + height == pytest.approx(bottoms.get(bar.attrib["x"], places[0]), abs=0.02)
        bottoms[bar.attrib["x"]] = top


@given(
    st.lists(st.floats(-50, 1000).map(lambda x: round(x, 3)), min_size=1, max_size=60),
    st.integers(0, 59),
    st.integers(0, 59),
    st.sampled_from([340.0, 1072.0]),
)
def test_histogram_counts_each_picture_once(
    scores: list[float], place: int, lower: int, width: float
) -> None:
    """For all scores, each is in a bin of its verdict or beyond, and bars stay in the frame."""
    ordered = sorted(scores)
    threshold = ordered[place % len(ordered)]
    review = ordered[lower % (place % len(ordered) + 1)]
    bins = score_bins(scores, threshold, review)
    verdicts = [decision.verdict(score, threshold, review) for score in scores]
    found = {verdict: int(counts.sum()) for verdict, counts in bins.counts.items()}
    found["fail"] += bins.beyond
    assert found == {verdict: verdicts.count(verdict) for verdict in ("pass", "review", "fail")}
    assert threshold in bins.edges
    for bar in styled(charts.histogram(scores, threshold, review, width=width), "bar"):
        left, top, wide, high = (float(bar.attrib[name]) for name in ("x", "y", "width", "height"))
        assert wide > 0
        assert left >= 40 - 0.02
        assert left + wide <= width - 12 + 0.02
        assert top >= 66 - 0.02
        assert top + high <= 280 - 42 + 0.02


def test_one_far_score_does_not_squeeze_the_others() -> None:
    """A score far away is counted at the edge of the chart, and the others keep their room."""
    scores = [*np.linspace(1, 3, 50).tolist(), 500.0]
    assert score_bins(scores, 2.9).edges[-1] < 10
    assert "1 farther right, up to 500.00" in charts.histogram(scores, 2.9).shapes


# --- training losses --------------------------------------------------------------------------------


def test_curve_on_a_linear_axis() -> None:
    """A curve begins and ends where its numbers say, between the ticks of its axes."""
    chart = charts.loss_curve("total", [(0, 1.0), (50, 3.0), (100, 2.0)])
    assert chart is not None
    points = route(chart, "loss")
    for anchor, values, places in (
        ("middle", (0, 50, 100), [x for x, _ in points]),
        ("end", (1.0, 3.0, 2.0), [y for _, y in points]),
    ):
        slope, start = np.polyfit(*axis(chart, anchor), 1)
        assert places == pytest.approx([start + slope * value for value in values], abs=0.1)
    assert styled(chart, "band") == []
    assert "logarithmic" not in chart.shapes
    assert chart.description == "total against the training step; it ends at 2.00."


def test_curve_on_a_logarithmic_axis() -> None:
    """A loss that falls by far has a logarithmic axis: equal factors, equal distances."""
    chart = charts.loss_curve("total", [(step, 10.0 ** (2 - step / 100)) for step in range(401)])
    assert chart is not None
    assert "logarithmic axis" in chart.shapes
    numbers, places = axis(chart, "end")
    assert numbers == [0.01, 0.1, 1, 10, 100]
    assert np.diff(places) == pytest.approx([np.diff(places)[0]] * 4, abs=0.02)
    steep = charts.loss_curve("total", [(step, 10.0 ** (-step / 10)) for step in range(301)])
    assert steep is not None
    assert 3 <= sum(one.attrib["text-anchor"] == "end" for one in styled(steep, "tick")) <= 7


def test_long_curves_are_averaged() -> None:
    """Many points become a line of means in a band of extremes, clipped to the frame of the axes."""
    points = [(step, 1.0 + (step % 2)) for step in range(6000)]
    points[3000] = (3000, 1e6)
    chart = charts.loss_curve("total", points)
    assert chart is not None
    assert len(route(chart, "loss")) == 120
    heights = [y for _, y in route(chart, "band")]
    assert len(heights) == 240
    assert min(heights) >= 26
    assert max(heights) <= 190 - 26
    assert "it ends at 1.50" in chart.description


@pytest.mark.parametrize(
    "values", [[0.25], [0.0, 0.0], [-1.0, -1.0], [-0.5, 0.5], [1e-9, 2e-9], [5.0, float("inf")]]
)
def test_odd_curves(values: list[float]) -> None:
    """Single, equal, negative, tiny and infinite values make a chart whose line lies in its frame."""
    chart = charts.loss_curve("total", list(enumerate(values)))
    assert chart is not None
    for x, y in route(chart, "loss"):
        assert 46 <= x <= 348 - 12
        assert 26 <= y <= 190 - 26


def test_curve_of_nothing() -> None:
    """A loss that was never a number has no chart."""
    assert charts.loss_curve("total", [(0, float("nan"))]) is None


# --- marks ------------------------------------------------------------------------------------------


def test_values_outside_the_axis_are_drawn_at_its_end() -> None:
    """Marks stand where the axis says, or at its nearer end; a missing value has no mark."""
    chart = charts.mark_chart(
        [MarkRow("set", (0.7, 0.75, 0.8), (0.2, None))],
        description="AUROC",
        series=("ours", "one", "two"),
        axis="AUROC",
        lower=0.5,
        upper=1.0,
    )
    slope, start = np.polyfit(*axis(chart, "middle"), 1)
    marks = [one for one in styled(chart, "mark") if len(one)]  # with the value that a pointer shows
    places = [float(one.attrib["transform"].removeprefix("translate(").split()[0]) for one in marks]
    assert places == pytest.approx([start + slope * value for value in (0.5, 0.75)], abs=0.05)
    (span,) = styled(chart, "span")
    ends = [float(span.attrib["x1"]), float(span.attrib["x2"])]
    assert ends == pytest.approx([start + slope * value for value in (0.7, 0.8)], abs=0.05)


def test_a_long_legend_makes_the_chart_wider() -> None:
    """Every name of a series ends inside of the chart; a short legend leaves the width as it was."""

    def chart(series: tuple[str, ...]) -> Chart:
        rows = [MarkRow("set", (0.7, 0.75, 0.8), (0.6,) * (len(series) - 1))]
        return charts.mark_chart(rows, description="AUROC", series=series, axis="AUROC", lower=0.5, upper=1.0)

    long = ("ours", *(f"a detector with a long name, {number}" for number in range(5)))
    starts = [float(one.attrib["x"]) for one in drawn(chart(long)).iter() if one.text in long]
    ends = [start + svg.LETTER * len(name) for start, name in zip(starts, long, strict=True)]
    assert 840 < max(ends) < chart(long).width
    assert chart(("ours", "other")).width == 840
