"""The exported graphs of the article's auto-encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from inspector.scoring.runtime import DetectorSession
from models.article.batches import PictureSampler
from models.article.detector import COLUMNS, KernelDensity, build, errors
from models.article.learner import ArticleLearner
from models.article.warm_start import warm_start
from models.export import onnx_graphs
from models.export.scoring_model import ScoringModel
from tests.models.article.conftest import TINY

GROUPS = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])


@pytest.fixture(scope="module")
def learner(pictures: PictureSampler) -> ArticleLearner:
    """A learner whose latents differ from picture to picture."""
    learner = ArticleLearner(TINY)
    warm_start(learner, pictures)
    for step in range(20):  # enough for batch norm to know the pictures
        learner.learn(pictures.draw(step), step, 3)
    return learner


@pytest.fixture(scope="module")
def model(learner: ArticleLearner, pixels: NDArray[np.uint8]) -> ScoringModel:
    """Built on the first ten pictures, with the others held out."""
    return build(learner.network, pixels, np.arange(10), np.arange(10, 12), GROUPS)


@pytest.fixture(scope="module")
def folder(model: ScoringModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the three graphs were written to."""
    target = tmp_path_factory.mktemp("graphs")
    onnx_graphs.write_graphs(model, target, 64)
    return target


def kernel_distance(z: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """`k(z, z) − 2·mean_j k(z, r_j)` of latents (n, d), computed from torch's own distances."""
    distances, c = torch.cdist(z, sample).square(), 2 * z.shape[1]
    kernels = [s * c / (s * c + distances) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
    return len(kernels) - 2 * torch.stack(kernels).sum(0).mean(1)


def test_the_kernel_density_is_the_formula() -> None:
    """Plain distances and kernels give the same numbers."""
    sample, z = torch.randn(2, 20, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(KernelDensity(sample)(z)[:, 0], kernel_distance(z, sample))


def test_own_rows_of_the_sample_do_not_count() -> None:
    """The mean is taken over the rows that are not marked."""
    sample = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = KernelDensity(sample)(sample, torch.eye(6, dtype=torch.bool))
    for i in range(6):
        others = sample[torch.arange(6) != i]
        torch.testing.assert_close(found[i], kernel_distance(sample[i : i + 1], others))


def test_the_distance_rises_away_from_the_sample() -> None:
    """A latent amid the sample has a smaller distance than one at its edge or one far off."""
    sample = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    score = KernelDensity(sample)(torch.tensor([[0.0] * 4, [2.0] * 4, [9.0] * 4]))[:, 0]
    assert score[0] < score[1] < score[2]


def test_torch_and_onnx_agree(model: ScoringModel, folder: Path, pixels: NDArray[np.uint8]) -> None:
    """Statistics, maps and latents agree for any batch size, and have the contract's names and shapes."""
    graph = DetectorSession(folder / "detector.onnx", 1)
    for count in (1, 2, 5):
        raw = graph.run(pixels[:count])
        assert raw.statistics.shape == (count, len(COLUMNS))
        assert raw.anomaly_map.shape == (count, 32, 32)
        assert raw.latent.shape == (count, 3)
        with torch.no_grad():
            expected = model.detector(torch.from_numpy(pixels[:count]))
        for got, want in zip((raw.statistics, raw.anomaly_map, raw.latent), expected, strict=True):
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-3, atol=1e-3)
    session = onnxruntime.InferenceSession(str(folder / "detector.onnx"))
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(uint8)", [64, 64, 3])


def test_encoder_and_decoder_fit_together(
    folder: Path, pixels: NDArray[np.uint8], learner: ArticleLearner
) -> None:
    """Both graphs together give the reconstruction of the networks, rounded."""
    encoder = onnxruntime.InferenceSession(str(folder / "encoder.onnx"))
    decoder = onnxruntime.InferenceSession(str(folder / "decoder.onnx"))
    (latents,) = encoder.run(None, {"image": pixels[:3]})
    (copies,) = decoder.run(None, {"latent": latents})
    assert latents.shape == (3, 3)
    assert (copies.shape, copies.dtype) == ((3, 64, 64, 3), np.uint8)
    with torch.no_grad():
        x_hat = learner.network(torch.from_numpy(pixels[:3]).permute(0, 3, 1, 2).float() / 127.5 - 1)
    expected = ((x_hat + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(copies - expected).max() <= 0.51


def test_training_pictures_are_scored_without_their_own_latents(
    model: ScoringModel, learner: ArticleLearner, pixels: NDArray[np.uint8]
) -> None:
    """The distance of a training picture leaves out its own latent and that of its near-duplicate."""
    with torch.no_grad():
        _, z = errors(learner.network, torch.from_numpy(pixels[:10]))
        without = KernelDensity(z)(z[:1], torch.from_numpy(GROUPS[None, :10] == 0))
    assert model.training.statistics[0, -1] == pytest.approx(float(without), rel=1e-5)
    assert model.training.statistics[0, -1] > float(KernelDensity(z)(z[:1]))


def test_the_map_is_in_units_of_the_training_pictures(model: ScoringModel) -> None:
    """It is about 0 in training, and the first column is the mean of its top patches."""
    flat = np.sort(model.training.anomaly_map.reshape(10, -1), axis=1)
    np.testing.assert_allclose(model.training.statistics[:, 0], flat[:, -20:].mean(1), rtol=1e-5)
    assert abs(flat.mean()) < 0.2


def test_the_second_column_is_the_articles_error(model: ScoringModel, learner: ArticleLearner) -> None:
    """The column is the mean squared error of the whole picture, in one unit for all pictures."""
    pixels = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        statistics = model.detector(pixels)[0]
        x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        error = (learner.network(x) - x).square().mean((1, 2, 3))
    ratio = statistics[:, 1] / error
    torch.testing.assert_close(ratio, ratio[:1].expand(4), rtol=1e-4, atol=0)
