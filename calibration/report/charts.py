"""The charts of reports, sweeps and benchmarks, as SVG text.

The same numbers give the same text.  Colours follow the reader's light or dark theme, and every chart says
in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from calibration.report import svg
from calibration.report.axis import Scale, Tick, whole
from calibration.report.bins import Bins, score_bins
from calibration.report.svg import Chart, Frame
from calibration.report.wording import show_number

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
        *svg.axes(frame, x.ticks(max(3, int(width / 110))), whole(y.ticks(4))),
        svg.text(frame.left, height - 5, "↑ pictures"),
        svg.text(frame.right, height - 5, "score, higher is more anomalous →", anchor="end"),
        *_bars(bins, x, y),
        svg.path("axis", f"M{frame.left:g},{frame.bottom:g}H{frame.right:g}"),
        *_threshold_line(frame, x(threshold), scores, threshold),
    ]
    if review_threshold is not None:
        shapes += _review_line(frame, x(review_threshold), review_threshold)
    if bins.beyond:
        words = f"{bins.beyond} farther right, up to {show_number(max(scores))} →"
        shapes.append(svg.text(frame.right, 38, words, "failing", "end"))
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
    yield svg.path("threshold", f"M{at:g},14V{frame.bottom:g}")
    yield svg.text(at - 7, 22, f"threshold {show_number(threshold)}", "strong", "end")
    yield svg.text(at - 7, 38, f"{len(scores) - over} at or under it", anchor="end")
    yield svg.text(at + 7, 22, f"{over} over", "strong failing")


def _review_line(frame: Frame, at: float, review_threshold: float) -> list[str]:
    """Write the label on the side of the line that has room for it."""
    left = at > frame.left + 70
    words = f"review {show_number(review_threshold)}"
    return [
        svg.path("review-line", f"M{at:g},46V{frame.bottom:g}"),
        svg.text(at - 6 if left else at + 6, 57, words, anchor="end" if left else "start"),
    ]


# --- training losses ----------------------------------------------------------------------------

STRETCHES = 120  # a longer curve is drawn as this many means, each of equally many points
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
    shapes = list(svg.axes(frame, whole(x.ticks(4)), y.ticks(4)))
    if len(stretches) < len(finite):
        upper = [(x(step), y.clipped(each[:, 1].max())) for step, each in zip(steps, stretches, strict=True)]
        lower = [(x(step), y.clipped(each[:, 1].min())) for step, each in zip(steps, stretches, strict=True)]
        shapes.append(svg.path("band", svg.route(upper + lower[::-1]) + "Z"))
    line = [(x(step), y(mean)) for step, mean in zip(steps, means, strict=True)]
    ends = f"ends at {show_number(means[-1])}"
    shapes += [
        svg.path("loss", svg.route(line)),
        f'<circle class="end" cx="{line[-1][0]:g}" cy="{line[-1][1]:g}" r="2.6"/>',
        svg.text(frame.left, 12, "logarithmic axis" if y.logarithmic else ""),
        svg.text(frame.right, 12, ends, "strong", "end"),
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
    frame = Frame(width, height, 64, width - 48 - svg.LETTER * longest, top=48, bottom=height - 52)
    highest = 1.05 * max(value for line in lines for _, value, _ in line.points) or 1.0
    inset = (frame.right - frame.left) / (2 * len(found))
    x = Scale(0, max(1, len(found) - 1), frame.left + inset, frame.right - inset)
    y = Scale(0, highest, frame.bottom, frame.top)
    middle = (frame.left + frame.right) / 2
    shapes = [
        svg.text(16, 24, title, "strong"),
        *svg.axes(frame, [Tick(x(i), str(category)) for i, category in enumerate(found)], y.ticks(5)),
        svg.text(middle, height - 12, categories, anchor="middle"),
    ]
    for number, line in enumerate(lines):
        points = [(x(found.index(category)), y(value)) for category, value, _ in line.points]
        shapes.append(svg.path(f"line {svg.SERIES[number % len(svg.SERIES)][0]}", svg.route(points)))
        for point, (category, value, fill) in zip(points, line.points, strict=True):
            words = f"{line.name}, {category}: {show_number(value)}"
            shapes.append(svg.mark(number, *point, fill="filled" if fill else "", words=words))
    shapes += _line_legend(lines, frame.right + 24, frame.top, filled, hollow)
    names = "; ".join(line.name for line in lines)
    return Chart(width, height, f"{title} over {categories}, for {names}.", "\n".join(shapes))


def _line_legend(lines: Sequence[Line], left: float, top: float, filled: str, hollow: str) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield svg.mark(number, left, top + 20 * number, fill="filled")
        yield svg.text(left + 14, top + 20 * number + 4.5, line.name, "name")
    for row, (words, fill) in enumerate(((filled, True), (hollow, False))):
        y = top + 20 * (len(lines) + row + 0.5)
        yield svg.mark(0, left, y, fill="filled" if fill else "", colour="sixth")
        yield svg.text(left + 14, y + 4.5, words)


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
        Drawn from top to bottom.
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
        Outer width in SVG units; a longer legend makes the chart wider.
    """
    width = max(width, 2 + sum(52 + svg.LETTER * len(name) for name in series))
    longest = max(len(row.name) for row in (*rows, *([last] if last else ())))
    gap = ROW / 2 if last else 0
    bottom = 58 + ROW * (len(rows) + (last is not None)) + gap
    x = Scale(lower, upper, 44 + svg.LETTER * longest, width - 28)
    shapes = list(_mark_legend(series))
    for tick in x.ticks(5):
        shapes.append(svg.path("grid", f"M{tick.position:g},58V{bottom:g}"))
        shapes.append(svg.text(tick.position, bottom + 18, tick.label, "tick", "middle"))
    shapes.append(svg.text((x.start + x.end) / 2, bottom + 37, axis, anchor="middle"))
    for number, row in enumerate(rows):
        shapes += _mark_row(row, x, 58 + ROW * (number + 0.5), "name")
    if last is not None:
        y = 58 + ROW * len(rows) + gap / 2
        shapes.append(svg.path("axis", f"M16,{y:g}H{width - 28:g}"))
        shapes += _mark_row(last, x, y + gap / 2 + ROW / 2, "strong")
    return Chart(width, bottom + 46, description, "\n".join(shapes))


def _mark_legend(series: Sequence[str]) -> Iterator[str]:
    left = 28.0
    for number, name in enumerate(series):
        yield svg.mark(number, left, 24, fill="clear" if number else "filled")
        yield svg.text(left + 14, 28.5, name, "name" if number else "strong")
        left += 52 + svg.LETTER * len(name)


def _mark_row(row: MarkRow, x: Scale, y: float, style: str) -> Iterator[str]:
    yield svg.text(x.start - 18, y + 4.5, row.name, style, "end")
    for number, value in enumerate(row.others, 1):
        if value is not None:
            yield svg.mark(number, x.clipped(value), y, fill="clear", words=f"{value:.3f}")
    if row.span is not None:
        low, mean, high = map(x.clipped, row.span)
        yield f'<line class="span first" x1="{low:g}" x2="{high:g}" y1="{y:g}" y2="{y:g}"/>'
        yield svg.mark(0, mean, y, fill="filled", words=f"{row.span[1]:.3f}")
