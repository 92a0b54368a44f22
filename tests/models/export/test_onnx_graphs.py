"""The exported graphs against torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from inspector.bundle.records import Calibration
from inspector.errors import ParityError
from inspector.scoring.runtime import DetectorSession
from models.export import onnx_graphs
from models.inspection.build import Graphs, assemble, folded
from models.inspection.detector import COLUMNS, Normalise, pooled
from models.inspection.memory_bank import KernelDistance
from models.inspection.network import InspectionNetwork


def calibration(threshold: float = 1.0) -> Calibration:
    """Numbers under which the first statistic is the score."""
    return Calibration(
        center=(0.0,) * len(COLUMNS),
        scale=(1.0,) * len(COLUMNS),
        fused=("reconstruction",),
        threshold=threshold,
        map_limit=1.0,
        map_ceiling=2.0,
        asked_false_reject_rate=0.05,
        promised_false_reject_rate=0.05,
        promise_kept=True,
        images_missing=0,
        heldout_scores=(0.5,),
        source="a test",
        created="2026-01-01T00:00:00+00:00",
    )


@pytest.fixture(scope="module")
def graphs(pixels: NDArray[np.uint8]) -> Graphs:
    """Graphs of a network with random weights and measured units."""
    torch.manual_seed(0)
    network = InspectionNetwork(8, 12)
    network(torch.rand(8, 3, 64, 64))  # gives batch norm something to remember
    return assemble(
        network.eval(), 0.4, pixels, np.arange(10), np.arange(12), seed=0, heldout=np.array([], np.intp)
    )


@pytest.fixture(scope="module")
def folder(graphs: Graphs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the three graphs were written to."""
    target = tmp_path_factory.mktemp("graphs")
    onnx_graphs.write_graphs(graphs, target, 64)
    return target


def test_torch_and_onnx_agree(graphs: Graphs, folder: Path, pixels: NDArray[np.uint8]) -> None:
    """Statistics, maps and latents agree within 1e-3, for any batch size."""
    graph = DetectorSession(folder / "detector.onnx", 1)
    for count in (1, 2, 5):
        raw = graph.run(pixels[:count])
        with torch.no_grad():
            expected = graphs.detector(torch.from_numpy(pixels[:count]))
        for got, want in zip((raw.statistics, raw.anomaly_map, raw.latent), expected, strict=True):
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-3, atol=1e-3)


def test_the_contract_of_the_graph(folder: Path) -> None:
    """One input `image`, uint8 (N, H, W, 3), of which only N is free."""
    session = onnxruntime.InferenceSession(str(folder / "detector.onnx"))
    (image,) = session.get_inputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert image.shape[1:] == [64, 64, 3]
    assert isinstance(image.shape[0], str)
    assert [output.name for output in session.get_outputs()] == ["statistics", "anomaly_map", "latent"]


def test_encoder_and_decoder_fit_together(folder: Path, pixels: NDArray[np.uint8]) -> None:
    """Picture to codes to picture, through the two graphs alone."""
    encoder = onnxruntime.InferenceSession(str(folder / "encoder.onnx"))
    decoder = onnxruntime.InferenceSession(str(folder / "decoder.onnx"))
    (codes,) = encoder.run(None, {"image": pixels[:3]})
    (copies,) = decoder.run(None, {"latent": codes})
    assert codes.shape == (3, 12, 4, 4)
    assert copies.shape == (3, 64, 64, 3)
    assert copies.dtype == np.uint8


def test_kernel_distance_is_the_mmd_to_the_nearest_code() -> None:
    """The smallest squared MMD between a code and one landmark is `2·(1 − exp(−distance))`, at each place."""
    torch.manual_seed(0)
    landmarks, z = torch.randn(50, 6, dtype=torch.float64), torch.randn(2, 6, 3, 4, dtype=torch.float64)
    reach = 3.0
    got = KernelDistance(landmarks, reach)(z)
    kernel = reach / (reach + torch.cdist(z.permute(0, 2, 3, 1).reshape(-1, 6), landmarks).square())
    expected = (2 - 2 * kernel).min(1).values.reshape(2, 1, 3, 4)
    torch.testing.assert_close(2 * (1 - torch.exp(-got)), expected)


