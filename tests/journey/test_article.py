"""`inspector fit --preset article` through the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from inspector.bundle.folder import Bundle
from inspector.demo.dataset import write_dataset
from tests.journey.program import listing, rows, run

ARTICLE = ("--preset", "article", "--width", "8", "--latent-dim", "2", "--steps", "4")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Ten good parts."""
    write_dataset(tmp_path / "d", train=10, good=0, per_kind=0, size=96)
    return tmp_path / "d" / "train" / "good"


def test_a_fit_of_few_pictures_into_a_folder(parts: Path, store: Path, tmp_path: Path) -> None:
    """`--output` writes a bundle outside the store; the table has figures and a promise."""
    target = tmp_path / "drawn"
    words = ("fit", parts, "--output", target, *ARTICLE, "--background", "#102030", "--format", "table")
    shown = dict(line.split(maxsplit=1) for line in run(*words, store=store).stdout.splitlines())
    assert shown["model"] == "good@1"
    assert shown["learned"] == "10 good pictures: 6 for training + 4 held out; 4 steps"
    assert re.fullmatch(
        r"out +squared error [\d.]+, \d+% (below|above) the mean picture's [\d.]+", shown["held"]
    )
    match = r"match of \d+ held-out latents (not )?rejected at 1 % \(p = [\d.e-]+\)"
    assert re.fullmatch(match, shown["prior"])
    assert re.fullmatch(r"-?\d+\.\d+", shown["threshold"])
    assert shown["promise"].startswith("At most 20 % ")
    assert "4 held-out good pictures cannot promise less" in shown["promise"]
    calibration = Bundle.open(target).calibration
    assert not calibration.promise_kept
    assert f"needs {calibration.images_missing} more" in shown["promise"]
    assert shown["report"] == str(target / "report.html")
    assert not store.exists() or not listing(store)
    (row,) = rows(run("score", parts / "000.png", "--model", target, "--exit-zero", store=store))
    assert set(row["components"]) == {"reconstruction", "latent_mmd"}
    facts = json.loads(run("models", "show", target, store=store).stdout)
    assert facts["architecture"].startswith("article-dcgan")
    run("models", "verify", target, store=store)
