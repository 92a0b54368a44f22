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
from tests.benchmarks.baseline_figures import baseline_figures, names_of
from tests.benchmarks.command import arguments, exit_code, requests
from tests.benchmarks.measurement import measure_all
from tests.benchmarks.peer import BACKBONE, LAYERS, Peer, network, peer_figures
from tests.benchmarks.request import Request, sets
from tests.benchmarks.result import Content, Stored
from tests.benchmarks.summary import SetSummary, image_auroc, middle, summarised
from tests.benchmarks.table import HEADER, aligned, comparison, row


def run(
    asked: list[Request], options: argparse.Namespace, *, scores: Path | None = None
) -> tuple[list[Stored], int]:
    """Measure the requests under one header; return the results and the number of failures."""
    print(HEADER, flush=True)
    return measure_all(asked, options.results, row, scores=scores, again=options.again)


def compare(summaries: list[SetSummary], options: argparse.Namespace, peer: Peer | None) -> str:
    """Measure the baselines and the peer on the fitted sets, and return a table of all."""
    means = {one.name: middle(one.spread(image_auroc)) for one in summaries}
    figures: dict[str, Content] = {name: {} for name in means}
    for folder in sets(options.data, list(means)):
        if options.baselines:
            steps = options.article_steps
            found = baseline_figures(folder, options.results, article_steps=steps, again=options.again)
            figures[folder.name] |= found["figures"]
        if peer:
            figures[folder.name] |= peer_figures(folder, options.results, peer, again=options.again)[
                "figures"
            ]
    names = [name for name in names_of(figures.values()) if any(name in one for one in figures.values())]
    return comparison(names, means, figures)


def asked_peer(options: argparse.Namespace) -> Peer | None:
    """Return the peer of a command line after a trial of its weights; None if none is asked for."""
    if options.peer_weights is None:
        return None
    peer = Peer(options.peer_weights, options.peer_backbone, tuple(options.peer_layers))
    network(peer)  # an error must not come after hours of fits
    return peer


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
    parser.add_argument(
        "--peer-weights",
        type=Path,
        metavar="FILE",
        help="compare with anomalib's PatchCore with these weights",
    )
    parser.add_argument("--peer-backbone", default=BACKBONE, metavar="NAME", help=f"default: {BACKBONE}")
    parser.add_argument(
        "--peer-layers", nargs="+", default=LAYERS, metavar="NAME", help=f"default: {' '.join(LAYERS)}"
    )
    options = parser.parse_args(words)

    def body() -> int:
        peer = asked_peer(options)
        found, failed = run(requests(options), options, scores=options.scores)
        if found:
            summaries = summarised(found, found[0].result["request"]["effort"])
            print(f"\n{aligned(headline.HEADER, headline.rows(summaries))}\n{headline.in_words(summaries)}")
            if options.baselines or peer:
                print(f"\n{compare(summaries, options, peer)}")
        return int(failed > 0)

    return exit_code(body)


if __name__ == "__main__":
    sys.exit(main())
