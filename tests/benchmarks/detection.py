"""Fits and evaluates every image set of a folder with the default options: `make bench DATA=FOLDER`.

    python -m tests.benchmarks.detection DATA --preset standard --seeds 0 1 2

A set is a folder with `train/good`, `test/good` and a folder for each kind of defect beside it, as in MVTec
AD.  Labels are used for measuring only.  Up-to-date results, of the same pictures, code and options, are read
from their files; Ctrl-C loses at most the fit in progress.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.benchmarks import headline
from tests.benchmarks.baseline import ARTICLE_STEPS
from tests.benchmarks.baseline_figures import NAMES, baseline_figures
from tests.benchmarks.command import arguments, exit_code, requests
from tests.benchmarks.measurement import measure_all
from tests.benchmarks.request import Request, sets
from tests.benchmarks.result import Stored
from tests.benchmarks.summary import SetSummary, image_auroc, middle, summarised
from tests.benchmarks.table import HEADER, aligned, comparison, row


def run(
    asked: list[Request], options: argparse.Namespace, *, scores: Path | None = None
) -> tuple[list[Stored], int]:
    """Measure the requests under one header; return the results and the number of failures."""
    print(HEADER, flush=True)
    return measure_all(asked, options.results, row, scores=scores, again=options.again)


def compare(summaries: list[SetSummary], options: argparse.Namespace) -> str:
    """Measure the baselines on the fitted sets, and return a table of both."""
    means = {one.name: middle(one.spread(image_auroc)) for one in summaries}
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
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FOLDER",
        help="keep the component scores of all pictures there, for tests.benchmarks.leave_one_out",
    )
    options = parser.parse_args(words)

    def body() -> int:
        found, failed = run(requests(options), options, scores=options.scores)
        if found:
            summaries = summarised(found, found[0].result["request"]["effort"])
            print(f"\n{aligned(headline.HEADER, headline.rows(summaries))}\n{headline.in_words(summaries)}")
            if options.baselines:
                print(f"\n{compare(summaries, options)}")
        return int(failed > 0)

    return exit_code(body)


if __name__ == "__main__":
    sys.exit(main())
