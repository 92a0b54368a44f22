"""Pictures, networks, examples and one exported model that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.demo.photograph import render
from models.export.onnx_graphs import write_graphs
from models.export.scoring_model import ScoringModel
from models.inspection import components
from models.inspection.build import build
from models.inspection.cross_fitting import HEADS
from models.inspection.examples import Examples, ExampleSampler, make_examples
from models.inspection.features import trunk_features
from models.inspection.learner import new_network
from models.inspection.network import TRUNK_WIDTH, Head, InspectionNetwork, evidence
from models.inspection.normal_model import map_of
from models.inspection.normals import Normals, learn_normals
from models.inspection.options import InspectionOptions
from tests.conftest import MakeOnce

SMALL = InspectionOptions(width=8, latent_dim=12, image_size=64, device="cpu")
ALL, HELDOUT = np.arange(12), np.arange(7, 12)
# Two pictures are near-duplicates; every other picture is a group of its own.
GROUPS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10])
SINGLE = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11])


def silent(_done: int, _total: int) -> None:
    """Report nothing."""


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """Twelve good parts, uint8 (12, 64, 64, 3)."""
    return np.stack([render(seed, size=64).picture for seed in range(12)])


@pytest.fixture(scope="session")
def network() -> InspectionNetwork:
    """A small network with the pretrained trunk, whose decoder has random weights and has seen latents."""
    torch.manual_seed(0)
    network = new_network(SMALL)
    network.decoder.train()(torch.randn(8, 12, 4, 4))
    return network.eval()


@pytest.fixture(scope="session")
def normals(network: InspectionNetwork, pixels: NDArray[np.uint8]) -> Normals:
    """The normal models of the twelve parts."""
    early = [each for each in components.learned() if not each.of_latents]
    return learn_normals(network.encoder.trunk, early, pixels, ALL, GROUPS, 0, progress=silent)


@pytest.fixture(scope="session")
def heads(network: InspectionNetwork, normals: Normals, pixels: NDArray[np.uint8]) -> list[Head]:
    """Heads for the folds and a final one, with random weights, whose batch norm has seen pictures."""
    torch.manual_seed(0)
    with torch.no_grad():
        seen = trunk_features(network.encoder.trunk, normals.normalise(torch.from_numpy(pixels)))
        maps = evidence([map_of(normals.models, each, seen) for each in components.EVIDENCE])
        found = [Head(TRUNK_WIDTH) for _ in range(HEADS + 1)]
        for head in found:
            for _ in range(20):
                head(seen.s4, seen.s8, maps)
    return [head.eval() for head in found]


@pytest.fixture(scope="session")
def examples(network: InspectionNetwork, normals: Normals, pixels: NDArray[np.uint8]) -> Examples:
    """Sixteen examples of the twelve parts."""
    return make_examples(network.encoder.trunk, normals, pixels, 16, 0, progress=silent)


@pytest.fixture
def sampler(examples: Examples, normals: Normals) -> ExampleSampler:
    """Batches of these examples; the auto-encoder sees the first seven parts."""
    return ExampleSampler(examples, normals, np.arange(7), 3)


@pytest.fixture(scope="session")
def model(
    network: InspectionNetwork, heads: list[Head], normals: Normals, pixels: NDArray[np.uint8]
) -> ScoringModel:
    """A model of these networks, whose thresholds come from all parts."""
    return build(network, heads, normals, pixels, ALL, SINGLE, HELDOUT, 0, split=False, progress=silent)


@pytest.fixture(scope="session")
def exported(model: ScoringModel, make_once: MakeOnce) -> Path:
    """The folder with the model's three graphs."""
    return make_once("exported", lambda folder: write_graphs(model, folder, 64))
