"""The headline of an evaluation: how well defects are told apart, how many pass, and if the promise is kept.

The command prints it as text, and the page has it in Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.benchmarks.summary import (
    Figure,
    SetSummary,
    Spread,
    allowed,
    image_auroc,
    middle,
    missed,
    over_sets,
    pixel_figure,
    promised,
    rejected,
)
from tests.benchmarks.table import number, percent

Show = Callable[[float | None], str]

MISSED, REJECTED = "defects missed", "good rejected"
FIGURES: dict[str, tuple[Figure, Show]] = {
    "image AUROC": (image_auroc, number),
    MISSED: (missed, percent),
    REJECTED: (rejected, percent),
    "promised": (promised, percent),
    "at most": (allowed, percent),
    "pixel AUROC": (pixel_figure("auroc"), number),
    "AUPRO": (pixel_figure("aupro"), number),
}
HEADER = ("set", *FIGURES)
OF_ONE_SET = frozenset({"promised", "at most"})  # the mean of limits would limit nothing
MEAN = "mean"
IN_SHORT_HEADER = ("training", "sets", "seeds", *list(FIGURES)[:3], "worst AUROC", "most missed", "promise")


def rows(sets: Sequence[SetSummary], strong: Callable[[str], str] = str) -> list[list[str]]:
    """Return one row of cells for each set, and their means as the last row.

    Parameters
    ----------
    sets : sequence of SetSummary
    strong : callable
        Marks the last row, and rejects that break the promise.
    """
    found = []
    for one in sets:
        cells = {name: spread_in_words(one.spread(figure), show) for name, (figure, show) in FIGURES.items()}
        if is_broken(one):
            cells[REJECTED] = strong(cells[REJECTED])
        found.append([one.name, *cells.values()])
    means = [
        "-" if name in OF_ONE_SET else spread_in_words(over_sets(sets, figure), show)
        for name, (figure, show) in FIGURES.items()
    ]
    return [*found, [strong(MEAN), *("-" if cell == "-" else strong(cell) for cell in means)]]


def spread_in_words(spread: Spread | None, show: Show) -> str:
    """Write a mean, and behind it the smallest and the largest value if they differ.

    Examples
    --------
    >>> spread_in_words(Spread(0.25, 0.2, 0.3), percent), spread_in_words(Spread(0.9, 0.9, 0.9), number)
    ('25 % (20 to 30)', '0.900')
    """
    if spread is None:
        return show(None)
    mean, lowest, highest = map(show, (spread.mean, spread.lowest, spread.highest))
    return (
        mean if lowest == highest else f"{mean} ({lowest.removesuffix(' %')} to {highest.removesuffix(' %')})"
    )


def is_broken(one: SetSummary) -> bool:
    """Return True if one of the fits rejects more good pictures than a kept promise allows."""
    return any(rejected(stored.result) > allowed(stored.result) for stored in one.fits)


def in_words(sets: Sequence[SetSummary]) -> str:
    """Name the worst sets, and say on which sets the promise is broken, in two sentences."""
    named = [f"{name} by {figure} ({value})" for figure, (name, value) in _worst(sets).items() if name]
    broken = [one.name for one in sets if is_broken(one)]
    kept = (
        f"broken on {', '.join(broken)}" if broken else f"kept on {'every set' if sets[1:] else 'this set'}"
    )
    worst = f"Worst: {', '.join(named)}. " if named else ""
    return f"{worst}The promise is {kept}."


def in_short(effort: str, sets: Sequence[SetSummary]) -> list[str]:
    """Return all sets of one effort as one row of cells, in the order of `IN_SHORT_HEADER`."""
    means = [spread_in_words(over_sets(sets, figure), show) for figure, show in list(FIGURES.values())[:3]]
    worst = [f"{name} {value}".strip() for name, value in _worst(sets).values()]
    broken = [one.name for one in sets if is_broken(one)]
    seeds = max(len(one.fits) for one in sets)
    promise = f"**broken on {', '.join(broken)}**" if broken else "kept"
    return [effort, str(len(sets)), str(seeds), *means, *worst, promise]


def _worst(sets: Sequence[SetSummary]) -> dict[str, tuple[str, str]]:
    """Return name and value of the worst set by each figure; an empty name where no set has the figure."""
    found = {}
    for name, choose in (("image AUROC", min), (MISSED, max)):
        figure, show = FIGURES[name]
        means = [(value, one.name) for one in sets if (value := middle(one.spread(figure))) is not None]
        value, worst = choose(means) if means else (None, "")
        found[name] = worst, show(value)
    return found
