"""What a fit of the article's preset is judged by."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.imaging.sharpness import sharpness
from models.article.batches import PictureSampler, to_tensor
from models.article.figure import copies, crossed, figures, one_of_each, prior_match, spread
from models.article.network import ArticleLearner
from tests.models.article.conftest import TINY


def test_figures_are_those_of_the_formulas(pictures: PictureSampler, pixels: NDArray[np.uint8]) -> None:
    """Held-out squared error and that of the mean training picture, computed a second time with numpy."""
    network = ArticleLearner(TINY).network
    found = figures(network, pixels, np.arange(10), np.arange(10, 12), np.arange(12))
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
    """A test of independent rows gets one picture of each group, and nothing where there is one group."""
    assert one_of_each(np.array([5, 5, 2, 5, 2, 9])).tolist() == [0, 2, 5]
    alike = np.concatenate([np.arange(10), [10, 10]])
    found = figures(ArticleLearner(TINY).network, pixels, np.arange(10), np.arange(10, 12), alike)
    assert "prior_match_p_value" not in found
    assert "heldout_squared_error" in found


def test_a_spread_that_was_set_by_the_same_pictures_does_not_vouch_for_itself() -> None:
    """Each half of the codes is divided by the spread of the other; draws of any width then match."""
    assert crossed(np.array([[3.0, 4.0], [1.0, -1.0]])) == pytest.approx(
        np.array([[3.0, 4.0], [1 / 12.5**0.5, -1 / 12.5**0.5]])
    )
    rng = np.random.default_rng(0)
    for width in (0.5, 1.0, 3.0):
        draws = width * rng.normal(size=(50, 16))
        assert spread(draws) == pytest.approx(width, rel=0.1)
        assert prior_match(crossed(draws)) > 0.01
    assert prior_match(crossed(rng.exponential(size=(50, 16)))) < 0.01
    assert np.all(np.isfinite(crossed(np.zeros((4, 2)))))


def test_looking_changes_nothing(pictures: PictureSampler, pixels: NDArray[np.uint8]) -> None:
    """Mode, weights and batch-norm statistics are the same before and after copies are made."""
    learner = ArticleLearner(TINY)
    learner.learn(pictures.draw(0), 0, 5)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    codes, x_hat = copies(learner.network, to_tensor(pixels))
    assert learner.network.training
    assert (codes.shape, x_hat.shape) == ((12, 3), (12, 3, 64, 64))
    assert all(value.equal(before[name]) for name, value in learner.network.state_dict().items())


def test_codes_off_the_prior_are_rejected() -> None:
    """Shifted, shrunken and collapsed codes are rejected at 1 %, draws of the prior hardly ever."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(60, 8))
    collapsed = draws[:, :2] @ rng.normal(size=(2, 8)) / np.sqrt(2)
    for off in (draws + 0.7, 0.6 * draws, collapsed):
        assert prior_match(off) < 0.01
    rejected = sum(prior_match(rng.normal(size=(30, 8)), seed=seed) < 0.01 for seed in range(20))
    assert rejected <= 2
