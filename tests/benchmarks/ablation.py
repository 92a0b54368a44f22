"""What each part of the detector is worth: fits with one option changed from the defaults.

    python -m tests.benchmarks.ablation DATA --sets tiles screw --preset quick --seeds 0 1 2

The fits without any change are those of `make bench`, and are read from their files where they are there.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, NamedTuple

from models.inspection.detector import FUSED, WEIGHTS
from tests.benchmarks.command import ended
from tests.benchmarks.detection import run
from tests.benchmarks.request import arguments, requests
from tests.benchmarks.result import Stored
from tests.benchmarks.summary import SetSummary, image_auroc, mean, summarised
from tests.benchmarks.table import WIDTH, difference, number


class Part(NamedTuple):
    """What is changed: options of a fit, and constants where there is no option."""

    changes: dict[str, Any] = {}  # noqa: RUF012  # never changed
    constants: dict[str, Any] = {}  # noqa: RUF012


def _without(component: str) -> Part:
    """The score without one of its components; the others keep their weights."""
    kept = {name: weight for name, weight in zip(FUSED, WEIGHTS, strict=True) if name != component}
    return Part(
        constants={
            "models.inspection.detector.FUSED": tuple(kept),
            "models.inspection.detector.WEIGHTS": tuple(kept.values()),
        }
    )


PARTS = {
    "no prior": Part({"pretrained": False}),
    "no MMD": Part({"regularizer": "none"}),
    "MMD weight 10": Part(constants={"models.fit.MMD_WEIGHT": 10.0}),
    "no prior, no MMD": Part({"pretrained": False, "regularizer": "none"}),
    "no corruption": Part(constants={"models.defects.corruption.CORRUPTED_SHARE": 0.0}),
    "no gain": Part(
        constants={
            "models.inspection.batches.GAIN_LIMITS": (1.0, 1.0),
            "models.inspection.detector.GAIN_LIMITS": (1.0, 1.0),
        }
    ),
    "no head": _without("head"),
    "no layout": _without("layout"),
    "resolution 128": Part({"image_size": 128}),
}
DEFAULTS = "defaults"


def table(found: list[Stored], effort: str, names: list[str]) -> str:
    """Mean AUROC over the seeds of each set, and how far it is from that of the defaults."""
    defaults = means(summarised(found, effort))
    header = f"{'':<20} " + " ".join(f"{name:>{WIDTH}}" for name in (*defaults, "mean"))
    rows = [_row(DEFAULTS, defaults, {})]
    rows += [_row(name, means(summarised(found, effort, name)), defaults) for name in names]
    return "\n".join([header, *rows])


def means(summaries: list[SetSummary]) -> dict[str, float | None]:
    """Mean image AUROC over the seeds of each set."""
    spreads = {one.name: one.spread(image_auroc) for one in summaries}
    return {name: spread.mean if spread else None for name, spread in spreads.items()}


def _row(name: str, found: dict[str, float | None], defaults: dict[str, float | None]) -> str:
    """One line; the mean is over the sets that both have."""
    cells = [f"{number(value)} {difference(value, defaults.get(one)):>6}" for one, value in found.items()]
    both = [one for one in found if one in defaults]
    over = mean(found[one] for one in both or found)
    cells.append(f"{number(over)} {difference(over, mean(defaults[one] for one in both)):>6}")
    return f"{name:<20} " + " ".join(f"{cell:>{WIDTH}}" for cell in cells)


def main(words: list[str] | None = None) -> int:
    """Measure the defaults and each part, set by set; 1 where a set could not be fitted."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS), metavar="NAME")
    options = parser.parse_args(words)

    def body() -> int:
        asked = requests(options)
        changed = [
            replace(one, part=name, **PARTS[name]._asdict()) for name in options.parts for one in asked
        ]
        found, failed = run([*asked, *changed], options)
        print(f"\n{table(found, asked[0].effort.name, options.parts)}")
        return int(failed > 0)

    return ended(body)


if __name__ == "__main__":
    sys.exit(main())
