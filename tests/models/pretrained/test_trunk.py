"""The losses of the trunk's pretraining."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.pretrained.episodes import PICTURES
from models.pretrained.trunk import detail, identity, matching, ranking, second_look


def generator() -> torch.Generator:
    """A generator that starts at the same seed."""
    return torch.Generator().manual_seed(0)


def two_scenes(bad: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of two scenes of like patches, but for two patches in each picture that are `bad` away."""
    torch.manual_seed(0)
    embeddings = 0.1 * torch.randn(2 * PICTURES, 8, 8, 8)
    embeddings[PICTURES:, 0] += 5  # the second scene is another texture
    label = torch.zeros(2 * PICTURES, 1, 8, 8)
    label[:, :, 3, 3:5] = 1
    embeddings[:, 1, 3, 3:5] += bad
    return embeddings, label


def test_the_ranking_wants_bad_patches_far_from_good_ones() -> None:
    """The farther the bad patches are from the scene's good ones, the smaller the loss."""
    losses = [float(ranking(*two_scenes(bad), 1, generator())) for bad in (0.0, 0.5, 5.0, 500.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0.2 > 0.01 > losses[-1]


def test_an_episode_without_defects_has_no_ranking_loss() -> None:
    """Its loss is zero."""
    embeddings, label = two_scenes(1.0)
    assert float(ranking(embeddings, torch.zeros_like(label), 1, generator())) == 0


def test_the_identity_wants_scenes_apart() -> None:
    """Two scenes of one texture cost the logarithm of two; two textures cost nearly nothing."""
    embeddings, label = two_scenes(0.0)
    alike = embeddings.clone()
    alike[PICTURES:, 0] -= 5
    assert float(identity(alike, label, generator())) == pytest.approx(0.69, abs=0.25)
    assert float(identity(embeddings, label, generator())) < 0.05


def test_matching_wants_each_patch_found_again() -> None:
    """The loss is near 0 for two looks with the same embeddings, and at chance for unrelated ones."""
    embeddings = 10 * torch.randn(2, 8, 6, 6, generator=generator())
    assert float(matching(embeddings, embeddings)) < 0.01
    shuffled = embeddings.flip(2)
    assert float(matching(embeddings, shuffled)) > np.log(16)


def test_the_detail_loss_does_not_count_light() -> None:
    """A brighter picture, and one of twice the contrast, have the same target."""
    x = torch.rand(2, 3, 32, 32, generator=generator())
    drawn = torch.randn(2, 3, 32, 32, generator=generator())
    wanted = float(detail(drawn, 4 * x))
    assert float(detail(drawn, 4 * x + 3.0)) == pytest.approx(wanted, rel=1e-4)
    assert float(detail(drawn, 8 * x)) == pytest.approx(wanted, rel=0.02)


def test_a_second_look_is_one_picture_of_each_scene() -> None:
    """Each row belongs to another scene, and the second look differs from the picture by light and noise."""
    x = torch.rand(3 * PICTURES, 3, 32, 32, generator=generator())
    chosen, again = second_look(x, generator())
    assert (chosen // PICTURES).tolist() == [0, 1, 2]
    assert again.shape == (3, 3, 32, 32)
    assert 0 < float((again - x[chosen]).abs().mean()) < 0.2
