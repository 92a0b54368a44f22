"""What both trainings on invented scenes share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models.pretrained import schooling, trunk


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line: scenes are rendered, a checkpoint is kept, weights are written with a card."""
    monkeypatch.setattr(schooling, "CHECKPOINT_STEPS", 1)

    def trained(work: str, stop: int) -> dict[str, torch.Tensor]:
        output = tmp_path / f"{work}.safetensors"
        words = ["--scenes", "8", "--threads", "1", "--steps", "4", "--stop", str(stop)]
        monkeypatch.setattr("sys.argv", ["", str(tmp_path / work), "--output", str(output), *words])
        assert trunk.main() == 0
        return load_file(output)

    whole = trained("whole", 2)
    trained("parts", 1)
    resumed = trained("parts", 2)
    assert all(whole[name].equal(resumed[name]) for name in whole)
    with safe_open(tmp_path / "parts.safetensors", "pt") as file:
        assert file.metadata()["steps"] == "2 of 4"
