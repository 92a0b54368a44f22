"""`inspector fit --preset article` through the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from inspector.demo.dataset import write_dataset
from tests.journey.program import complaint, listing, not_installed, rows, run

ARTICLE = ("--preset", "article", "--width", "8", "--latent-dim", "2", "--steps", "4")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Ten good parts."""
    write_dataset(tmp_path / "d", train=10, good=0, per_kind=0, size=96)
    return tmp_path / "d" / "train" / "good"


def test_a_fit_prints_its_figures_and_scores(parts: Path, store: Path) -> None:
    """The end says how held-out copies and codes are, in words and in JSON; `score` takes the model."""
    ended = run(
        "fit", parts, "--name", "drawn", *ARTICLE, "--background", "#102030", "--format", "table", store=store
    )
    figure = r"^held out +squared error [\d.]+, \d+% (below|above) the mean picture's [\d.]+$"
    assert re.search(figure, ended.stdout, re.MULTILINE)
    prior = r"^prior +match of \d+ held-out codes (not )?rejected at 1 % \(p = [\d.e-]+\)$"
    assert re.search(prior, ended.stdout, re.MULTILINE)
    assert re.search(r"^model +drawn@1$", ended.stdout, re.MULTILINE)
    (row,) = rows(run("score", parts / "000.png", "--exit-zero", store=store))
    assert set(row["components"]) == {"reconstruction", "latent_mmd"}
    shown = json.loads(run("models", "show", "drawn", "--format", "json", store=store).stdout)
    assert "article-dcgan" in json.dumps(shown)
    run("models", "verify", "drawn", store=store)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--preset", "article", "--image-size", "256"], "--image-size is 256"),
        (["--preset", "article", "--no-prior"], "--no-pretrained belongs to"),
        (["--preset", "article", "--lambda", "-1"], "--lambda is -1"),
        (["--preset", "article", "--width", "12"], "--width is 12"),
        (["--preset", "article", "--regularizer", "none", "--lambda", "3"], "--regularizer none"),
        (["--decoder", "dcgan_mod"], "--decoder belongs to --preset article"),
        (["--lambda", "10"], "--lambda belongs to --preset article"),
        (["--regularizer", "gan"], "allowed with --preset standard are mmd, none"),
        (["--background", "blue"], "--background is 'blue'"),
    ],
)
def test_options_that_do_not_go_together(
    words: list[str], named: str, parts: Path, store: Path, tmp_path: Path
) -> None:
    """Exit code 2, one line that names option and value, a hint, and nothing is written."""
    before = listing(tmp_path)
    message, hint = complaint(run("fit", parts, *words, store=store, code=2))
    assert named in message
    assert hint
    assert listing(tmp_path) == before


def test_tensorboard_that_is_missing_is_named(parts: Path, store: Path, tmp_path: Path) -> None:
    """Exit code 7 before any work, and the hint is the command that installs it."""
    before = listing(tmp_path)
    words = (*ARTICLE, "--tensorboard", str(tmp_path / "runs"))
    with not_installed("tensorboard"):
        message, hint = complaint(run("fit", parts, *words, store=store, code=7))
    assert message == "'inspector fit --tensorboard' needs tensorboard, which is not installed"
    assert hint == "pip install 'wae-inspector[tensorboard]'"
    assert listing(tmp_path) == before
