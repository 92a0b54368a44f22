"""The charts of reports, sweeps and benchmarks, as SVG text.

The same numbers give the same text.  Colours follow the reader's light or dark theme, and every chart says
in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from calibration.report.axis import Scale, Tick, whole
from calibration.report.bins import Bins, score_bins
from calibration.report.wording import show_number

STYLE = """
:root {
  --paper: #ffffff; --ink: #1a1f24; --quiet: #57616c; --rule: #d8dce0; --grid: #e8ebee; --band: #c9d9e6;
  --pass: #4b7fa8; --review: #a8730a; --fail: #b83a1e;
  --first: #0969da; --second: #bc4c00; --third: #1a7f37; --fourth: #8250df;
  --fifth: #9a6700; --sixth: #57606a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --ink: #e5e8eb; --quiet: #9ca6b0; --rule: #363c43; --grid: #282d32; --band: #2d4357;
    --pass: #6c9fc8; --review: #d9a441; --fail: #f08262;
    --first: #4493f8; --second: #f0883e; --third: #3fb950; --fourth: #ab7df8;
    --fifth: #d29922; --sixth: #9198a1;
  }
}
.chart { display: block; width: 100%; height: auto; overflow: visible;
  font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.chart text { fill: var(--quiet); }
.chart .name { fill: var(--ink); font-size: 13px; }
.chart .strong { fill: var(--ink); font-size: 13px; font-weight: 600; }
.chart .failing { fill: var(--fail); }
.chart .paper { fill: var(--paper); }
.chart .grid { stroke: var(--grid); fill: none; }
.chart .axis { stroke: var(--quiet); fill: none; }
.chart .bar { stroke: var(--paper); stroke-width: 1; fill: var(--pass); }
.chart .bar.review { fill: var(--review); }
.chart .bar.fail { fill: var(--fail); }
.chart .threshold { stroke: var(--ink); stroke-width: 1.5; fill: none; }
.chart .review-line { stroke: var(--review); stroke-width: 1.25; stroke-dasharray: 4 3; fill: none; }
.chart .band { fill: var(--band); }
.chart .loss { stroke: var(--pass); stroke-width: 1.6; stroke-linejoin: round; fill: none; }
.chart .end { fill: var(--pass); }
.chart .line { stroke: currentColor; stroke-width: 2; stroke-linejoin: round; fill: none; }
.chart .span { stroke: currentColor; stroke-width: 4; stroke-linecap: round; opacity: .4; }
.chart .mark { stroke: currentColor; stroke-width: 1.8; fill: var(--paper); }
.chart .mark.filled { fill: currentColor; }
.chart .mark.clear { fill: none; }
""" + "".join(
    f".chart .{name} {{ color: var(--{name}); }}\n"
    for name in ("first", "second", "third", "fourth", "fifth", "sixth")
)
SERIES = (  # class for the colour, and shape around (0, 0), so that colour is never the only difference
    ("first", "M-5.6,0 a5.6,5.6 0 1,0 11.2,0 a5.6,5.6 0 1,0 -11.2,0 Z"),
    ("second", "M0,-6.4 L6.4,0 L0,6.4 L-6.4,0 Z"),
    ("third", "M-4.8,-4.8 H4.8 V4.8 H-4.8 Z"),
    ("fourth", "M0,-5.8 L5.8,4.6 H-5.8 Z"),
    ("fifth", "M0,5.8 L5.8,-4.6 H-5.8 Z"),
    ("sixth", "M-6.2,-2.6 H6.2 V2.6 H-6.2 Z"),
)
LETTER = 7.4  # SVG units, about the width of a letter of 13 px

# --- what all charts share ----------------------------------------------------------------------


@dataclass(frozen=True)
class Chart:
    """One chart, ready to be put into a page or written into a file.

    Attributes
    ----------
    width, height : float
        In SVG units.
    description : str
        What the chart shows, for readers who cannot see it.
    shapes : str
        SVG elements; `STYLE` holds their colours and line widths.
    """

    width: float
    height: float
    description: str
    shapes: str

    def __html__(self) -> str:
        """Return the `<svg>` element for a page that includes `STYLE`; Jinja inserts it unescaped."""
        return self._svg("", self.shapes)

    def document(self) -> str:
        """Return the text of a stand-alone SVG file."""
        size = f' xmlns="http://www.w3.org/2000/svg" width="{self.width:g}" height="{self.height:g}"'
        ground = f'<rect class="paper" width="{self.width:g}" height="{self.height:g}"/>'
        head = f"<title>{escape(self.description)}</title>\n<style>{STYLE}</style>\n{ground}"
        return f"{self._svg(size, head + chr(10) + self.shapes)}\n"

    def _svg(self, attributes: str, content: str) -> str:
        return (
            f'<svg class="chart"{attributes} viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(self.description)}">\n{content}\n</svg>'
        )


@dataclass(frozen=True)
class Frame:
    """Outer size of a chart and the rectangle that holds its data, in SVG units."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


def _text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def _path(style: str, route: str) -> str:
    return f'<path class="{style}" d="{route}"/>'


def _route(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _mark(series: int, x: float, y: float, *, fill: str = "", words: str = "", colour: str = "") -> str:
    """Draw the shape of a series.

    `fill` is "filled", "clear" (lines below show through) or empty (filled with the paper's colour).
    `words` appear when a pointer rests on the shape.
    """
    own, shape = SERIES[series % len(SERIES)]
    colour = colour or own
    title = f"<title>{escape(words)}</title>" if words else ""
    style = " ".join(["mark", colour, *fill.split()])
    return f'<path class="{style}" d="{shape}" transform="translate({x:g} {y:g})">{title}</path>'


def _axes(frame: Frame, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick]) -> Iterator[str]:
    """Draw lines across at the vertical axis' ticks, and the horizontal axis with its ticks below it."""
    for tick in y_ticks:
        yield _path("grid", f"M{frame.left:g},{tick.position:g}H{frame.right:g}")
        yield _text(frame.left - 7, tick.position + 4, tick.label, "tick", "end")
    yield _path("axis", f"M{frame.left:g},{frame.bottom:g}H{frame.right:g}")
    for tick in x_ticks:
        yield _path("axis", f"M{tick.position:g},{frame.bottom:g}v4")
        yield _text(tick.position, frame.bottom + 17, tick.label, "tick", "middle")


# --- held-out scores ----------------------------------------------------------------------------

ROOM_BESIDE_THRESHOLD = 66  # SVG units right of the threshold, so that its label fits


def histogram(
    scores: Sequence[float],
    threshold: float,
    review_threshold: float | None = None,
    *,
    width: float = 1080,
    height: float = 280,
) -> Chart:
    """Draw the histogram of held-out scores with the threshold as a line.

    Parameters
    ----------
    scores : sequence of float, length n >= 1
        Higher is more anomalous.
    threshold, review_threshold : float
        A score over `threshold` fails; a score over `review_threshold`, if given, is for review.
    width, height : float
        Outer size in SVG units.
    """
    bins = score_bins(scores, threshold, review_threshold)
    top = 50 if review_threshold is None else 66  # room for the labels of the lines
    frame = Frame(width, height, left=40, right=width - 12, top=top, bottom=height - 42)
    x = _score_scale(frame, float(bins.edges[0]), float(bins.edges[-1]), threshold)
    highest = int(np.sum(list(bins.counts.values()), axis=0).max())
    y = Scale(0, max(1, highest), frame.bottom, frame.top)
    shapes = [
        *_axes(frame, x.ticks(max(3, int(width / 110))), whole(y.ticks(4))),
        _text(frame.left, height - 5, "↑ pictures"),
        _text(frame.right, height - 5, "score, higher is more anomalous →", anchor="end"),
        *_bars(bins, x, y),
        _path("axis", f"M{frame.left:g},{frame.bottom:g}H{frame.right:g}"),
        *_threshold_line(frame, x(threshold), scores, threshold),
    ]
    if review_threshold is not None:
        shapes += _review_line(frame, x(review_threshold), review_threshold)
    if bins.beyond:
        words = f"{bins.beyond} farther right, up to {show_number(max(scores))} →"
        shapes.append(_text(frame.right, 38, words, "failing", "end"))
    over = sum(score > threshold for score in scores)
    description = (
        f"Histogram of {len(scores)} held-out scores from {show_number(min(scores))} to "
        f"{show_number(max(scores))}. {over} of them are over the threshold of {show_number(threshold)}."
    )
    return Chart(width, height, description, "\n".join(shapes))


def _score_scale(frame: Frame, lower: float, upper: float, threshold: float) -> Scale:
    """Extend the axis to the right until the threshold's label fits beside its line."""
    plot = frame.right - frame.left
    needed = lower + (threshold - lower) * plot / (plot - ROOM_BESIDE_THRESHOLD)
    return Scale(lower, max(upper, needed), frame.left, frame.right)


def _bars(bins: Bins, x: Scale, y: Scale) -> Iterator[str]:
    """Stack the verdicts of each bin; an empty stack draws nothing."""
    for place, (lower, upper) in enumerate(pairwise(bins.edges.tolist())):
        below = 0
        for verdict, counts in bins.counts.items():
            count = int(counts[place])
            if count:
                left, top = x(lower), y(below + count)
                yield (
                    f'<rect class="bar {verdict}" x="{left:g}" y="{top:g}" width="{x(upper) - left:.2f}" '
                    f'height="{y(below) - top:.2f}"><title>{count} with a score over {show_number(lower)}, '
                    f"up to {show_number(upper)}: {verdict}</title></rect>"
                )
            below += count


def _threshold_line(frame: Frame, at: float, scores: Sequence[float], threshold: float) -> Iterator[str]:
    over = sum(score > threshold for score in scores)
    yield _path("threshold", f"M{at:g},14V{frame.bottom:g}")
    yield _text(at - 7, 22, f"threshold {show_number(threshold)}", "strong", "end")
    yield _text(at - 7, 38, f"{len(scores) - over} at or under it", anchor="end")
    yield _text(at + 7, 22, f"{over} over", "strong failing")


def _review_line(frame: Frame, at: float, review_threshold: float) -> list[str]:
    """Write the label on the side of the line that has room for it."""
    left = at > frame.left + 70
    words = f"review {show_number(review_threshold)}"
    return [
        _path("review-line", f"M{at:g},46V{frame.bottom:g}"),
        _text(at - 6 if left else at + 6, 57, words, anchor="end" if left else "start"),
    ]


# --- training losses ----------------------------------------------------------------------------

STRETCHES = 120  # a longer curve is averaged over so many stretches of equally many points
LOG_RATIO = 30  # a curve that falls by more is drawn on a logarithmic axis


def loss_curve(
    name: str, points: Sequence[tuple[int, float]], *, width: float = 348, height: float = 190
) -> Chart | None:
    """Draw a loss against the training step, within the band of its smallest and largest values.

    The axis is logarithmic where all values are positive and the largest mean is 30 times the smallest.  The
    axis spans the means, so that a single spike cannot flatten the curve; the band is clipped there.

    Parameters
    ----------
    name : str
        Name of the loss, for the description.
    points : sequence of (step, value)
        Values that are not finite are left out.
    width, height : float
        Outer size in SVG units.

    Returns
    -------
    Chart or None
        None where no finite value is left.
    """
    finite = sorted((step, value) for step, value in points if math.isfinite(value))
    if not finite:
        return None
    frame = Frame(width, height, left=46, right=width - 12, top=26, bottom=height - 26)
    stretches = np.array_split(np.asarray(finite, dtype=np.float64), min(STRETCHES, len(finite)))
    steps = [float(stretch[:, 0].mean()) for stretch in stretches]
    means = [float(stretch[:, 1].mean()) for stretch in stretches]
    first, last = finite[0][0], finite[-1][0]
    x = Scale(first, last if last > first else first + 1, frame.left, frame.right)
    y = _loss_scale(means, frame)
    shapes = list(_axes(frame, whole(x.ticks(4)), y.ticks(4)))
    if len(stretches) < len(finite):
        upper = [(x(step), y.clipped(each[:, 1].max())) for step, each in zip(steps, stretches, strict=True)]
        lower = [(x(step), y.clipped(each[:, 1].min())) for step, each in zip(steps, stretches, strict=True)]
        shapes.append(_path("band", _route(upper + lower[::-1]) + "Z"))
    line = [(x(step), y(mean)) for step, mean in zip(steps, means, strict=True)]
    ends = f"ends at {show_number(means[-1])}"
    shapes += [
        _path("loss", _route(line)),
        f'<circle class="end" cx="{line[-1][0]:g}" cy="{line[-1][1]:g}" r="2.6"/>',
        _text(frame.left, 12, "logarithmic axis" if y.logarithmic else ""),
        _text(frame.right, 12, ends, "strong", "end"),
    ]
    return Chart(width, height, f"{name} against the training step; it {ends}.", "\n".join(shapes))


def _loss_scale(means: Sequence[float], frame: Frame) -> Scale:
    lower, upper = min(means), max(means)
    if lower > 0 and upper / lower > LOG_RATIO:
        return Scale(lower / 1.15, upper * 1.15, frame.bottom, frame.top, logarithmic=True)
    margin = 0.06 * (upper - lower) or max(abs(upper), 1.0) * 0.1
    if 0 <= lower < 0.5 * upper:
        return Scale(0.0, upper + margin, frame.bottom, frame.top)
    return Scale(lower - margin, upper + margin, frame.bottom, frame.top)


# --- lines over categories ------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of a chart: its name, and points (category, value, filled mark)."""

    name: str
    points: tuple[tuple[int, float, bool], ...]


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    categories: str,
    filled: str,
    hollow: str,
    width: float = 760,
    height: float = 400,
) -> Chart:
    """Draw values over categories, a line and a kind of mark for each series.

    Parameters
    ----------
    lines : sequence of Line
        Values are at least 0; categories are evenly spaced, in rising order.
    title : str
        Names the values, with their unit.
    categories : str
        Names the horizontal axis.
    filled, hollow : str
        What a filled and a hollow mark mean.
    width, height : float
        Outer size in SVG units.
    """
    found = sorted({category for line in lines for category, *_ in line.points})
    longest = max(len(words) for words in (*(line.name for line in lines), filled, hollow))
    frame = Frame(width, height, 64, width - 48 - LETTER * longest, top=48, bottom=height - 52)
    highest = 1.05 * max(value for line in lines for _, value, _ in line.points) or 1.0
    inset = (frame.right - frame.left) / (2 * len(found))
    x = Scale(0, max(1, len(found) - 1), frame.left + inset, frame.right - inset)
    y = Scale(0, highest, frame.bottom, frame.top)
    middle = (frame.left + frame.right) / 2
    shapes = [
        _text(16, 24, title, "strong"),
        *_axes(frame, [Tick(x(i), str(category)) for i, category in enumerate(found)], y.ticks(5)),
        _text(middle, height - 12, categories, anchor="middle"),
    ]
    for number, line in enumerate(lines):
        places = [(x(found.index(category)), y(value)) for category, value, _ in line.points]
        shapes.append(_path(f"line {SERIES[number % len(SERIES)][0]}", _route(places)))
        for place, (category, value, fill) in zip(places, line.points, strict=True):
            words = f"{line.name}, {category}: {show_number(value)}"
            shapes.append(_mark(number, *place, fill="filled" if fill else "", words=words))
    shapes += _line_legend(lines, frame.right + 24, frame.top, filled, hollow)
    names = "; ".join(line.name for line in lines)
    return Chart(width, height, f"{title} over {categories}, for {names}.", "\n".join(shapes))


