"""Measures the contribution of each part of the detector: fits with one or two changes from the defaults.

    python -m tests.benchmarks.ablation DATA --sets tiles screw --preset quick --seeds 0 1 2

The fits without a change are those of `make bench`; up-to-date results are read from their files.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, NamedTuple

from tests.benchmarks.command import arguments, exit_code, requests
from tests.benchmarks.detection import run
from tests.benchmarks.result import Stored
from tests.benchmarks.summary import SetSummary, image_auroc, mean, summarised
from tests.benchmarks.table import WIDTH, difference, number


class Variant(NamedTuple):
    """A change from the defaults, with the fields of a `Request` that it sets."""

    changes: dict[str, Any] = {}  # noqa: RUF012  # never changed
    constants: dict[str, Any] = {}  # noqa: RUF012
    without: str | None = None


VARIANTS = {
    "no MMD": Variant({"regularizer": "none"}),
    "MMD weight 10": Variant(constants={"models.inspection.learner.MMD_WEIGHT": 10.0}),
    "no corruption": Variant(constants={"models.defects.corruption.CORRUPTED_SHARE": 0.0}),
    "no gain": Variant(constants={"models.inspection.detector.GAIN_LIMITS": (1.0, 1.0)}),
    "split instead of cross-fitting": Variant({"split": True}),
    "no head": Variant(without="head"),
    "no context": Variant(without="context"),
    "resolution 128": Variant({"image_size": 128}),
}
DEFAULTS = "defaults"


def table(found: list[Stored], effort: str, names: list[str]) -> str:
    """Write the mean image AUROC of each set, and its difference from the defaults."""
    defaults = means(summarised(found, effort))
    header = f"{'':<30} " + " ".join(f"{name:>{WIDTH}}" for name in (*defaults, "mean"))
    rows = [_row(DEFAULTS, defaults, {})]
    rows += [_row(name, means(summarised(found, effort, name)), defaults) for name in names]
    return "\n".join([header, *rows])


def means(summaries: list[SetSummary]) -> dict[str, float | None]:
    """Return the mean image AUROC over the seeds of each set."""
    spreads = {one.name: one.spread(image_auroc) for one in summaries}
    return {name: spread.mean if spread else None for name, spread in spreads.items()}


def _row(name: str, found: dict[str, float | None], defaults: dict[str, float | None]) -> str:
    """Write one line; the mean is taken over the sets that both have."""
    cells = [f"{number(value)} {difference(value, defaults.get(one)):>6}" for one, value in found.items()]
    both = [one for one in found if one in defaults]
    over = mean(found[one] for one in both or found)
    cells.append(f"{number(over)} {difference(over, mean(defaults[one] for one in both)):>6}")
    return f"{name:<30} " + " ".join(f"{cell:>{WIDTH}}" for cell in cells)


def main(words: list[str] | None = None) -> int:
    """Measure the defaults and each variant; return 1 if a set could not be fitted."""
    parser = arguments(__doc__ or "")
    parser.add_argument(
        "--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS), metavar="NAME"
    )
    options = parser.parse_args(words)

    def body() -> int:
        asked = requests(options)
        changed = [
            replace(one, variant=name, **VARIANTS[name]._asdict())
            for name in options.variants
            for one in asked
        ]
        found, failed = run([*asked, *changed], options)
        print(f"\n{table(found, asked[0].effort.name, options.variants)}")
        return int(failed > 0)

    return exit_code(body)


if __name__ == "__main__":
    sys.exit(main())
