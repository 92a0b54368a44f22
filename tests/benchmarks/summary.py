"""Stored results summarised: over the seeds of a set, and over sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from models.inspection.options import InspectionOptions
from tests.benchmarks.result import Content, Stored

Figure = Callable[[Content], float | None]  # reads one number from a result


@dataclass(frozen=True)
class Spread:
    """The mean of a figure over seeds, its smallest and its largest value."""

    mean: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(fmean(values), min(values), max(values))


@dataclass(frozen=True)
class SetSummary:
    """All fits of one set with one effort and one variant, by rising seed."""

    name: str
    fits: tuple[Stored, ...]

    def spread(self, figure: Figure) -> Spread | None:
        """Return the spread of a figure over the fits; None where a result lacks the figure."""
        values = [figure(stored.result) for stored in self.fits]
        numbers = [value for value in values if value is not None]
        return None if not numbers or len(numbers) < len(values) else Spread.of(numbers)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the fits."""
        return tuple(int(stored.result["request"]["seed"]) for stored in self.fits)

    def duration(self, name: str) -> float | None:
        """Return the mean of a number of the timings; None where a timing lacks the number."""
        values = [stored.timing.get(name) for stored in self.fits]
        numbers = [value for value in values if value is not None]
        return fmean(numbers) if numbers and len(numbers) == len(values) else None


def image_auroc(result: Content) -> float | None:
    """Return the image AUROC of a result."""
    value: float | None = result["image"]["auroc"]
    return value


def missed(result: Content) -> float | None:
    """Return the share of the defective test pictures that passed."""
    value: float | None = result["image"]["miss_rate"]
    return value


def rejected(result: Content) -> float:
    """Return the share of the good test pictures that were rejected."""
    rejects = result["false_rejects"]
    return float(rejects["count"] / rejects["of"])


def allowed(result: Content) -> float:
    """Return the largest share of rejected good pictures that a kept promise allows."""
    rejects = result["false_rejects"]
    return float(rejects["at_most"] / rejects["of"])


def promised(result: Content) -> float:
    """Return the promised rate of rejected good pictures."""
    return float(result["false_rejects"]["promised_rate"])


def pixel_figure(name: str) -> Figure:
    """Return a function that reads a pixel figure, `auroc` or `aupro`, from a result."""
    return lambda result: (result["pixel"] or {}).get(name)


def component_auroc(name: str) -> Figure:
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


def over_sets(sets: Iterable[SetSummary], figure: Figure) -> Spread | None:
    """Return the mean over the sets that have a figure, and its spread over seeds.

    The sets count equally.  Each seed gives one mean over the sets.  If the sets have different seeds, there
    is one mean only, and the spread is empty.
    """
    with_figure = [one for one in sets if one.spread(figure) is not None]
    if len({one.seeds for one in with_figure}) == 1:
        rows = zip(*(one.fits for one in with_figure), strict=True)
        means = [mean(figure(stored.result) for stored in row) for row in rows]
        return Spread.of([one for one in means if one is not None])
    over = mean(middle(one.spread(figure)) for one in with_figure)
    return None if over is None else Spread.of([over])


def middle(spread: Spread | None) -> float | None:
    """Return the mean of a spread that may be missing."""
    return None if spread is None else spread.mean


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None without any."""
    numbers = [value for value in values if value is not None]
    return fmean(numbers) if numbers else None


def mean_of_all(values: Iterable[float | None]) -> float | None:
    """Return the mean; None if one of the values is None."""
    numbers = list(values)
    return None if None in numbers else mean(numbers)
