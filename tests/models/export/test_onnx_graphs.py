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
from models.export.scoring_model import ScoringModel
from models.inspection import components
from models.inspection.build import folded
from models.inspection.detector import Normalise
from models.inspection.features import features_of
from models.inspection.network import InspectionNetwork

COLUMNS = components.columns()


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


def test_torch_and_onnx_agree(model: ScoringModel, exported: Path, pixels: NDArray[np.uint8]) -> None:
    """Statistics, maps and latents agree within 1e-3, for any batch size."""
    graph = DetectorSession(exported / "detector.onnx", 1)
    for count in (1, 2, 5):
        raw = graph.run(pixels[:count])
        with torch.no_grad():
            expected = model.detector(torch.from_numpy(pixels[:count]))
        for got, want in zip((raw.statistics, raw.anomaly_map, raw.latent), expected, strict=True):
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-3, atol=1e-3)


def test_the_contract_of_the_graph(exported: Path) -> None:
    """The graph has one input, `image`, uint8 (N, H, W, 3); only N may vary."""
    session = onnxruntime.InferenceSession(str(exported / "detector.onnx"))
    (image,) = session.get_inputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert image.shape[1:] == [64, 64, 3]
    assert isinstance(image.shape[0], str)
    assert [output.name for output in session.get_outputs()] == ["statistics", "anomaly_map", "latent"]


def test_encoder_and_decoder_fit_together(exported: Path, pixels: NDArray[np.uint8]) -> None:
    """The two graphs alone turn a picture into a latent, and the latent into a picture."""
    encoder = onnxruntime.InferenceSession(str(exported / "encoder.onnx"))
    decoder = onnxruntime.InferenceSession(str(exported / "decoder.onnx"))
    (latents,) = encoder.run(None, {"image": pixels[:3]})
    (reconstructions,) = decoder.run(None, {"latent": latents})
    assert latents.shape == (3, 12, 4, 4)
    assert reconstructions.shape == (3, 64, 64, 3)
    assert reconstructions.dtype == np.uint8


def test_batch_norm_goes_into_the_convolutions() -> None:
    """The folded copy computes the same without one batch norm in a block; the original keeps its own."""
    torch.manual_seed(1)
    network = InspectionNetwork(12, 8)
    for _ in range(3):
        network.decoder(network.encoder(torch.rand(8, 3, 64, 64)))
    network.eval()
    copy = folded(network)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for got, want in zip(features_of(copy, x), features_of(network, x), strict=True):
            torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)

    def norms(module: InspectionNetwork) -> list[str]:
        return [name for name, part in module.named_modules() if isinstance(part, torch.nn.BatchNorm2d)]

    assert norms(copy) == ["encoder.trunk.fine_norm"]
    assert len(norms(network)) == 20


def test_brightness_is_taken_out_within_limits() -> None:
    """A darker copy is brought to the same brightness; a black picture stays finite."""
    picture = torch.randint(80, 160, (1, 16, 16, 3), dtype=torch.uint8)
    normalise = Normalise(0.5)
    both = normalise(torch.cat([picture, picture // 2]))
    assert float(both[0].mean()) == pytest.approx(0.5, abs=1e-4)
    torch.testing.assert_close(both[0], both[1], atol=0.02, rtol=0)
    assert torch.isfinite(normalise(torch.zeros_like(picture))).all()


def test_parity_passes_on_every_fold(model: ScoringModel, exported: Path, pixels: NDArray[np.uint8]) -> None:
    """With the constants of each fold the exported graph scores as torch does, far within the tolerance."""
    raw = onnx_graphs.score_by_folds(
        exported / "detector.onnx", 1, pixels, model.calibration_rows, model.calibration_folds
    )
    expected = model.calibration_scores.statistics
    found = onnx_graphs.check_parity(expected, raw.statistics, calibration(), model.columns)
    assert found.images == 11  # one of each duplicate group
    assert found.verdict_flips == 0
    assert found.largest_relative_difference <= 1e-4


def test_a_flip_refuses_the_export() -> None:
    """Two scores on either side of the threshold, both beyond the tolerance, are refused."""
    trained = np.zeros((3, len(COLUMNS)), np.float32)
    exported = trained.copy()
    exported[1, 0] = 4.0
    with pytest.raises(ParityError, match="flips 1 of 3"):
        onnx_graphs.check_parity(trained, exported, calibration(), COLUMNS)


def test_a_difference_beyond_the_tolerance_refuses_the_export() -> None:
    """A statistic that differs by more than 1e-3 of its scale is refused; not-a-number is too."""
    trained = np.zeros((3, len(COLUMNS)), np.float32)
    for wrong in (2e-3, np.nan):
        exported = trained.copy()
        exported[2, 5] = wrong
        with pytest.raises(ParityError):
            onnx_graphs.check_parity(trained, exported, calibration(), COLUMNS)
