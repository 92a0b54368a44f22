"""The article's closing question: do its auto-encoders find defects, which of them, and by which score.

    python -m tests.benchmarks.penalties DATA --sets tiles screw cubes --budget 60s --seeds 0 1 2

An auto-encoder without a penalty (AE), a variational one (VAE), WAE-MMD, WAE-GAN, and a GAN whose latent
space is searched for the picture (AnoGAN): the same 64 px networks, the same time, one thread.  What was
measured before is read from its file; Ctrl-C loses at most the fit in progress.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calibration.image_metrics import auroc, auroc_interval
from calibration.labelled import GOOD, labelled_pictures
from inspector.errors import NoImagesError
from inspector.imaging.decode import decode
from inspector.imaging.files import list_images
from inspector.imaging.resize import fit_to
from models.article.networks import SIDE
from models.fit import ARTICLE_FINISH_SECONDS
from models.training.course import Plan
from tests.benchmarks import machine
from tests.benchmarks.baseline import Pixels
from tests.benchmarks.command import ended, measured_each
from tests.benchmarks.measurement import measure
from tests.benchmarks.request import Request, arguments, requests
from tests.benchmarks.result import ARTICLE, Content, Stored
from tests.benchmarks.searched import searched_gan
from tests.benchmarks.summary import (
    SetSummary,
    component_auroc,
    efforts,
    image_auroc,
    mean_of_all,
    summarised,
)
from tests.benchmarks.table import number

REGULARIZERS = {"AE": "none", "VAE": "kl", "WAE-MMD": "mmd", "WAE-GAN": "gan"}
SEARCHED = "searched GAN"
METHODS = (*REGULARIZERS, SEARCHED)
LATENT_DIM = 64
WIDTH = 64  # a minute on a processor is a few hundred steps; with 256 channels it would be fifty
SCORES: dict[str, Callable[[Content], float | None]] = {
    "reconstruction": component_auroc("reconstruction"),
    "latent": component_auroc("latent_mmd"),
    "fused": image_auroc,
}
READING = """Image AUROC, means over seeds: reconstruction alone / latent distance alone / both; for the
searched GAN what is left of the picture / of the discriminator's features / both."""


def asked_of(method: str, request: Request) -> Request:
    """Return a request for one of the methods."""
    changes: dict[str, object] = {"latent_dim": LATENT_DIM, "width": WIDTH}
    if method != SEARCHED:
        changes |= {"preset": "article", "regularizer": REGULARIZERS[method]}
    return replace(request, threads=1, part=method, changes=changes)


def measure_searched(request: Request, _store: Path) -> tuple[Content, Content]:
    """Train a GAN on a set, and search its latent space for every test picture."""
    started = time.monotonic()
    training, labelled = (
        _pictures(list_images(request.folder / "train" / "good")),
        labelled_pictures(request.folder / "test"),
    )
    effort = request.effort
    plan = Plan(effort.steps)
    if effort.steps is None:
        assert effort.budget_seconds is not None
        plan = Plan(seconds=effort.budget_seconds - ARTICLE_FINISH_SECONDS - (time.monotonic() - started))
    gan, steps = searched_gan(training, plan, latent_dim=LATENT_DIM, width=WIDTH, seed=request.seed)
    trained = time.monotonic()
    found = gan.search(_pictures([one.path for one in labelled]))
    good = np.array([one.kind == GOOD for one in labelled])
    scores = {"reconstruction": found.residual, "latent_mmd": found.features}
    result = {
        "image": _figures(found.fused, good),
        "components": {name: _figures(values, good) for name, values in scores.items()},
        "steps": steps,
        "training_images": len(training),
        "images": len(labelled),
    }
    timing = {
        "training_seconds": trained - started,
        "milliseconds_per_image": 1000 * (time.monotonic() - trained) / len(labelled),
        "machine": machine.describe(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return result, timing


def _figures(scores: np.ndarray, good: np.ndarray) -> Content:
    parted = scores[good].astype(float), scores[~good].astype(float)
    return {"auroc": auroc(*parted), "auroc_interval": auroc_interval(*parted)}


def _pictures(paths: Sequence[Path]) -> Pixels:
    if not paths:
        raise NoImagesError("no pictures in the set")
    return np.stack([fit_to(decode(path).pixels, SIDE, SIDE) for path in paths])


def row(stored: Stored) -> str:
    """One method on one set, on one line."""
    asked = stored.result["request"]
    scores = "  ".join(f"{name} {number(score(stored.result))}" for name, score in SCORES.items())
    return (
        f"{asked['set']:<12} {asked['seed']} {asked['part']:<14} {stored.result['steps']:>5} steps  {scores}"
    )


def table(found: list[Stored]) -> str:
    """Write what was found as tables in Markdown, one for each effort."""
    return "\n\n".join(_table(found, effort) for effort in efforts(found))


def _table(found: list[Stored], effort: str) -> str:
    by_method = {method: {one.name: one for one in summarised(found, effort, method)} for method in METHODS}
    names = sorted({name for summaries in by_method.values() for name in summaries})
    lines = [f"| {effort} | {' | '.join(names)} | mean |", "| :-- |" + " --: |" * (len(names) + 1)]
    for method, summaries in by_method.items():
        columns = [[_mean(summaries.get(name), score) for name in names] for score in SCORES.values()]
        cells = [" / ".join(number(column[i]) for column in columns) for i in range(len(names))]
        cells.append(" / ".join(number(mean_of_all(column)) for column in columns))
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(summary: SetSummary | None, figure: Callable[[Content], float | None]) -> float | None:
    spread = None if summary is None else summary.spread(figure)
    return None if spread is None else spread.mean


def main(words: list[str] | None = None) -> int:
    """Measure what the command line asks for; 1 where a method could not be measured."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(budget="60s")
    options = parser.parse_args(words)

    def body() -> int:
        found, failed = measured_each(
            [asked_of(method, request) for request in requests(options) for method in METHODS],
            options.results / ARTICLE,
            row,
            again=options.again,
            by=lambda request: measure_searched if request.part == SEARCHED else measure,
        )
        print(f"\n{table(found)}")
        return int(failed > 0)

    return ended(body)


if __name__ == "__main__":
    sys.exit(main())
