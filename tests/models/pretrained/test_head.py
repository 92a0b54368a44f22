"""The training of the head's prior."""

from __future__ import annotations

from pathlib import Path

import torch

from models.inspection.network import InspectionNetwork
from models.pretrained.episodes import PICTURES, Episode
from models.pretrained.head import HeadPretraining, scene_distances
from models.pretrained.weights import HEAD_PRIOR, start_head_from_prior


def test_distances_are_to_good_places_of_the_scenes_other_pictures() -> None:
    """As a loop finds them: own places and spoilt ones do not count, and C is the good places' median."""
    generator = torch.Generator().manual_seed(3)
    codes = torch.randn(2 * PICTURES, 5, 3, 4, generator=generator)
    label = (torch.rand(2 * PICTURES, 1, 3, 4, generator=generator) < 0.3).float()
    got = scene_distances(codes, label)
    for scene in range(2):
        first = scene * PICTURES
        nearest = torch.empty(PICTURES, 12)
        for i in range(PICTURES):
            others = [j for j in range(PICTURES) if j != i]
            flat = {j: codes[first + j].flatten(1).T for j in range(PICTURES)}
            good = torch.cat([flat[j][label[first + j].flatten() == 0] for j in others])
            nearest[i] = torch.cdist(flat[i], good).square().min(1).values
        kept = nearest[label[first : first + PICTURES].flatten(1) == 0]
        expected = torch.log1p(nearest / kept.median()).reshape(PICTURES, 1, 3, 4)
        torch.testing.assert_close(got[first : first + PICTURES], expected, atol=1e-4, rtol=1e-4)


def test_a_resumed_run_ends_the_same_and_learns(tmp_path: Path) -> None:
    """Two runs from one checkpoint take the same step, repeating an episode is learned, the trunk stays."""
    pictures = torch.rand(2 * PICTURES, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    label = torch.zeros(2 * PICTURES, 1, 64, 64)
    pictures[:, :, 20:40, 20:40], label[..., 20:40, 20:40] = 1.0, 1.0
    episode = Episode(pictures, label)
    training = HeadPretraining(seed=1, steps=100)
    trunk = [value.clone() for value in training.encoder.state_dict().values()]
    first = training.learn(episode)
    training.save(tmp_path / "checkpoint.pt")
    second = training.learn(episode)
    resumed = HeadPretraining(seed=2, steps=100)
    resumed.resume(tmp_path / "checkpoint.pt")
    assert resumed.learn(episode) == second
    for _ in range(12):
        last = resumed.learn(episode)
    assert last["head"] < 0.8 * first["head"]
    assert all(a.equal(b) for a, b in zip(trunk, training.encoder.state_dict().values(), strict=True))


def test_the_shipped_head_fits_the_default_network() -> None:
    """The weights beside the code load into the head of a default fit, and are finite."""
    network = InspectionNetwork()
    start_head_from_prior(network.head)
    assert all(bool(value.isfinite().all()) for value in network.head.state_dict().values())
    assert HEAD_PRIOR.stat().st_size < 1e6
