"""Axes of charts: scales from numbers to SVG units, and ticks at round numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from numbers to SVG units.

    Parameters
    ----------
    lower, upper : float
        Numbers at the two ends; `lower < upper`.
    start, end : float
        Positions of the two ends in SVG units; `start > end` for an axis that grows upwards.
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
        """Return the position of `number`, or of the nearer end where `number` is outside the scale."""
        return self(min(max(float(number), self.lower), self.upper))

    def ticks(self, intervals: int) -> tuple[Tick, ...]:
        """Return ticks at round numbers: at most `intervals + 1`, or powers of ten if logarithmic."""
        numbers = log_ticks(self.lower, self.upper) if self.logarithmic else None
        numbers = nice_ticks(self.lower, self.upper, intervals) if numbers is None else numbers
        return tuple(Tick(self(number), tick_label(number)) for number in numbers)


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis, in SVG units."""

    position: float
    label: str


def whole(ticks: tuple[Tick, ...]) -> tuple[Tick, ...]:
    """Keep only ticks at whole numbers, for an axis of counts."""
    return tuple(tick for tick in ticks if "." not in tick.label)


def nice_step(span: float, intervals: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that covers `span` in at most `intervals` steps.

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


def log_ticks(lower: float, upper: float) -> tuple[float, ...]:
    """Return at most six powers of ten; where only one or two fit, also their triples.

    >>> log_ticks(0.5, 2000), log_ticks(2, 50)
    ((1.0, 10.0, 100.0, 1000.0), (3.0, 10.0, 30.0))
    """
    first, last = math.ceil(math.log10(lower)), math.floor(math.log10(upper))
    stride = max(1, math.ceil((last - first) / 5))
    factors = (1.0, 3.0) if last - first <= 1 else (1.0,)
    powers = range(first - 1 if len(factors) > 1 else first, last + 1, stride)
    numbers = (factor * 10.0**power for power in powers for factor in factors)
    return tuple(number for number in numbers if lower <= number <= upper)


def tick_label(number: float) -> str:
    """Write the number of a tick without needless digits, with a true minus sign.

    >>> tick_label(0.5), tick_label(-20.0), tick_label(15000), tick_label(2e-05)
    ('0.5', '−20', '15,000', '2e−5')
    """
    size = abs(number)
    if size and not 1e-4 <= size < 1e6:
        mantissa, exponent = f"{number:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}".replace("-", "−")
    return f"{number:,.6f}".rstrip("0").rstrip(".").replace("-", "−")