def test_a_picture_is_not_compared_with_itself() -> None:
    """Landmarks that are marked as a picture's own do not count for it, and do for the others."""
    z = torch.randn(2, 6, 3, 4)
    distance = KernelDistance(z[0].flatten(1).T.contiguous(), 1.0)
    own = torch.tensor([[True] * 12, [False] * 12])
    own[0, 5] = False
    expected = (z[0] - z[0].flatten(1)[:, 5, None, None]).square().sum(0)
    torch.testing.assert_close(distance(z, own)[0, 0], torch.log1p(expected), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(distance(z, own)[1], distance(z)[1])


def test_batch_norm_goes_into_the_convolutions() -> None:
    """The folded copy computes the same without one batch norm in a block; the original keeps its own."""
    torch.manual_seed(1)
    network = InspectionNetwork(8, 12)
    for _ in range(3):
        network(torch.rand(8, 3, 64, 64))
    network.eval()
    copy = folded(network)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for got, want in zip(copy(x), network(x), strict=True):
            torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)

    def norms(module: InspectionNetwork) -> list[str]:
        return [name for name, part in module.named_modules() if isinstance(part, torch.nn.BatchNorm2d)]

    assert norms(copy) == ["encoder.trunk.fine_norm"]
    assert len(norms(network)) > 20


def test_brightness_is_taken_out_within_limits() -> None:
    """A darker copy is brought to the same brightness; a black picture stays finite."""
    picture = torch.randint(80, 160, (1, 16, 16, 3), dtype=torch.uint8)
    normalise = Normalise(0.5)
    both = normalise(torch.cat([picture, picture // 2]))
    assert float(both[0].mean()) == pytest.approx(0.5, abs=1e-4)
    torch.testing.assert_close(both[0], both[1], atol=0.02, rtol=0)
    assert torch.isfinite(normalise(torch.zeros_like(picture))).all()


def test_pooling_is_the_mean_of_the_largest_places() -> None:
    """Each share's column is the mean of that many largest values."""
    values = torch.arange(1000, dtype=torch.float32)[torch.randperm(1000)].reshape(1, 1, 20, 50)
    torch.testing.assert_close(pooled(values), torch.tensor([[999.0, 997.0]]))


def test_parity_passes_on_held_out_pictures(graphs: Graphs, folder: Path, pixels: NDArray[np.uint8]) -> None:
    """What was written is what was trained, with no flipped verdict."""
    rows = np.arange(10, 12)
    raw = onnx_graphs.score_rows(DetectorSession(folder / "detector.onnx", 1), pixels, rows)
    found = onnx_graphs.check_parity(graphs, raw, pixels, rows, calibration())
    assert found.images == 2
    assert found.verdict_flips == 0
    assert found.largest_relative_difference <= 1e-3


def test_a_flip_refuses_the_export() -> None:
    """Two scores on either side of the threshold, both beyond the tolerance, are refused."""
    trained = np.zeros((3, len(COLUMNS)), np.float32)
    exported = trained.copy()
    exported[1, 0] = 4.0
    with pytest.raises(ParityError, match="flips 1 of 3"):
        onnx_graphs.compare(trained, exported, calibration())


def test_a_difference_beyond_the_tolerance_refuses_the_export() -> None:
    """A statistic that differs by more than 1e-3 of its scale is refused; not-a-number is too."""
    trained = np.zeros((3, len(COLUMNS)), np.float32)
    for wrong in (2e-3, np.nan):
        exported = trained.copy()
        exported[2, 5] = wrong
        with pytest.raises(ParityError):
            onnx_graphs.compare(trained, exported, calibration())
