"""Chooses the weights of the components anew, and measures what the choice is worth on a set it did not see.

    make bench DATA=FOLDER BENCH_OPTIONS="--scores SCORES"
    python -m tests.benchmarks.leave_one_out SCORES --step 0.1

The rules are all weights on a grid that sum to 1; everything else is as the fits have it.  For each set, the
rule with the best mean image AUROC on the other sets is chosen, and read on this set.  Nothing is fitted
again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calibration.conformal import conformal_rank
from inspector.errors import UsageError
from tests.benchmarks.command import exit_code
from tests.benchmarks.scores import ComponentScores, read_all
from tests.benchmarks.table import aligned, difference, number, percent

Floats = NDArray[np.float64]
Rule = dict[str, float]  # the weight of each component that counts

STEPS = ("0.01", "0.02", "0.025", "0.05", "0.1", "0.125", "0.2", "0.25", "0.5", "1")  # they divide 1
AUROC, MISSED = "auroc", "missed"
HEADER = (
    "set",
    "shipped",
    "all sets",
    "left out",
    "missed: shipped",
    "all sets",
    "left out",
    "chosen without it",
)


@dataclass(frozen=True)
class Figures:
    """Figures of rules on sets, means over the seeds of each set.

    Attributes
    ----------
    auroc, missed : float64 (n_sets, n_rules)
        Image AUROC, and the share of defects that pass a threshold set by the normal pictures.
    """

    auroc: Floats
    missed: Floats


def rules(components: Sequence[str], step: float) -> list[Rule]:
    """Return every rule whose weights are multiples of a step and sum to 1; weights of 0 are left out.

    Examples
    --------
    >>> rules(["head", "latent"], 0.5)
    [{'latent': 1.0}, {'head': 0.5, 'latent': 0.5}, {'head': 1.0}]
    """
    parts, count = round(1 / step), len(components)
    found = []
    for bars in combinations(range(parts + count - 1), count - 1):  # stars and bars
        edges = (-1, *bars, parts + count - 1)
        stars = [edges[i + 1] - edges[i] - 1 for i in range(count)]
        found.append({name: part / parts for name, part in zip(components, stars, strict=True) if part})
    return found


def figures(by_set: dict[str, list[ComponentScores]], tried: Sequence[Rule]) -> Figures:
    """Return the figures of every rule on every set."""
    each = [[_of_fit(fit, tried) for fit in fits] for fits in by_set.values()]
    auroc, missed = (np.array([np.mean([one[i] for one in fits], axis=0) for fits in each]) for i in (0, 1))
    return Figures(auroc, missed)


def _of_fit(fit: ComponentScores, tried: Sequence[Rule]) -> tuple[Floats, Floats]:
    """Return image AUROC and share missed of each rule, (n_rules,) each."""
    auroc, missed = np.empty(len(tried)), np.empty(len(tried))
    defective = fit.defective
    for i, rule in enumerate(tried):
        test, normal = fit.fused(rule)
        auroc[i] = _auroc(test, defective)
        rank = min(conformal_rank(len(normal), fit.rate), len(normal))
        missed[i] = (test[defective] <= np.sort(normal)[rank - 1]).mean()
    return auroc, missed


def _auroc(scores: Floats, defective: NDArray[np.bool_]) -> float:
    """Return the same as `image_metrics.auroc`, faster: a sum of ranks."""
    count = np.count_nonzero(defective)
    above = stats.rankdata(scores)[defective].sum() - count * (count + 1) / 2
    return float(above / (count * (len(scores) - count)))


def choose(tried: Sequence[Rule], worth: Floats, within: float = 0.0) -> int:
    """Return the rule with the fewest components among those near the best mean, by its index.

    Parameters
    ----------
    tried : sequence of dict
    worth : array (n_sets, n_rules)
        Higher is better.  The sets count equally.
    within : float
        A mean this far below the best is near enough.  Among equally many components the best mean wins.
    """
    means = worth.mean(axis=0)
    near = np.flatnonzero(means >= means.max() - within - 1e-12)
    return min(near.tolist(), key=lambda i: (len(tried[i]), -means[i]))


def table(
    by_set: dict[str, list[ComponentScores]],
    tried: Sequence[Rule],
    *,
    by: str = AUROC,
    within: float = 0.0,
) -> str:
    """Return the figures of the shipped weights, and of those chosen on all sets and without each, as text.

    Parameters
    ----------
    by_set : dict
        The fits of at least two sets.
    tried : sequence of dict
        The rules to choose from.
    by : str
        Choose by `auroc`, or by the share `missed`.
    within : float
        As for `choose`.
    """
    found, shipped = figures(by_set, tried), _shipped(by_set)
    worth = found.auroc if by == AUROC else -found.missed
    best = choose(tried, worth, within)
    without = [choose(tried, np.delete(worth, i, axis=0), within) for i in range(len(by_set))]
    places = range(len(by_set))
    auroc, missed = (
        np.column_stack([own[:, 0], each[:, best], each[places, without]])  # (n_sets, 3)
        for own, each in ((shipped.auroc, found.auroc), (shipped.missed, found.missed))
    )
    lines = [
        [name, *map(number, auroc[i]), *map(percent, missed[i]), in_words(tried[without[i]])]
        for i, name in enumerate(by_set)
    ]
    lines.append(["mean", *map(number, auroc.mean(axis=0)), *map(percent, missed.mean(axis=0)), ""])
    return "\n".join(
        [
            aligned(HEADER, lines),
            f"shipped: {_shipped_in_words(by_set)}",
            f"chosen on all sets: {in_words(tried[best])}",
            f"mean AUROC of the sets left out, {_compared(*auroc.mean(axis=0))}",
            f"mean share missed of the sets left out, {_compared(*missed.mean(axis=0))}",
        ]
    )


def _compared(shipped: float, with_all: float, left_out: float) -> str:
    return (
        f"{number(left_out)}: {difference(left_out, with_all)} from the choice on all sets, "
        f"{difference(left_out, shipped)} from the shipped weights"
    )


def in_words(rule: Rule) -> str:
    """Write a rule as text.

    Examples
    --------
    >>> in_words({"head": 0.25, "latent": 0.75})
    'head 0.25, latent 0.75'
    """
    return ", ".join(f"{name} {weight:g}" for name, weight in rule.items())


def _shipped(by_set: dict[str, list[ComponentScores]]) -> Figures:
    """Return the figures of each model's own weights, (n_sets, 1)."""
    means = [np.mean([_of_fit(fit, [fit.weights]) for fit in fits], axis=0) for fits in by_set.values()]
    return Figures(np.array([auroc for auroc, _ in means]), np.array([missed for _, missed in means]))


