"""The training of the prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.inspection.network import InspectionNetwork, Trunk
from models.pretrained.episodes import PICTURES, Episode
from models.pretrained.schooling import write_prior
from models.pretrained.trunk import Pretraining, detail, identity, place, ranking, second_look
from models.pretrained.weights import PRIOR, PRIOR_WIDTH, start_from_prior


def generator() -> torch.Generator:
    """The same chance for every call."""
    return torch.Generator().manual_seed(0)


def two_scenes(bad: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of two scenes whose places are alike, but for one place in each picture that is `bad` away."""
    torch.manual_seed(0)
    codes = 0.1 * torch.randn(2 * PICTURES, 8, 8, 8)
    codes[PICTURES:, 0] += 5  # the second scene is another material
    label = torch.zeros(2 * PICTURES, 1, 8, 8)
    label[:, :, 3, 3:5] = 1
    codes[:, 1, 3, 3:5] += bad
    return codes, label


def test_the_ranking_wants_bad_places_far_from_good_ones() -> None:
    """The farther the bad places are from the scene's good ones, the smaller the loss, down to nothing."""
    losses = [float(ranking(*two_scenes(bad), 1, generator())) for bad in (0.0, 0.5, 5.0, 500.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0.2 > 0.01 > losses[-1]


def test_without_bad_places_there_is_nothing_to_rank() -> None:
    """An episode of good pictures has a loss of zero."""
    codes, label = two_scenes(1.0)
    assert float(ranking(codes, torch.zeros_like(label), 1, generator())) == 0


def test_the_identity_wants_scenes_apart() -> None:
    """Two materials that look alike cost the logarithm of two, two that differ nearly nothing."""
    codes, label = two_scenes(0.0)
    alike = codes.clone()
    alike[PICTURES:, 0] -= 5
    assert float(identity(alike, label, generator())) == pytest.approx(0.69, abs=0.25)
    assert float(identity(codes, label, generator())) < 0.05


def test_the_place_loss_wants_each_place_found_again() -> None:
    """It is near 0 for two looks with the same codes, and at chance for unrelated ones."""
    codes = 10 * torch.randn(2, 8, 6, 6, generator=generator())
    assert float(place(codes, codes)) < 0.01
    shuffled = codes.flip(2)
    assert float(place(codes, shuffled)) > np.log(16)


def test_the_detail_loss_does_not_count_light() -> None:
    """A brighter picture, and one of twice the contrast, ask for the same drawing."""
    x = torch.rand(2, 3, 32, 32, generator=generator())
    drawn = torch.randn(2, 3, 32, 32, generator=generator())
    wanted = float(detail(drawn, 4 * x))
    assert float(detail(drawn, 4 * x + 3.0)) == pytest.approx(wanted, rel=1e-4)
    assert float(detail(drawn, 8 * x)) == pytest.approx(wanted, rel=0.02)


def test_a_second_look_is_one_picture_of_each_scene() -> None:
    """The rows fall into one scene each, and the look differs from the picture by light and noise."""
    x = torch.rand(3 * PICTURES, 3, 32, 32, generator=generator())
    chosen, again = second_look(x, generator())
    assert (chosen // PICTURES).tolist() == [0, 1, 2]
    assert again.shape == (3, 3, 32, 32)
    assert 0 < float((again - x[chosen]).abs().mean()) < 0.2


def test_a_step_lowers_the_loss_and_a_resumed_run_ends_the_same(tmp_path: Path) -> None:
    """Two runs from one checkpoint take the same step, and repeating an episode is learned."""
    pictures = torch.rand(2 * PICTURES, 3, 64, 64, generator=generator())
    label = torch.zeros(2 * PICTURES, 1, 64, 64)
    pictures[:, :, 20:40, 20:40], label[..., 20:40, 20:40] = 1.0, 1.0
    episode = Episode(pictures, label)
    training = Pretraining(seed=1, steps=100)
    first = training.learn(episode)
    training.save(tmp_path / "checkpoint.pt")
    second = training.learn(episode)
    resumed = Pretraining(seed=2, steps=100)
    resumed.resume(tmp_path / "checkpoint.pt")
    assert resumed.learn(episode) == second
    for _ in range(12):
        last = resumed.learn(episode)
    assert last["fine"] < first["fine"]


def test_what_is_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trunk that starts from a written prior is that trunk."""
    trunk = Trunk(PRIOR_WIDTH)
    write_prior(trunk, tmp_path / "prior.safetensors", {"seed": "0"})
    monkeypatch.setattr("models.pretrained.weights.PRIOR", tmp_path / "prior.safetensors")
    started = Trunk(PRIOR_WIDTH)
    start_from_prior(started)
    assert all(
        a.equal(b) for a, b in zip(trunk.state_dict().values(), started.state_dict().values(), strict=True)
    )


def test_the_shipped_prior_fits_the_default_network() -> None:
    """The weights beside the code load into the trunk of a default fit, are finite, and take a few MB."""
    network = InspectionNetwork()
    start_from_prior(network.encoder.trunk)
    assert all(bool(value.isfinite().all()) for value in network.encoder.trunk.state_dict().values())
    assert 1e6 < PRIOR.stat().st_size < 8e6