def _line_legend(lines: Sequence[Line], left: float, top: float, filled: str, hollow: str) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield _mark(number, left, top + 20 * number, fill="filled")
        yield _text(left + 14, top + 20 * number + 4.5, line.name, "name")
    for row, (words, fill) in enumerate(((filled, True), (hollow, False))):
        y = top + 20 * (len(lines) + row + 0.5)
        yield _mark(0, left, y, fill="filled" if fill else "", colour="sixth")
        yield _text(left + 14, y + 4.5, words)


# --- marks beside each other ----------------------------------------------------------------------

ROW = 34  # SVG units from one row to the next


@dataclass(frozen=True)
class MarkRow:
    """One row of a chart of marks.

    Attributes
    ----------
    name : str
    span : tuple of float, optional
        Lowest, mean and highest value of the first series.
    others : tuple of float or None
        One value for each of the other series.
    """

    name: str
    span: tuple[float, float, float] | None
    others: tuple[float | None, ...]


def mark_chart(
    rows: Sequence[MarkRow],
    last: MarkRow | None = None,
    *,
    description: str,
    series: Sequence[str],
    axis: str,
    lower: float,
    upper: float,
    width: float = 840,
) -> Chart:
    """Draw one row for each name: the first series as a dot on its span, the others as marks.

    Parameters
    ----------
    rows : sequence of MarkRow
        From top to bottom.
    last : MarkRow, optional
        Drawn below a line, apart from the others.
    description : str
        What the chart shows, for readers who cannot see it.
    series : sequence of str
        Names of the series.
    axis : str
        Names the values, with their unit.
    lower, upper : float
        Ends of the axis; values outside are drawn at the nearer end.
    width : float
        Outer width in SVG units.
    """
    longest = max(len(row.name) for row in (*rows, *([last] if last else ())))
    gap = ROW / 2 if last else 0
    bottom = 58 + ROW * (len(rows) + (last is not None)) + gap
    x = Scale(lower, upper, 44 + LETTER * longest, width - 28)
    shapes = list(_mark_legend(series))
    for tick in x.ticks(5):
        shapes.append(_path("grid", f"M{tick.position:g},58V{bottom:g}"))
        shapes.append(_text(tick.position, bottom + 18, tick.label, "tick", "middle"))
    shapes.append(_text((x.start + x.end) / 2, bottom + 37, axis, anchor="middle"))
    for number, row in enumerate(rows):
        shapes += _mark_row(row, x, 58 + ROW * (number + 0.5), "name")
    if last is not None:
        y = 58 + ROW * len(rows) + gap / 2
        shapes.append(_path("axis", f"M16,{y:g}H{width - 28:g}"))
        shapes += _mark_row(last, x, y + gap / 2 + ROW / 2, "strong")
    return Chart(width, bottom + 46, description, "\n".join(shapes))


def _mark_legend(series: Sequence[str]) -> Iterator[str]:
    left = 28.0
    for number, name in enumerate(series):
        yield _mark(number, left, 24, fill="clear" if number else "filled")
        yield _text(left + 14, 28.5, name, "name" if number else "strong")
        left += 52 + LETTER * len(name)


def _mark_row(row: MarkRow, x: Scale, y: float, style: str) -> Iterator[str]:
    yield _text(x.start - 18, y + 4.5, row.name, style, "end")
    for number, value in enumerate(row.others, 1):
        if value is not None:
            yield _mark(number, x.clipped(value), y, fill="clear", words=f"{value:.3f}")
    if row.span is not None:
        low, mean, high = map(x.clipped, row.span)
        yield f'<line class="span first" x1="{low:g}" x2="{high:g}" y1="{y:g}" y2="{y:g}"/>'
        yield _mark(0, mean, y, fill="filled", words=f"{row.span[1]:.3f}")
