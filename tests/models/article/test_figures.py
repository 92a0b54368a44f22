"""The figures of a fit of the article's preset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.imaging.sharpness import sharpness
from models.article.batches import PictureSampler, to_tensor
from models.article.figures import (
    cross_scaled,
    figures,
    one_of_each,
    prior_match,
    reconstruct,
    spread,
)
from models.article.learner import ArticleLearner
from tests.models.article.conftest import TINY


def test_figures_are_those_of_the_formulas(pictures: PictureSampler, pixels: NDArray[np.uint8]) -> None:
    """Held-out squared error and that of the mean training picture, computed a second time with numpy."""
    network = ArticleLearner(TINY).network
    found, errors = figures(network, pixels, np.arange(10), np.arange(10, 12), np.arange(12))
    assert len(errors) == 2
    assert found["heldout_squared_error"] == pytest.approx(sum(errors) / 2)
    x = pixels.astype(np.float64) / 127.5 - 1
    baseline = ((x[10:] - x[:10].mean(0)) ** 2).sum((1, 2, 3)).mean()
    with torch.no_grad():
        x_hat = network.eval()(to_tensor(pixels[10:])).permute(0, 2, 3, 1).numpy()
    error = ((x_hat - x[10:]) ** 2).sum((1, 2, 3)).mean()
    assert found["mean_picture_squared_error"] == pytest.approx(baseline, rel=1e-5)
    assert found["heldout_squared_error"] == pytest.approx(error, rel=1e-5)
    assert found["error_reduction"] == pytest.approx(1 - error / baseline, rel=1e-4, abs=1e-5)
    sharp = [sharpness(picture) for picture in pixels[10:]]
    assert found["picture_sharpness"] == pytest.approx(min(sharp))
    assert found["picture_sharpness_mean"] == pytest.approx(np.mean(sharp))
    assert 0 <= found["copy_sharpness"] <= found["copy_sharpness_mean"]
    assert found["prior_match_pictures"] == 2
    assert 0 < found["prior_match_p_value"] <= 1


def test_near_duplicates_count_once(pixels: NDArray[np.uint8]) -> None:
    """The prior match uses one picture of each duplicate group, and needs two groups."""
    assert one_of_each(np.array([5, 5, 2, 5, 2, 9])).tolist() == [0, 2, 5]
    alike = np.concatenate([np.arange(10), [10, 10]])
    found, _ = figures(ArticleLearner(TINY).network, pixels, np.arange(10), np.arange(10, 12), alike)
    assert "prior_match_p_value" not in found
    assert "heldout_squared_error" in found


def test_latents_do_not_set_their_own_scale() -> None:
    """Each half of the latents is divided by the spread of the other; draws of any width then match."""
    assert cross_scaled(np.array([[3.0, 4.0], [1.0, -1.0]])) == pytest.approx(
        np.array([[3.0, 4.0], [1 / 12.5**0.5, -1 / 12.5**0.5]])
    )
    rng = np.random.default_rng(0)
    for width in (0.5, 1.0, 3.0):
        draws = width * rng.normal(size=(50, 16))
        assert spread(draws) == pytest.approx(width, rel=0.1)
        assert prior_match(cross_scaled(draws)) > 0.01
    assert prior_match(cross_scaled(rng.exponential(size=(50, 16)))) < 0.01
    assert np.all(np.isfinite(cross_scaled(np.zeros((4, 2)))))


def test_reconstructing_changes_nothing(pictures: PictureSampler, pixels: NDArray[np.uint8]) -> None:
    """Reconstructing leaves mode, weights and batch-norm statistics as they were."""
    learner = ArticleLearner(TINY)
    learner.learn(pictures.draw(0), 0, 5)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    z, x_hat = reconstruct(learner.network, to_tensor(pixels))
    assert learner.network.training
    assert (z.shape, x_hat.shape) == ((12, 3), (12, 3, 64, 64))
    assert all(value.equal(before[name]) for name, value in learner.network.state_dict().items())


def test_latents_off_the_prior_are_rejected() -> None:
    """Shifted, shrunken and collapsed latents are rejected at 1 %; draws of the prior are not."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(60, 8))
    collapsed = draws[:, :2] @ rng.normal(size=(2, 8)) / np.sqrt(2)
    for off in (draws + 0.7, 0.6 * draws, collapsed):
        assert prior_match(off) < 0.01
    rejected = sum(prior_match(rng.normal(size=(30, 8)), seed=seed) < 0.01 for seed in range(20))
    assert rejected <= 2