def _shipped_in_words(by_set: dict[str, list[ComponentScores]]) -> str:
    different = {in_words(fit.weights) for fits in by_set.values() for fit in fits}
    return different.pop() if len(different) == 1 else f"{len(different)} different rules"


def grouped(fits: Sequence[ComponentScores]) -> dict[str, dict[str, list[ComponentScores]]]:
    """Return the fits by effort and set, sorted by name, without sets that have no defective pictures.

    Raises
    ------
    UsageError
        There are none, or the fits of one effort were made by different code, or cover less than two sets.
    """
    found: dict[str, dict[str, list[ComponentScores]]] = {}
    for fit in sorted(fits, key=lambda one: (one.request["effort"], one.request["set"])):
        if not fit.defective.any():
            continue
        found.setdefault(fit.request["effort"], {}).setdefault(fit.request["set"], []).append(fit)
    if not found:
        hint = "write them: make bench DATA=FOLDER BENCH_OPTIONS='--scores SCORES'"
        raise UsageError("no scores in this folder", hint=hint)
    for effort, by_set in found.items():
        if len(by_set) < 2:
            raise UsageError(
                f"{effort}: scores of one set; at least two are needed", hint="measure more sets"
            )
        if len({fit.request["source"] for each in by_set.values() for fit in each}) > 1:
            raise UsageError(f"{effort}: scores of different code", hint="run the same `make bench` again")
    return found


def _component_names(by_set: dict[str, list[ComponentScores]], only: Sequence[str]) -> tuple[str, ...]:
    """Return the components that rules may use.

    Raises
    ------
    UsageError
        The fits do not have one of the named components.
    """
    names = next(iter(by_set.values()))[0].components
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(
            f"no component {unknown[0]}; the fits have {', '.join(names)}", hint="name one of them"
        )
    return tuple(name for name in names if not only or name in only)


def _step(text: str) -> float:
    if text not in STEPS:
        raise argparse.ArgumentTypeError(f"{text} is not one of {', '.join(STEPS)}")
    return float(text)


def main(words: list[str] | None = None) -> int:
    """Print a table for each effort; return 2 if the scores do not suffice."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", type=Path, help="the folder that `make bench` wrote with --scores")
    parser.add_argument("--step", type=_step, default=0.1, metavar="S", help="step of the weights")
    parser.add_argument(
        "--within",
        type=float,
        default=0.0,
        metavar="D",
        help="choose the rule with the fewest components among those this near the best mean",
    )
    parser.add_argument("--by", choices=(AUROC, MISSED), default=AUROC, help="what to choose by")
    parser.add_argument("--components", nargs="+", default=[], metavar="NAME", help="use only these")
    options = parser.parse_args(words)

    def body() -> int:
        for effort, by_set in grouped(read_all(options.scores)).items():
            names = _component_names(by_set, options.components)
            tried = rules(names, options.step)
            seeds = sorted({fit.request["seed"] for fits in by_set.values() for fit in fits})
            print(f"{effort}: {len(by_set)} sets, seeds {' '.join(map(str, seeds))}")
            print(f"rules: {len(tried):,}, of {', '.join(names)}, in steps of {options.step:g}")
            print(f"{table(by_set, tried, by=options.by, within=options.within)}\n")
        return 0

    return exit_code(body)


if __name__ == "__main__":
    sys.exit(main())
