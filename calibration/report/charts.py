"""Geometry of the report's charts: numbers in, positions in SVG units out; the template draws them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_BINS, MOST_BINS = 8, 60
ROOM_BESIDE_THRESHOLD = 66  # SVG units right of the threshold, so that its label fits
LOG_RATIO = 30  # a curve that falls by more is drawn on a logarithmic axis


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from numbers to SVG units.

    Parameters
    ----------
    lower, upper : float
        Numbers at the two ends; `lower < upper`.
    start, end : float
        Where those ends are drawn; `start > end` for an axis that grows upwards.
    logarithmic : bool
        Then `lower` must be positive.
    """

    lower: float
    upper: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, number: float) -> float:
        """Return the position of `number`, rounded to a hundredth of a unit."""
        lower, upper = self.lower, self.upper
        if self.logarithmic:
            lower, upper, number = math.log(lower), math.log(upper), math.log(number)
        return round(self.start + (number - lower) / (upper - lower) * (self.end - self.start), 2)

    def clipped(self, number: float) -> float:
        """Return the position of `number`, or of the nearer end where it lies outside of the scale."""
        return self(min(max(float(number), self.lower), self.upper))


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    position: float
    label: str


@dataclass(frozen=True)
class Frame:
    """Outer size of a chart and the rectangle that its data are drawn in, in SVG units."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Bar:
    """Pictures of one verdict whose score lies in (`lower`, `upper`]."""

    x: float
    y: float
    width: float
    height: float
    lower: float
    upper: float
    count: int
    kind: str  # "pass", "review" or "fail"


@dataclass(frozen=True)
class Histogram:
    """Held-out scores as bars; the threshold is an edge of bins, so no bar crosses it."""

    frame: Frame
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    threshold_x: float
    review_x: float | None
    beyond: int  # pictures farther right than the axis reaches
    scale: Scale


@dataclass(frozen=True)
class Curve:
    """One training curve: the mean of each stretch of steps, within its smallest and largest value."""

    frame: Frame
    line: str  # an SVG path
    band: str  # an SVG path, empty where every point is drawn
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    last: float
    last_x: float
    last_y: float
    logarithmic: bool


# --- axes -------------------------------------------------------------------------------------


def nice_step(span: float, intervals: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that needs at most `intervals` steps.

    >>> nice_step(9.3, 5), nice_step(0.4, 5)
    (2.0, 0.1)
    """
    raw = span / intervals
    power = 10.0 ** math.floor(math.log10(raw))
    factor = next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return float(factor * power)


