"""Held-out pictures as landmarks: what later pictures gain, and that none vouches for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from inspector.demo.photograph import render
from inspector.scoring.runtime import DetectorSession
from models.export import onnx_graphs
from models.inspection.build import Graphs, assemble
from models.inspection.cross_fitting import NO_PART, PARTS, divide, graph_without, left_out
from models.inspection.detector import COLUMNS, DISTANCES, Maps
from models.inspection.memory_bank import BLOCK
from models.inspection.network import InspectionNetwork

TRAINING, HELDOUT = np.arange(7), np.arange(7, 12)
# Two held-out pictures look alike; the others are alone.
GROUPS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10])


@pytest.fixture(scope="module")
def network() -> InspectionNetwork:
    """One with random weights, and with batch norm that has seen something."""
    torch.manual_seed(0)
    network = InspectionNetwork(8, 12)
    network(torch.rand(8, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def graphs(network: InspectionNetwork, pixels: NDArray[np.uint8]) -> Graphs:
    """Graphs whose landmarks come from both sides."""
    return assemble(network, 0.4, pixels, TRAINING, GROUPS, seed=0, heldout=HELDOUT)


@pytest.fixture(scope="module")
def path(graphs: Graphs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their `detector.onnx`."""
    folder = tmp_path_factory.mktemp("both")
    onnx_graphs.write_graphs(graphs, folder, 64)
    return folder / "detector.onnx"


def test_parts_are_even_and_keep_look_alikes_together() -> None:
    """Each owner is in one part, and no part is larger than the others by more than one group."""
    owners = np.repeat(np.arange(40), [1, 2, 3, 1] * 10)
    parts = divide(owners)
    for owner in range(40):
        assert len(set(parts[owners == owner].tolist())) == 1
    sizes = np.bincount(parts, minlength=PARTS)
    assert sizes.max() - sizes.min() <= 3
    assert set(divide(np.array([5, 5, 5])).tolist()) == {0}


def test_every_landmark_has_its_part(graphs: Graphs) -> None:
    """Landmarks come from both sides, and those of look-alikes belong to one part."""
    assert graphs.parts is not None
    assert graphs.parts.pictures[0] == graphs.parts.pictures[1]
    for name, owned in zip(DISTANCES, graphs.parts.landmarks, strict=True):
        distance = getattr(graphs.detector.maps, name)
        squares = torch.cat(distance.squares)
        assert owned.shape == squares.shape
        assert set(owned.tolist()) == {NO_PART, *graphs.parts.pictures.tolist()}
        assert bool(squares.isfinite().all())


def test_a_heldout_picture_is_as_far_as_without_its_part(
    graphs: Graphs, path: Path, pixels: NDArray[np.uint8]
) -> None:
    """With all landmarks a held-out picture lies on its own; scored as one, it does not."""
    assert graphs.parts is not None
    everything = onnx_graphs.score_rows(DetectorSession(path, 1), pixels, HELDOUT).statistics
    apart = onnx_graphs.score_heldout(path, 1, pixels, HELDOUT, graphs.parts).statistics
    distances = slice(2, 8)
    assert (everything[:, distances] < apart[:, distances]).all()
    np.testing.assert_allclose(everything[:, :2], apart[:, :2], rtol=1e-4, atol=1e-4)
    for part, positions in graphs.parts.each():
        maps = graphs.detector.maps
        assert isinstance(maps, Maps)
        with left_out(maps, graphs.parts, part), torch.no_grad():
            torch_says = graphs.detector(torch.from_numpy(pixels[HELDOUT[positions]]))[0].numpy()
        np.testing.assert_allclose(torch_says, apart[positions], rtol=1e-3, atol=1e-3)


def test_later_pictures_only_come_nearer(graphs: Graphs, path: Path) -> None:
    """What is compared with all landmarks is never farther than without some of them.

    Statistics of the latent say so at once; those of the fine codes are relative to the picture's mean, so
    that their distances are asked.
    """
    assert graphs.parts is not None
    later, rows = np.stack([render(seed, size=64).picture for seed in range(30, 35)]), np.arange(5)
    everything = onnx_graphs.score_rows(DetectorSession(path, 1), later, rows).statistics
    for part, _ in graphs.parts.each():
        with graph_without(path, graphs.parts, part) as fewer:
            found = onnx_graphs.score_rows(DetectorSession(fewer, 1), later, rows).statistics
            constants = {value.name: value for value in onnx.load(fewer).graph.initializer}
        latent = [i for i, column in enumerate(COLUMNS) if column.component == "latent_mmd_coarse"]
        assert (everything[:, latent] <= found[:, latent] + 1e-4).all()
        for name, owned in zip(DISTANCES, graphs.parts.landmarks, strict=True):
            blocks = [f"maps.{name}.blocks.{i}.squares" for i in range(-(-len(owned) // BLOCK))]
            squares = np.concatenate([numpy_helper.to_array(constants[each]) for each in blocks])
            np.testing.assert_array_equal(np.isinf(squares), owned == part)
        maps = graphs.detector.maps
        assert isinstance(maps, Maps)
        codes = torch.randn(2, maps.fine.axes.shape[0], 4, 4, generator=torch.Generator().manual_seed(part))
        with torch.no_grad():
            near = [distance(codes) for distance in (maps.fine, maps.wide)]
            with left_out(maps, graphs.parts, part):
                far = [distance(codes) for distance in (maps.fine, maps.wide)]
        assert all(bool((one <= other + 1e-6).all()) for one, other in zip(near, far, strict=True))


def test_where_all_look_alike_each_picture_is_its_own(
    network: InspectionNetwork, pixels: NDArray[np.uint8]
) -> None:
    """One great group on both sides still leaves distances to others, and parts of even size."""
    alike = np.zeros(12, int)
    graphs = assemble(network, 0.4, pixels, TRAINING, alike, seed=0, heldout=HELDOUT)
    assert np.isfinite(graphs.training.statistics).all()
    assert graphs.parts is not None
    assert sorted(np.bincount(graphs.parts.pictures).tolist()) == [1, 1, 1, 2]
