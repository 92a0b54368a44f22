"""The article's closing question: which of its auto-encoders find defects, and by which score.

    python -m tests.benchmarks.autoencoders DATA --sets tiles screw cubes --budget 60s --seeds 0 1 2

Compared are an auto-encoder without a regularizer (AE), a variational one (VAE), WAE-MMD, WAE-GAN and AnoGAN:
the same 64 px networks, the same training time, one thread.  Up-to-date results are read from their files;
Ctrl-C loses at most the fit in progress.
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
from calibration.labelled import GOOD, labelled_folder
from inspector.errors import NoImagesError
from inspector.imaging.decode import decode
from inspector.imaging.files import list_images
from inspector.imaging.resize import fit_to
from inspector.types import Pixels
from models.article.networks import SIDE
from models.article.train import FINISH_SECONDS
from models.training.course import Plan
from tests.benchmarks import provenance
from tests.benchmarks.anogan import train_anogan
from tests.benchmarks.command import arguments, exit_code, requests
from tests.benchmarks.measurement import Measured, measure, measure_all
from tests.benchmarks.request import Request
from tests.benchmarks.result import ARTICLE, Content, Stored
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
ANOGAN = "AnoGAN"
METHODS = (*REGULARIZERS, ANOGAN)
LATENT_DIM = 64
WIDTH = 64  # channels; enough training steps fit into a minute on a CPU
SCORES: dict[str, Callable[[Content], float | None]] = {
    "reconstruction": component_auroc("reconstruction"),
    "latent": component_auroc("latent_mmd"),
    "fused": image_auroc,
}
READING = """Each cell has three image AUROCs, means over seeds: of the reconstruction error, of the latent
distance, and of both together. For AnoGAN they are those of the pixel difference, of the difference in
the discriminator's features, and of both together."""


def asked_of(method: str, request: Request) -> Request:
    """Return a request for one of the methods."""
    changes: dict[str, object] = {"latent_dim": LATENT_DIM, "width": WIDTH}
    if method != ANOGAN:
        changes |= {"preset": "article", "regularizer": REGULARIZERS[method]}
    return replace(request, threads=1, variant=method, changes=changes)


def measure_anogan(request: Request, _store: Path) -> Measured:
    """Train a GAN on a set, and search its latent space for every test picture."""
    started = time.monotonic()
    training, labelled = (
        _pictures(list_images(request.folder / "train" / "good")),
        labelled_folder(request.folder / "test").pictures,
    )
    effort = request.effort
    plan = Plan(effort.steps)
    if effort.steps is None:
        assert effort.budget_seconds is not None
        plan = Plan(seconds=effort.budget_seconds - FINISH_SECONDS - (time.monotonic() - started))
    gan, steps = train_anogan(training, plan, latent_dim=LATENT_DIM, width=WIDTH, seed=request.seed)
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
        "machine": provenance.machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Measured(result, timing)


def _figures(scores: np.ndarray, good: np.ndarray) -> Content:
    parted = scores[good].astype(float), scores[~good].astype(float)
    return {"auroc": auroc(*parted), "auroc_interval": auroc_interval(*parted)}


def _pictures(paths: Sequence[Path]) -> Pixels:
    if not paths:
        raise NoImagesError("no pictures in the set")
    return np.stack([fit_to(decode(path).pixels, SIDE, SIDE) for path in paths])


def row(stored: Stored) -> str:
    """Write the result of one method on one set as one line."""
    asked, steps = stored.result["request"], stored.result["steps"]
    scores = "  ".join(f"{name} {number(score(stored.result))}" for name, score in SCORES.items())
    return f"{asked['set']:<12} {asked['seed']} {asked['variant']:<14} {steps:>5} steps  {scores}"


def table(found: list[Stored]) -> str:
    """Write the results as Markdown tables, one for each effort."""
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
    """Measure the requests of a command line; return 1 if one could not be measured."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(budget="60s")
    options = parser.parse_args(words)

    def body() -> int:
        found, failed = measure_all(
            [asked_of(method, request) for request in requests(options) for method in METHODS],
            options.results / ARTICLE,
            row,
            again=options.again,
            by=lambda request: measure_anogan if request.variant == ANOGAN else measure,
        )
        print(f"\n{table(found)}")
        return int(failed > 0)

    return exit_code(body)


if __name__ == "__main__":
    sys.exit(main())
