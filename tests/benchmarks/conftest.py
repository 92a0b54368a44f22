"""Rendered parts as a set, and one fit of them that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.demo.dataset import write_dataset
from tests.benchmarks import article
from tests.benchmarks.measurement import code, measured
from tests.benchmarks.request import Effort, Request
from tests.benchmarks.result import Stored

SMALL = {"image_size": 64, "width": 4}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one set of small parts, `flange`."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "flange", train=40, good=6, per_kind=2, size=64)
    return folder


@pytest.fixture(scope="session")
def request_(data: Path) -> Request:
    """A fit of two steps with small networks."""
    return Request(data / "flange", Effort(steps=2), changes=SMALL)


@pytest.fixture(scope="session")
def results(request_: Request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the result of that fit; nobody may change it."""
    folder = tmp_path_factory.mktemp("results")
    measured(request_, code(), folder)
    return folder


@pytest.fixture
def stored(request_: Request, results: Path) -> Stored:
    """The result of that fit."""
    return measured(request_, code(), results)


@pytest.fixture(scope="session", autouse=True)
def _narrow() -> Iterator[None]:
    """Give the article's network few channels: what is tested does not depend on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(article, "WIDTH", 16)
        yield
