"""The baselines of a set are measured once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.comparison import NAMES, compared
from tests.benchmarks.result import BASELINES


@pytest.fixture(scope="module")
def results(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with the baselines of the rendered parts, the article's one trained for a single step."""
    folder = tmp_path_factory.mktemp("baselines")
    compared(data / "flange", folder, article_steps=1)
    return folder


def test_every_baseline_has_figures(data: Path, results: Path) -> None:
    """Each has an AUROC with its interval, and those of pixels where there are masks."""
    found = compared(data / "flange", results, article_steps=1)
    assert set(found["figures"]) == set(NAMES)
    for figures in found["figures"].values():
        low, high = figures["auroc_interval"]
        assert 0 <= low <= figures["auroc"] <= high <= 1
        assert set(figures["pixel"]) == {"auroc", "aupro"}
    assert (found["training_images"], found["images"]) == (40, 16)


def test_they_are_read_from_their_file(data: Path, results: Path) -> None:
    """The same pictures and steps find the stored figures, and leave the timing as it was."""
    timing = results / BASELINES / "flange.timing.json"
    before = timing.read_bytes()
    compared(data / "flange", results, article_steps=1)
    assert timing.read_bytes() == before


def test_they_are_the_same_each_time(data: Path, results: Path, tmp_path: Path) -> None:
    """Measured twice, the file is the same, byte for byte; with more steps it is another one."""
    compared(data / "flange", tmp_path, article_steps=1)
    first, second = (folder / BASELINES / "flange.json" for folder in (results, tmp_path))
    assert first.read_bytes() == second.read_bytes()
    compared(data / "flange", tmp_path, article_steps=2)
    assert first.read_bytes() != second.read_bytes()
