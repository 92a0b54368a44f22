"""Pictures, a sampler and one exported model that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.demo.photograph import render
from models.export.onnx_graphs import write_graphs
from models.export.scoring_model import ScoringModel
from models.inspection.batches import CropSampler
from models.inspection.build import build
from models.inspection.network import InspectionNetwork
from tests.conftest import MakeOnce

TRAINING, HELDOUT = np.arange(7), np.arange(7, 12)
# Two held-out pictures are near-duplicates; every other picture is a group of its own.
GROUPS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10])


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """Twelve good parts, uint8 (12, 64, 64, 3)."""
    return np.stack([render(seed, size=64).picture for seed in range(12)])


@pytest.fixture
def sampler(pixels: NDArray[np.uint8]) -> CropSampler:
    """Batches of four from the first ten."""
    return CropSampler(pixels, np.arange(10), crop=64, batch=4, flips=(True, True, True), seed=3)


@pytest.fixture(scope="session")
def network() -> InspectionNetwork:
    """A small network with random weights, whose batch norm has seen pictures."""
    torch.manual_seed(0)
    network = InspectionNetwork(8, 12)
    network(torch.rand(8, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="session")
def model(network: InspectionNetwork, pixels: NDArray[np.uint8]) -> ScoringModel:
    """A model of that network, with seven training and five held-out pictures."""
    return build(network, 0.4, pixels, TRAINING, HELDOUT, GROUPS, seed=0)


@pytest.fixture(scope="session")
def exported(model: ScoringModel, make_once: MakeOnce) -> Path:
    """The folder with the model's three graphs."""
    return make_once("exported", lambda folder: write_graphs(model, folder, 64))
