"""Fits and evaluates every image set of a folder with the default options: `make bench DATA=FOLDER`.

    python -m tests.benchmarks.detection DATA --preset standard --seeds 0 1 2

A set is a folder with `train/good`, `test/good` and a folder for each kind of defect beside it, as in MVTec
AD.  Labels are used for measuring only.  Up-to-date results, of the same pictures, code and options, are read
from their files; Ctrl-C loses at most the fit in progress.
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks.baseline import ARTICLE_STEPS
from tests.benchmarks.baseline_figures import NAMES, baseline_figures
from tests.benchmarks.command import arguments, exit_code, requests
from tests.benchmarks.measurement import measure_all
from tests.benchmarks.request import Request, sets
from tests.benchmarks.result import Stored
from tests.benchmarks.summary import SetSummary, image_auroc, mean, summarised
from tests.benchmarks.table import HEADER, comparison, number, row


def run(asked: list[Request], options: argparse.Namespace) -> tuple[list[Stored], int]:
    """Measure the requests under one header; return the results and the number of failures."""
    print(HEADER, flush=True)
    return measure_all(asked, options.results, row, again=options.again)


def compare(found: list[Stored], options: argparse.Namespace) -> str:
    """Measure the baselines on the fitted sets, and return a table of both."""
    summaries: list[SetSummary] = summarised(found, found[0].result["request"]["effort"])
    spreads = {one.name: one.spread(image_auroc) for one in summaries}
    means = {name: spread.mean if spread else None for name, spread in spreads.items()}
    figures = {
        folder.name: baseline_figures(
            folder, options.results, article_steps=options.article_steps, again=options.again
        )["figures"]
        for folder in sets(options.data, list(means))
    }
    return comparison(NAMES, means, figures)


def main(words: list[str] | None = None) -> int:
    """Measure the requests of a command line; return 1 if a set could not be fitted."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--article-steps",
        type=int,
        default=ARTICLE_STEPS,
        metavar="N",
        help="training steps of the article's auto-encoder",
    )
    options = parser.parse_args(words)

    def body() -> int:
        found, failed = run(requests(options), options)
        if found:
            print(f"mean AUROC {number(mean(image_auroc(stored.result) for stored in found))}")
        if found and options.baselines:
            print(f"\n{compare(found, options)}")
        return int(failed > 0)

    return exit_code(body)


if __name__ == "__main__":
    sys.exit(main())
