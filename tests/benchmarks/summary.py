"""Stored results put together: over the seeds of a set, and over sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from models.inspection.options import InspectionOptions
from tests.benchmarks.result import Content, Stored


@dataclass(frozen=True)
class Spread:
    """The mean of a figure over seeds, its smallest and its largest value."""

    mean: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class SetSummary:
    """All fits of one set with one effort and one choice of options, by rising seed."""

    name: str
    fits: tuple[Stored, ...]

    def spread(self, figure: Callable[[Content], float | None]) -> Spread | None:
        """Return the spread of what `figure` reads from a result; None where a result lacks it."""
        values = [figure(stored.result) for stored in self.fits]
        numbers = [value for value in values if value is not None]
        if not numbers or len(numbers) < len(values):
            return None
        return Spread(fmean(numbers), min(numbers), max(numbers))

    def duration(self, name: str) -> float | None:
        """Return the mean of a number from the timings; None where one lacks it."""
        values = [stored.timing.get(name) for stored in self.fits]
        numbers = [value for value in values if value is not None]
        return fmean(numbers) if numbers and len(numbers) == len(values) else None


def image_auroc(result: Content) -> float | None:
    """How well pictures are told apart."""
    value: float | None = result["image"]["auroc"]
    return value


def pixel_figure(name: str) -> Callable[[Content], float | None]:
    """How well places are told apart: `auroc` or `aupro`."""
    return lambda result: (result["pixel"] or {}).get(name)


def component_auroc(name: str) -> Callable[[Content], float | None]:
    """How well one of the scores alone tells pictures apart."""
    return lambda result: result["components"].get(name, {}).get("auroc")


def component_names(sets: Sequence[SetSummary]) -> list[str]:
    """Every score that one of the fits has, in the order of the alphabet."""
    return sorted({name for one in sets for stored in one.fits for name in stored.result["components"]})


def efforts(found: Iterable[Stored]) -> list[str]:
    """Return the efforts that were measured: presets as they rise, then the others."""
    names = {stored.result["request"]["effort"] for stored in found}
    presets = [name for name in InspectionOptions.PRESET_SECONDS if name in names]
    return presets + sorted(names - set(presets))


def parts(found: Iterable[Stored], effort: str) -> list[str]:
    """Return what was changed from the defaults, each in a measurement of its own."""
    requests = [stored.result["request"] for stored in found]
    return sorted({one["part"] for one in requests if one["effort"] == effort and one["part"]})


def summarised(found: Iterable[Stored], effort: str, part: str | None = None) -> list[SetSummary]:
    """Return the sets that were measured with an effort, by name."""
    groups: dict[str, list[Stored]] = {}
    for stored in found:
        request = stored.result["request"]
        if (request["effort"], request["part"]) == (effort, part):
            groups.setdefault(request["set"], []).append(stored)
    by_seed = {
        name: sorted(fits, key=lambda stored: int(stored.result["request"]["seed"]))
        for name, fits in groups.items()
    }
    return [SetSummary(name, tuple(by_seed[name])) for name in sorted(by_seed)]


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of those that are there; None without any."""
    numbers = [value for value in values if value is not None]
    return fmean(numbers) if numbers else None


def mean_of_all(values: Iterable[float | None]) -> float | None:
    """Return the mean; None where one is missing."""
    numbers = list(values)
    return None if None in numbers else mean(numbers)
