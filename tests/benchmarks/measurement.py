"""Fits and their evaluations, each measured once for the same pictures, code and options."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import inspector
import models
from calibration import evaluation
from calibration.conformal import beta_binomial_interval
from inspector.bundle.records import Calibration
from inspector.commands.progress import shown_progress
from inspector.errors import InspectorError
from models.inspection import components
from tests.benchmarks import provenance
from tests.benchmarks.request import Request
from tests.benchmarks.result import Content, Stored, load, write
from tests.benchmarks.scores import (
    ComponentScores,
    of_fit,
    read_scores,
    watched,
    write_scores,
)

LEVEL = 0.99  # of the interval that holds the false rejects of a kept promise


class Measured(NamedTuple):
    """The outcome of one measurement.

    Attributes
    ----------
    result : dict
        The figures: the same each time.
    timing : dict
        Durations, date and machine: different each time.
    scores : callable, optional
        Collects the component scores of the pictures.
    """

    result: Content
    timing: Content
    scores: Callable[[], ComponentScores] | None = None


Measurement = Callable[[Request, Path], Measured]  # from a request and an empty store


class Code(NamedTuple):
    """The measured code, read once at the start: files may be edited while a measurement runs."""

    digest: str
    commit: dict[str, Any]
    packages: dict[str, str]


def code() -> Code:
    """Return the code as it is now."""
    return Code(provenance.digest(), provenance.commit(), provenance.packages())


def measure_all(
    asked: Sequence[Request],
    results: Path,
    show: Callable[[Stored], str],
    *,
    scores: Path | None = None,
    again: bool = False,
    by: Callable[[Request], Measurement] | None = None,
) -> tuple[list[Stored], int]:
    """Measure each request that has no up-to-date result, and print a row for each.

    Parameters
    ----------
    asked : sequence of Request
    results : Path
        The folder of all results.
    show : callable
        Writes a result as a row.
    scores : Path, optional
        The folder that gets the component scores of the pictures.
    again : bool
        Measure also requests with an up-to-date result.
    by : callable, optional
        Returns the function that measures a request; `measure` by default.

    Returns
    -------
    found : list of Stored
    failed : int
        Number of requests that could not be measured.
    """
    found, failed, now = [], 0, code()
    for request in asked:
        try:
            stored = measured(
                request, now, results, scores=scores, again=again, by=by(request) if by else measure
            )
        except InspectorError as error:
            failed += 1
            print(f"{request.folder.name}: error: {error.message}", flush=True)
            continue
        found.append(stored)
        print(show(stored), flush=True)
    return found, failed


def measured(
    request: Request,
    measured_code: Code,
    results: Path,
    *,
    scores: Path | None = None,
    again: bool = False,
    by: Measurement | None = None,
) -> Stored:
    """Return the stored result of the request if it is up to date; else measure and store it.

    Parameters
    ----------
    request : Request
    measured_code : Code
        A result of other code is out of date.
    results : Path
        The folder of all results.
    scores : Path, optional
        The folder that gets the component scores of the pictures; a result without them is out of date.
    again : bool
        Measure even if a result is up to date.
    by : callable, optional
        The function that measures; `measure` by default.

    Returns
    -------
    Stored
        Its timing names the result that it replaced, as `previous`.
    """
    path = request.place(results)
    asked = request.asked(measured_code.digest)
    before = load(path)
    place_of_scores = None if scores is None else request.place(scores).with_suffix(".npz")
    if (
        before is not None
        and not again
        and before.result["request"] == asked
        and (place_of_scores is None or _asked_in(place_of_scores) == asked)
    ):
        return before
    with tempfile.TemporaryDirectory() as store:
        result, timing, collect = (by or measure)(request, Path(store))
    if place_of_scores is not None and collect is not None:
        write_scores(place_of_scores, replace(collect(), request=asked))
    result |= {"request": asked, "commit": measured_code.commit, "packages": measured_code.packages}
    if before is not None:
        timing["previous"] = {
            "auroc": before.result["image"]["auroc"],
            "commit": before.result["commit"]["id"],
        }
    write(path, result, timing)
    return load(path) or Stored(result, timing)


def _asked_in(path: Path) -> Content | None:
    found = read_scores(path)
    return None if found is None else found.request


def measure(request: Request, store: Path) -> Measured:
    """Fit one set and evaluate it with one thread.

    The result has the figures of `inspector evaluate`, and the numbers of pictures.
    """
    started = time.monotonic()
    with (
        _threads(request.threads),
        _replaced(replaced_constants(request)),
        watched() as seen,
        shown_progress() as progress,
    ):
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
    evaluated = evaluation.measure(detector, request.folder / "test")
    figures = evaluated.figures()
    training, int8 = detector.manifest.training, detector.manifest.int8
    timing = {
        "fit_seconds": fit_seconds,
        "training_seconds": training.seconds,
        "milliseconds_per_image": figures.pop("milliseconds_per_image"),
        "threads": training.threads,
        "one_thread_from": training.one_thread_from,
        "rounded": int8.convolutions if int8 is not None and int8.shipped else 0,  # if it pays here
        "parity": detector.manifest.parity.largest_relative_difference,  # in the last digits of a float32
        "machine": provenance.machine(),
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
        "threshold_images": len(detector.calibration.heldout_scores),
    } | ({"figures": training.figures} if training.figures else {})
    return Measured(result, timing, partial(of_fit, evaluated.scores, seen, detector.calibration))


def _false_rejects(figures: Content, good: int, calibration: Calibration) -> Content:
    """Count the good test pictures that were rejected, and the most that a kept promise allows."""
    promised = calibration.promised_false_reject_rate
    limits = beta_binomial_interval(len(calibration.heldout_scores), good, promised, LEVEL)
    return {
        "count": round(figures["image"]["false_reject_rate"] * good),
        "of": good,
        "promised_rate": promised,
        "at_most": limits[1],
    }


def replaced_constants(request: Request) -> dict[str, Any]:
    """Return the constants to replace during a fit, by `module.NAME`."""
    if request.without is None:
        return request.constants
    names = [row.name for row in components.COMPONENTS if row.weight is not None]
    assert request.without in names, f"{request.without} is not one of {names}"
    table = tuple(
        replace(row, weight=None) if row.name == request.without else row for row in components.COMPONENTS
    )
    return request.constants | {"models.inspection.components.COMPONENTS": table}


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
    """Set the number of threads in the environment of a fit."""
    before = os.environ.get("INSPECTOR_THREADS")
    os.environ["INSPECTOR_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["INSPECTOR_THREADS"]
        else:
            os.environ["INSPECTOR_THREADS"] = before
