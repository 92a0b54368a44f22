"""Fits and evaluates every image set of a folder with the defaults: `make bench DATA=FOLDER`.

    python -m tests.benchmarks.detection DATA --preset standard --seeds 0 1 2

A set is a folder with `train/good`, `test/good` and other folders of defects beside it, as in MVTec AD.
Labels are for measuring only.  What was measured before with the same pictures, code and options is read
from its file; Ctrl-C loses at most the fit in progress.
"""

from __future__ import annotations

import argparse
import sys

from inspector.errors import InspectorError
from tests.benchmarks import article
from tests.benchmarks.comparison import NAMES, compared
from tests.benchmarks.measurement import code, measured
from tests.benchmarks.request import Request, arguments, requests, sets
from tests.benchmarks.result import Stored
from tests.benchmarks.summary import SetSummary, image_auroc, mean, summarised
from tests.benchmarks.table import HEADER, comparison, number, row

NO_SET = "error: no set in {}\nhint: a set has train/good and test/good\n"
INTERRUPTED = "interrupted: what was finished is kept, and the same command goes on from there\n"


def run(asked: list[Request], options: argparse.Namespace) -> tuple[list[Stored], int]:
    """Measure each request and print its row; a set that cannot be fitted does not end the others.

    Returns
    -------
    found : list of Stored
    failed : int
        Number of requests that could not be measured.
    """
    found, failed, now = [], 0, code()
    print(HEADER, flush=True)
    for request in asked:
        try:
            stored = measured(request, now, options.results, again=options.again)
        except InspectorError as error:
            failed += 1
            print(f"{request.folder.name}: error: {error.message}", flush=True)
            continue
        found.append(stored)
        print(row(stored), flush=True)
    return found, failed


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
    try:
        asked = requests(options)
        if not asked:
            sys.stderr.write(NO_SET.format(options.data))
            return 2
        found, failed = run(asked, options)
        if found:
            print(f"mean AUROC {number(mean(image_auroc(stored.result) for stored in found))}")
        if found and options.baselines:
            print(f"\n{compare(found, options)}")
    except KeyboardInterrupt:
        sys.stderr.write(INTERRUPTED)
        return 130
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
