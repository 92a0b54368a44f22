"""Stored results summarised: over the seeds of a set, and over sets."""

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
    """All fits of one set with one effort and one variant, by rising seed."""

    name: str
    fits: tuple[Stored, ...]

    def spread(self, figure: Callable[[Content], float | None]) -> Spread | None:
        """Return the spread of a figure over the fits; None where a result lacks the figure."""
        values = [figure(stored.result) for stored in self.fits]
        numbers = [value for value in values if value is not None]
        if not numbers or len(numbers) < len(values):
            return None
        return Spread(fmean(numbers), min(numbers), max(numbers))

    def duration(self, name: str) -> float | None:
        """Return the mean of a number of the timings; None where a timing lacks the number."""
        values = [stored.timing.get(name) for stored in self.fits]
        numbers = [value for value in values if value is not None]
        return fmean(numbers) if numbers and len(numbers) == len(values) else None


def image_auroc(result: Content) -> float | None:
    """Return the image AUROC of a result."""
    value: float | None = result["image"]["auroc"]
    return value


def pixel_figure(name: str) -> Callable[[Content], float | None]:
    """Return a function that reads a pixel figure, `auroc` or `aupro`, from a result."""
    return lambda result: (result["pixel"] or {}).get(name)


def component_auroc(name: str) -> Callable[[Content], float | None]:
    """Return a function that reads the image AUROC of one component from a result."""
    return lambda result: result["components"].get(name, {}).get("auroc")


def component_names(sets: Sequence[SetSummary]) -> list[str]:
    """Return the components that any of the fits has, sorted by name."""
    return sorted({name for one in sets for stored in one.fits for name in stored.result["components"]})


def efforts(found: Iterable[Stored]) -> list[str]:
    """Return the measured efforts: presets by rising time, then the others by name."""
    names = {stored.result["request"]["effort"] for stored in found}
    presets = [name for name in InspectionOptions.PRESET_SECONDS if name in names]
    return presets + sorted(names - set(presets))


def variants(found: Iterable[Stored], effort: str) -> list[str]:
    """Return the names of the variants that were measured with an effort, sorted."""
    requests = [stored.result["request"] for stored in found]
    return sorted({one["variant"] for one in requests if one["effort"] == effort and one["variant"]})


def summarised(found: Iterable[Stored], effort: str, variant: str | None = None) -> list[SetSummary]:
    """Return a summary of each set that was measured with an effort, sorted by name."""
    groups: dict[str, list[Stored]] = {}
    for stored in found:
        request = stored.result["request"]
        if (request["effort"], request["variant"]) == (effort, variant):
            groups.setdefault(request["set"], []).append(stored)
    by_seed = {
        name: sorted(fits, key=lambda stored: int(stored.result["request"]["seed"]))
        for name, fits in groups.items()
    }
    return [SetSummary(name, tuple(by_seed[name])) for name in sorted(by_seed)]


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None without any."""
    numbers = [value for value in values if value is not None]
    return fmean(numbers) if numbers else None


def mean_of_all(values: Iterable[float | None]) -> float | None:
    """Return the mean; None if one of the values is None."""
    numbers = list(values)
    return None if None in numbers else mean(numbers)
