"""The pretrained weights beside the code, and the file that they are written to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from inspector.errors import StorageError
from models.inspection.network import TRUNK_WIDTH, Trunk
from models.pretrained.weights import TRUNK_WEIGHTS, load_trunk, write_weights


def test_the_shipped_weights_fit_the_default_network() -> None:
    """They load into the trunk of a fit, are finite, and the file is small."""
    trunk = Trunk(TRUNK_WIDTH)
    load_trunk(trunk)
    assert all(bool(value.isfinite().all()) for value in trunk.state_dict().values())
    assert 1e6 < TRUNK_WEIGHTS.stat().st_size < 8e6


def test_written_weights_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trunk that loads a written file has its weights, and the file keeps the card."""
    torch.manual_seed(0)
    trunk, other = Trunk(TRUNK_WIDTH), Trunk(TRUNK_WIDTH)
    write_weights(trunk, tmp_path / "trunk.safetensors", {"seed": "0", "steps": "3"})
    monkeypatch.setattr("models.pretrained.weights.TRUNK_WEIGHTS", tmp_path / "trunk.safetensors")
    load_trunk(other)
    pairs = zip(trunk.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(a.equal(b) for a, b in pairs)
    with safe_open(tmp_path / "trunk.safetensors", "pt") as file:
        assert json.loads(file.metadata()["card"]) == {"seed": "0", "steps": "3"}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says which file cannot be written."""
    with pytest.raises(StorageError, match=r"no-folder/trunk\.safetensors"):
        write_weights(Trunk(TRUNK_WIDTH), tmp_path / "no-folder" / "trunk.safetensors", {})
