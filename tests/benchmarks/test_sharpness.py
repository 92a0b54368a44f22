"""The table of sharpness is that of the models' own figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import sharpness
from tests.benchmarks.sharpness import main, table


def test_the_table_has_means_and_the_seeds_figures() -> None:
    """One row for each auto-encoder."""
    fits = [
        {
            "copy_sharpness_mean": 100.0 + seed,
            "copy_sharpness": 10.0,
            "sample_sharpness_mean": 90.0,
            "heldout_squared_error": 1000.0,
            "picture_sharpness_mean": 400.0,
        }
        for seed in (0, 2)
    ]
    shown = table({"VAE": fits})
    assert "| VAE | 101 (100, 102) | 10 (10, 10) | 90 (90, 90) | 1000 (1000, 1000) |" in shown
    assert shown.endswith("The held-out pictures themselves: 400 in the mean.")


def test_a_run(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes the requested fits; a folder that does not exist is an error in one line."""
    monkeypatch.setattr(sharpness, "REGULARIZERS", {"VAE": "kl"})
    folder = str(data / "flange" / "train" / "good")
    assert main([folder, "--steps", "1", "--seeds", "3", "--width", "8"]) == 0
    assert "| VAE | " in capsys.readouterr().out
    assert main([str(data / "flange" / "nowhere"), "--steps", "1"]) == 4
    assert capsys.readouterr().err.startswith("error: ")
