"""What the head sees of distances while it learns, and the trunk that must not move meanwhile."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from models.inspection.batches import CropSampler
from models.inspection.neighbours import Neighbours
from models.inspection.train import TrainOptions, share_of_looks, start, train
from models.pretrained.weights import TRUNK_WEIGHTS
from models.training.course import Plan

OPTIONS = TrainOptions(latent_dim=8, threads=1)


def test_the_priors_trunk_stays_as_it_is(sampler: CropSampler, tmp_path: Path) -> None:
    """Every weight and every mean of batch norm is the file's after a training."""
    trained = train(sampler, OPTIONS, Plan(steps=3), tmp_path / "checkpoint.pt")
    expected = load_file(TRUNK_WEIGHTS)
    found = trained.network.encoder.trunk.state_dict()
    assert found.keys() == expected.keys()
    assert all(found[name].equal(expected[name]) for name in expected)


def test_a_trunk_that_learns_has_no_neighbours(sampler: CropSampler) -> None:
    """Its codes would leave the landmarks behind, so the head does without distances."""
    learner = start(TrainOptions(latent_dim=8, pretrained=False), sampler)
    assert learner.neighbours is None
    assert learner.network.head.from_distances is None
    assert start(OPTIONS, sampler).network.head.from_distances is not None


def test_a_crop_is_not_its_own_neighbour(sampler: CropSampler) -> None:
    """Good crops lie on landmarks of their own picture, which do not count, and some way from the others."""
    network = start(OPTIONS, sampler).network
    neighbours = Neighbours(network, sampler, 0, "cpu")
    crops, rows = sampler.good(8)
    with torch.no_grad():
        codes, wide = network.encoder(crops).fine, network.encoder.wide(crops)
        apart = neighbours.of(rows)(codes, wide)
        own = neighbours.of(torch.full_like(rows, -1))(codes, wide)
    assert apart.shape == (8, 2, 8, 8)
    assert bool((own <= apart + 1e-6).all())
    assert float(own.mean()) < 0.8 * float(apart.mean())


def test_good_crops_are_those_of_the_seed(sampler: CropSampler) -> None:
    """They are the same each time, come from the sampler's rows, and nothing is laid over them."""
    (first, rows), (second, again) = sampler.good(5), sampler.good(5)
    assert first.equal(second)
    assert rows.equal(again)
    assert set(rows.tolist()) <= set(range(10))
    assert sampler.draw(0).rows.shape == (4,)


def test_a_head_of_few_pictures_learns_slowly_in_a_long_training() -> None:
    """Up to the looks that it has all steps count in full; with four times as many, a quarter each."""
    assert share_of_looks(1600, 100, 16) == 1
    assert share_of_looks(1600, 400, 16) == 0.25
    assert share_of_looks(1600, None, 16) == share_of_looks(None, 400, 16) == 1
