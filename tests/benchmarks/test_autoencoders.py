"""The article's auto-encoders are measured once as detectors, and compared in a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import autoencoders
from tests.benchmarks.autoencoders import ANOGAN, METHODS, asked_of, main, table
from tests.benchmarks.page import report
from tests.benchmarks.request import Effort, Request
from tests.benchmarks.result import ARTICLE, Stored, load_all


@pytest.fixture(scope="module")
def article(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two of the methods, a single step each."""
    folder = tmp_path_factory.mktemp("article")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoders, "METHODS", ("WAE-MMD", ANOGAN))
        patch.setattr(autoencoders, "WIDTH", 8)
        assert main([str(data), "--steps", "1", "--results", str(folder)]) == 0
    return folder


def test_each_score_of_each_method_has_a_figure(article: Path) -> None:
    """Reconstruction, latent and both; AnoGAN's figures have the same names as the others'."""
    found = load_all(article / ARTICLE)
    assert [one.result["request"]["variant"] for one in found] == [ANOGAN, "WAE-MMD"]
    for one in found:
        for score in autoencoders.SCORES.values():
            figure = score(one.result)
            assert figure is not None
            assert 0 <= figure <= 1
        assert one.result["steps"] == 1
        assert one.result["image"]["auroc_interval"][0] <= one.result["image"]["auroc"]


def test_they_are_no_fits_of_the_defaults(article: Path) -> None:
    """The page's tables of the defaults leave them out."""
    assert load_all(article) == []
    assert "No results" in report(article).page


def test_what_is_asked_of_the_methods() -> None:
    """All have the same channels, dimensions and thread; all but AnoGAN have a regularizer of their own."""
    request = Request(Path("tiles"), Effort(budget_seconds=60.0), seed=2)
    asked = {method: asked_of(method, request) for method in METHODS}
    assert {one.changes.get("regularizer") for one in asked.values()} == {"none", "kl", "mmd", "gan", None}
    assert {(one.changes["width"], one.changes["latent_dim"]) for one in asked.values()} == {(64, 64)}
    assert {(one.threads, one.seed, one.effort.name) for one in asked.values()} == {(1, 2, "budget-60s")}


def test_the_table_takes_means_over_seeds() -> None:
    """Two seeds of one set, by hand; a method that was not measured has dashes."""
    found = [
        Stored(
            {
                "request": {"set": "tiles", "seed": seed, "effort": "steps-1", "variant": "VAE"},
                "image": {"auroc": 0.5 + seed / 10},
                "components": {"reconstruction": {"auroc": 0.4}, "latent_mmd": {"auroc": 0.2 + seed / 5}},
            },
            {},
        )
        for seed in (0, 1)
    ]
    lines = table(found).splitlines()
    assert lines[0] == "| steps-1 | tiles | mean |"
    assert "| VAE | 0.400 / 0.300 / 0.550 | 0.400 / 0.300 / 0.550 |" in lines
    assert "| AE | - / - / - | - / - / - |" in lines