def nice_ticks(lower: float, upper: float, intervals: int) -> tuple[float, ...]:
    """Return the round numbers from `lower` to `upper`, at most `intervals + 1` of them.

    >>> nice_ticks(-0.3, 1.2, 4)
    (0.0, 0.5, 1.0)
    """
    step = nice_step(upper - lower, intervals)
    first, last = math.ceil(lower / step - 1e-9), math.floor(upper / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return tuple(round(k * step, digits) + 0.0 for k in range(first, last + 1))


def tick_label(number: float) -> str:
    """Write a tick's number without needless digits, and with a true minus sign.

    >>> tick_label(0.5), tick_label(-20.0), tick_label(15000), tick_label(2e-05)
    ('0.5', '−20', '15,000', '2e−5')
    """
    size = abs(number)
    if size and not 1e-4 <= size < 1e6:
        mantissa, exponent = f"{number:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}".replace("-", "−")
    return f"{number:,.6f}".rstrip("0").rstrip(".").replace("-", "−")


def _ticks(scale: Scale, intervals: int) -> tuple[Tick, ...]:
    numbers = _log_ticks(scale) if scale.logarithmic else nice_ticks(scale.lower, scale.upper, intervals)
    return tuple(Tick(scale(number), tick_label(number)) for number in numbers)


def _whole(ticks: tuple[Tick, ...]) -> tuple[Tick, ...]:
    """Keep the ticks of an axis that counts."""
    return tuple(tick for tick in ticks if "." not in tick.label)


def _log_ticks(scale: Scale) -> tuple[float, ...]:
    """Powers of ten, six at most; with 3 times those between where there are but a few."""
    first, last = math.ceil(math.log10(scale.lower)), math.floor(math.log10(scale.upper))
    stride = max(1, math.ceil((last - first) / 5))
    factors = (1.0, 3.0) if last - first <= 1 else (1.0,)
    powers = range(first - 1 if len(factors) > 1 else first, last + 1, stride)
    numbers = (factor * 10.0**power for power in powers for factor in factors)
    return tuple(number for number in numbers if scale.lower <= number <= scale.upper)


# --- histogram --------------------------------------------------------------------------------


def histogram(
    scores: Sequence[float],
    threshold: float,
    review_threshold: float | None = None,
    *,
    width: float = 1080,
    height: float = 280,
) -> Histogram:
    """Lay out the histogram of held-out scores with the threshold drawn into it.

    Bins are (lower, upper], like the rule that a score equal to the threshold passes, and their edges
    are `threshold + k * bin_width`.  A few scores far away do not squeeze all others: the axis ends
    where the threshold's distance from the smallest score has been passed twice, and `beyond` says
    how many lie farther right.

    Parameters
    ----------
    scores : sequence of float, length n >= 1
        Rise with anomaly.
    threshold, review_threshold : float
        A score over it fails; a score over the other one, if given, is for review.
    width, height : float
        Outer size in SVG units.

    Returns
    -------
    Histogram
    """
    values = np.sort(np.asarray(scores, dtype=np.float64))
    top = 50 if review_threshold is None else 66  # room for the labels of the lines
    frame = Frame(width, height, left=40, right=width - 12, top=top, bottom=height - 42)
    edges = _edges(values, threshold)
    x = _histogram_scale(frame, float(edges[0]), float(edges[-1]), threshold)
    layers = _layers(values, edges, threshold, review_threshold)
    y = Scale(0, max(1, int(np.sum(list(layers.values()), axis=0).max())), frame.bottom, frame.top)
    return Histogram(
        frame=frame,
        bars=tuple(_bars(layers, edges, x, y)),
        x_ticks=_ticks(x, max(3, int(width / 110))),
        y_ticks=_whole(_ticks(y, 4)),
        threshold_x=x(threshold),
        review_x=None if review_threshold is None else x(review_threshold),
        beyond=int(np.count_nonzero(values > edges[-1])),
        scale=x,
    )


def _edges(values: Floats, threshold: float) -> Floats:
    """Bin edges from under the smallest value to the threshold or beyond, the threshold among them."""
    smallest, largest = float(values[0]), float(values[-1])
    smallest_span = 1e-4 * max(1.0, abs(threshold))  # equal scores still need an axis
    spans = (threshold - smallest, largest - threshold, abs(threshold) / 2)
    span = next((span for span in spans if span > smallest_span), 1.0)
    furthest = min(largest, threshold + 2 * span)
    width = max(furthest - smallest, span) / np.clip(2 * math.sqrt(values.size), FEWEST_BINS, MOST_BINS)
    first = math.floor((smallest - threshold) / width - 1e-9)  # a bin does not hold its lower edge
    last = math.ceil((furthest - threshold) / width - 1e-9)
    return np.asarray(threshold + width * np.arange(min(first, -1), max(last, 1) + 1))


def _histogram_scale(frame: Frame, lower: float, upper: float, threshold: float) -> Scale:
    """Extend the axis to the right until the threshold's label fits beside its line."""
    plot = frame.right - frame.left
    needed = lower + (threshold - lower) * plot / (plot - ROOM_BESIDE_THRESHOLD)
    return Scale(lower, max(upper, needed), frame.left, frame.right)


def _layers(
    values: Floats, edges: Floats, threshold: float, review_threshold: float | None
) -> dict[str, NDArray[np.intp]]:
    """For each verdict the number of values in each bin (edge, next edge], shape (n_bins,)."""
    fails = values > threshold
    reviews = ~fails & (values > (threshold if review_threshold is None else review_threshold))
    kinds = {"pass": ~fails & ~reviews, "review": reviews, "fail": fails}
    return {
        kind: np.diff(np.searchsorted(values[chosen], edges, side="right")) for kind, chosen in kinds.items()
    }


def _bars(layers: dict[str, NDArray[np.intp]], edges: Floats, x: Scale, y: Scale) -> Iterator[Bar]:
    """Stack the verdicts' counts bin by bin; empty ones give no bar."""
    for place, (lower, upper) in enumerate(pairwise(edges.tolist())):
        below = 0
        for kind, counts in layers.items():
            count = int(counts[place])
            if count:
                left, top = x(lower), y(below + count)
                yield Bar(
                    x=left,
                    y=top,
                    width=round(x(upper) - left, 2),
                    height=round(y(below) - top, 2),
                    lower=lower,
                    upper=upper,
                    count=count,
                    kind=kind,
                )
            below += count


# --- training curves ----------------------------------------------------------------------------


def curve(
    points: Sequence[tuple[int, float]], *, width: float = 348, height: float = 170, stretches: int = 120
) -> Curve | None:
    """Lay out one loss against the step.

    Parameters
    ----------
    points : sequence of (step, value)
        Values that are not finite are left out.
    width, height : float
        Outer size in SVG units.
    stretches : int
        More points than this are averaged over so many stretches of equally many points.

    Returns
    -------
    Curve or None
        None where no finite value is left.

    Notes
    -----
    The axis is logarithmic where all values are positive and the largest mean is 30 times the
    smallest.  It spans the means, so a single spike cannot flatten the curve; the band of
    smallest and largest values is clipped there.
    """
    finite = sorted((step, value) for step, value in points if math.isfinite(value))
    if not finite:
        return None
    frame = Frame(width, height, left=46, right=width - 12, top=10, bottom=height - 26)
    parts = np.array_split(np.asarray(finite, dtype=np.float64), min(stretches, len(finite)))
    steps = [float(part[:, 0].mean()) for part in parts]
    means = [float(part[:, 1].mean()) for part in parts]
    first, last = finite[0][0], finite[-1][0]
    x = Scale(first, last if last > first else first + 1, frame.left, frame.right)
    y = _value_scale(means, frame)
    upper = [(x(step), y.clipped(part[:, 1].max())) for step, part in zip(steps, parts, strict=True)]
    under = [(x(step), y.clipped(part[:, 1].min())) for step, part in zip(steps, parts, strict=True)]
    return Curve(
        frame=frame,
        line=_path([(x(step), y(mean)) for step, mean in zip(steps, means, strict=True)]),
        band=_path(upper + under[::-1]) + "Z" if len(parts) < len(finite) else "",
        x_ticks=_whole(_ticks(x, 4)),
        y_ticks=_ticks(y, 4),
        last=means[-1],
        last_x=x(steps[-1]),
        last_y=y(means[-1]),
        logarithmic=y.logarithmic,
    )


def _value_scale(means: Sequence[float], frame: Frame) -> Scale:
    lower, upper = min(means), max(means)
    if lower > 0 and upper / lower > LOG_RATIO:
        return Scale(lower / 1.15, upper * 1.15, frame.bottom, frame.top, logarithmic=True)
    margin = 0.06 * (upper - lower) or max(abs(upper), 1.0) * 0.1
    if 0 <= lower < 0.5 * upper:
        return Scale(0.0, upper + margin, frame.bottom, frame.top)
    return Scale(lower - margin, upper + margin, frame.bottom, frame.top)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
