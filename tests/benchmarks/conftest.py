"""A set of rendered parts, and one fit of it that the tests of this folder share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from inspector.demo.dataset import write_dataset
from models.article import warm_start
from tests.benchmarks import baseline, detection
from tests.benchmarks.command import requests
from tests.benchmarks.measurement import code, measured
from tests.benchmarks.request import Effort, Request
from tests.benchmarks.result import Stored
from tests.conftest import MakeOnce

SMALL = {"image_size": 64, "width": 4}


@pytest.fixture(scope="module")
def data(make_once: MakeOnce) -> Path:
    """A folder with one set of small parts, `flange`."""
    return make_once(
        "data", lambda folder: write_dataset(folder / "flange", train=40, good=6, per_kind=2, size=64)
    )


@pytest.fixture(scope="module")
def request_(data: Path) -> Request:
    """A fit of two steps with small networks."""
    return Request(data / "flange", Effort(steps=2), changes=SMALL)


def small_requests(options: argparse.Namespace) -> list[Request]:
    """The requests of a command line, with small networks."""
    return [replace(one, changes=SMALL) for one in requests(options)]


def detection_table(data: Path, results: Path) -> str:
    """Measure that fit, and baselines, through the command line; return what it prints."""
    command = [str(data), "--steps", "2", "--results", str(results), "--article-steps", "1"]
    command += ["--scores", str(results / "scores")]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.setattr(detection, "requests", small_requests)
        assert detection.main(command) == 0
    return printed.getvalue()


@pytest.fixture(scope="module")
def results(data: Path, make_once: MakeOnce) -> Path:
    """The result of that fit, its scores and the printed table, in a folder that tests must not change."""
    return make_once(
        "results", lambda folder: (folder / "printed.txt").write_text(detection_table(data, folder))
    )


@pytest.fixture
def stored(request_: Request, results: Path) -> Stored:
    """The result of that fit."""
    return measured(request_, code(), results)


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    """Give the article's network few channels and a short warm start; no test depends on either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "ARTICLE_WIDTH", 16)
        patch.setattr(warm_start, "STEPS", 5)
        yield
