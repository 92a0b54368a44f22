"""The distances that the head is pretrained with."""

from __future__ import annotations

import torch

from models.pretrained.episodes import PICTURES
from models.pretrained.head import scene_distances


def test_distances_are_to_good_patches_of_the_scenes_other_pictures() -> None:
    """A plain loop finds the same: patches of the picture itself and bad ones do not count."""
    generator = torch.Generator().manual_seed(3)
    embeddings = torch.randn(2 * PICTURES, 5, 3, 4, generator=generator)
    label = (torch.rand(2 * PICTURES, 1, 3, 4, generator=generator) < 0.3).float()
    got = scene_distances(embeddings, label)
    for scene in range(2):
        first = scene * PICTURES
        nearest = torch.empty(PICTURES, 12)
        for i in range(PICTURES):
            others = [j for j in range(PICTURES) if j != i]
            flat = {j: embeddings[first + j].flatten(1).T for j in range(PICTURES)}
            good = torch.cat([flat[j][label[first + j].flatten() == 0] for j in others])
            nearest[i] = torch.cdist(flat[i], good).square().min(1).values
        kept = nearest[label[first : first + PICTURES].flatten(1) == 0]
        expected = torch.log1p(nearest / kept.median()).reshape(PICTURES, 1, 3, 4)
        torch.testing.assert_close(got[first : first + PICTURES], expected, atol=1e-4, rtol=1e-4)
