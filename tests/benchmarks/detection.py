"""Fits and evaluates every image set of a folder with the defaults: `make bench DATA=FOLDER`.

    python -m tests.benchmarks.detection DATA --preset standard --seeds 0 1 2

A set is a folder with `train/good`, `test/good` and other folders of defects beside it, as in MVTec AD.
Labels are for measuring only.  What was measured before with the same pictures, code and options is read
from its file; Ctrl-C loses at most the fit in progress.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import article
from tests.benchmarks.command import ended, measured_each
from tests.benchmarks.comparison import NAMES, compared
from tests.benchmarks.request import Request, arguments, requests, sets
from tests.benchmarks.result import Stored
from tests.benchmarks.summary import SetSummary, image_auroc, mean, summarised
from tests.benchmarks.table import HEADER, comparison, number, row


def run(asked: list[Request], options: argparse.Namespace) -> tuple[list[Stored], int]:
    """Measure each request under one header; what was measured, and how many could not be."""
    print(HEADER, flush=True)
    return measured_each(asked, options.results, row, again=options.again)


def compare(found: list[Stored], options: argparse.Namespace) -> str:
    """Measure the baselines on the sets that were fitted, and lay both side by side."""
    summaries: list[SetSummary] = summarised(found, found[0].result["request"]["effort"])
    spreads = {one.name: one.spread(image_auroc) for one in summaries}
    means = {name: spread.mean if spread else None for name, spread in spreads.items()}
    figures = {
        folder.name: compared(
            folder, options.results, article_steps=options.article_steps, again=options.again
        )["figures"]
        for folder in sets(options.data, list(means))
    }
    return comparison(NAMES, means, figures)


def main(words: list[str] | None = None) -> int:
    """Measure what the command line asks for; 1 where a set could not be fitted."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--article-steps", type=int, default=article.STEPS, metavar="N", help="of the article's preset"
    )
    options = parser.parse_args(words)

    def body() -> int:
        found, failed = run(requests(options), options)
        if found:
            print(f"mean AUROC {number(mean(image_auroc(stored.result) for stored in found))}")
        if found and options.baselines:
            print(f"\n{compare(found, options)}")
        return int(failed > 0)

    return ended(body)


if __name__ == "__main__":
    sys.exit(main())
