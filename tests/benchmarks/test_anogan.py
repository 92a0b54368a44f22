"""AnoGAN learns, gives the same result each time, and its search lowers the distance."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from inspector.demo.photograph import render
from inspector.types import Pixels
from models.article.batches import PictureSampler
from models.training.course import Plan
from tests.benchmarks.anogan import AnoGan, train_anogan

SMALL = {"latent_dim": 4, "width": 16}


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    """Good parts, uint8 (8, 64, 64, 3)."""
    return np.stack([render(seed, size=64).picture for seed in range(8)])


def test_a_search_goes_downhill(pictures: Pixels) -> None:
    """The found picture is nearer than the best of the draws, for every picture."""
    gan, steps = train_anogan(pictures, Plan(40), **SMALL)  # batch norm has settled
    before, after = gan.search(pictures, steps=0), gan.search(pictures, steps=20)
    assert steps == 40
    assert np.all(after.fused < before.fused)
    np.testing.assert_allclose(after.fused, 0.9 * after.residual + 0.1 * after.features, rtol=1e-6)


def test_the_residual_is_that_of_the_generators_pictures(pictures: Pixels) -> None:
    """Pictures of drawn latents are found without a step, except for rounding to 8 bits."""
    gan, _ = train_anogan(pictures, Plan(2), **SMALL)
    z = torch.randn(256, 4, generator=torch.Generator().manual_seed(gan.seed))[:3]
    made = gan.generator.eval()(z).detach()
    own = ((made + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    found = gan.search(own, steps=0)
    assert np.all(found.residual < 1 / 255)
    assert np.all(gan.search(pictures, steps=0).residual > 10 / 255)


def test_a_search_leaves_the_networks_as_they_are(pictures: Pixels) -> None:
    """Neither weights nor batch-norm statistics move, and a picture's score does not depend on the others."""
    gan, _ = train_anogan(pictures, Plan(2), **SMALL)
    before = copy.deepcopy(gan.state())
    all_of_them, one = gan.search(pictures, steps=3), gan.search(pictures[2:3], steps=3)
    after = gan.state()
    for part in ("0", "1"):
        assert all(torch.equal(before[part][name], after[part][name]) for name in before[part])
    assert one.fused[0] == pytest.approx(all_of_them.fused[2], rel=1e-4)


def test_both_networks_learn_and_a_copy_goes_on_alike(pictures: Pixels) -> None:
    """A step changes both networks; a learner with the same state takes the same next step."""
    sampler = PictureSampler(pictures, np.arange(8), flip=False, seed=0)
    gan = AnoGan(**SMALL)
    start = copy.deepcopy(gan.state())
    gan.learn(sampler.draw(0), 0, None)
    for part, name in (("0", "from_latent.weight"), ("1", "to_latent.weight")):
        assert not torch.equal(start[part][name], gan.state()[part][name])
    other = AnoGan(**SMALL, seed=0)
    other.restore(copy.deepcopy(gan.state()))
    assert gan.learn(sampler.draw(1), 1, None) == other.learn(sampler.draw(1), 1, None)
