"""The baselines of a set are measured once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.baseline_figures import NAMES, baseline_figures
from tests.benchmarks.result import BASELINES


@pytest.fixture(scope="module")
def results(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with the baselines of the rendered parts; the article's auto-encoder trains for one step."""
    folder = tmp_path_factory.mktemp("baselines")
    baseline_figures(data / "flange", folder, article_steps=1)
    return folder


def test_every_baseline_has_figures(data: Path, results: Path) -> None:
    """Each has an image AUROC with its interval, and pixel figures where there are masks."""
    found = baseline_figures(data / "flange", results, article_steps=1)
    assert set(found["figures"]) == set(NAMES)
    for figures in found["figures"].values():
        low, high = figures["auroc_interval"]
        assert 0 <= low <= figures["auroc"] <= high <= 1
        assert set(figures["pixel"]) == {"auroc", "aupro"}
    assert (found["training_images"], found["images"]) == (40, 16)


def test_they_are_read_from_their_file(data: Path, results: Path) -> None:
    """The same pictures and steps read the stored figures, and leave the timing unchanged."""
    timing = results / BASELINES / "flange.timing.json"
    before = timing.read_bytes()
    baseline_figures(data / "flange", results, article_steps=1)
    assert timing.read_bytes() == before


def test_they_are_the_same_each_time(data: Path, results: Path, tmp_path: Path) -> None:
    """Measured twice, the file has the same bytes; with more steps it has others."""
    baseline_figures(data / "flange", tmp_path, article_steps=1)
    first, second = (folder / BASELINES / "flange.json" for folder in (results, tmp_path))
    assert first.read_bytes() == second.read_bytes()
    baseline_figures(data / "flange", tmp_path, article_steps=2)
    assert first.read_bytes() != second.read_bytes()
