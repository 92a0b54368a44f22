"""One fit and its evaluation, unless the same was measured before."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import inspector
import models
from calibration.conformal import beta_binomial_interval
from calibration.evaluation import measure as evaluate
from inspector.bundle.records import Calibration
from inspector.commands.progress import shown_progress
from tests.benchmarks import machine, source
from tests.benchmarks.request import Request
from tests.benchmarks.result import Content, Stored, load, write

Measurement = Callable[[Request, Path], tuple[Content, Content]]  # given a store: result, timing

LEVEL = 0.99  # of the interval in which a kept promise leaves the false rejects


class Code(NamedTuple):
    """The code that is measured, looked at once: it may be edited while a measurement runs."""

    digest: str
    commit: dict[str, Any]
    packages: dict[str, str]


def code() -> Code:
    """Return the code as it is now."""
    return Code(source.digest(), source.commit(), source.packages())


def measured(
    request: Request,
    measured_code: Code,
    results: Path,
    *,
    again: bool = False,
    by: Measurement | None = None,
) -> Stored:
    """Return a stored result of the same request, or measure and store it.

    Parameters
    ----------
    request : Request
    measured_code : Code
        A result of other code is out of date.
    results : Path
        The folder of all results.
    again : bool
        Measure in any case.
    by : callable, optional
        Measures instead of `measure`.

    Returns
    -------
    Stored
        Its timing names the result that it replaced, as `previous`.
    """
    path = request.place(results)
    asked = request.asked(measured_code.digest)
    before = load(path)
    if before is not None and not again and before.result["request"] == asked:
        return before
    with tempfile.TemporaryDirectory() as store:
        result, timing = (by or measure)(request, Path(store))
    result |= {"request": asked, "commit": measured_code.commit, "packages": measured_code.packages}
    if before is not None:
        timing["previous"] = {
            "auroc": before.result["image"]["auroc"],
            "commit": before.result["commit"]["id"],
        }
    write(path, result, timing)
    return load(path) or Stored(result, timing)


def measure(request: Request, store: Path) -> tuple[Content, Content]:
    """Fit one set and evaluate it with one thread.

    Returns
    -------
    result : dict
        The figures of `inspector evaluate`, and what the fit learned from: the same each time.
    timing : dict
        What it took, when and where.
    """
    started = time.monotonic()
    with _threads(request.threads), _replaced(request.constants), shown_progress() as progress:
        path = models.fit(
            request.folder / "train" / "good",
            name=request.folder.name,
            store=store,
            seed=request.seed,
            progress=progress,
            **request.options(),
        )
    fit_seconds = time.monotonic() - started
    detector = inspector.open_model(path, threads=1)
    figures = evaluate(detector, request.folder / "test").figures()
    training, int8 = detector.manifest.training, detector.manifest.int8
    timing = {
        "fit_seconds": fit_seconds,
        "training_seconds": training.seconds,
        "milliseconds_per_image": figures.pop("milliseconds_per_image"),
        "threads": training.threads,
        "one_thread_from": training.one_thread_from,
        "rounded": int8.convolutions if int8 is not None and int8.shipped else 0,  # if it pays here
        "parity": detector.manifest.parity.largest_relative_difference,  # in the last digits of a float32
        "machine": machine.describe(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    del figures["model"]  # its digest covers the date
    good = figures["images"] - sum(kind["images"] for kind in figures["kinds"].values())
    result = {
        **figures,
        "good": good,
        "false_rejects": _false_rejects(figures, good, detector.calibration),
        "steps": training.steps,
        "device": training.device,
        "options": training.options,
        "training_images": training.images,
        "heldout_images": training.heldout_images,
    } | ({"figures": training.figures} if training.figures else {})
    return result, timing


def _false_rejects(figures: Content, good: int, calibration: Calibration) -> Content:
    """Good test pictures that were rejected, and how many a kept promise leaves at most."""
    promised = calibration.promised_false_reject_rate
    limits = beta_binomial_interval(len(calibration.heldout_scores), good, promised, LEVEL)
    return {
        "count": round(figures["image"]["false_reject_rate"] * good),
        "of": good,
        "promised_rate": promised,
        "at_most": limits[1],
    }


@contextmanager
def _replaced(constants: dict[str, Any]) -> Iterator[None]:
    """Give constants of modules other values."""
    with ExitStack() as stack:
        for name, value in constants.items():
            before = getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2])
            stack.enter_context(mock.patch(name, value))
            assert value != before, f"{name} is {value} already"
        yield


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let a fit see a number of threads in its environment."""
    before = os.environ.get("INSPECTOR_THREADS")
    os.environ["INSPECTOR_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["INSPECTOR_THREADS"]
        else:
            os.environ["INSPECTOR_THREADS"] = before
