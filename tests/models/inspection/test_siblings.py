"""Siblings: pictures of the same part, told by a gap in the distances."""

from __future__ import annotations

import numpy as np
import torch

from models.inspection.siblings import sibling_groups


def parts(number: int, each: int, jitter: float) -> torch.Tensor:
    """Embeddings of so many parts, each seen several times with a little noise."""
    generator = torch.Generator().manual_seed(0)
    of_part = torch.randn(number, 1, 32, 8, 8, generator=generator).expand(-1, each, -1, -1, -1).flatten(0, 1)
    return of_part + jitter * torch.randn(of_part.shape, generator=generator)


def test_pictures_of_one_part_are_siblings() -> None:
    """Twenty parts seen three times each make twenty groups."""
    found = sibling_groups(parts(20, 3, 0.1), np.arange(60), 0)
    assert len(set(found.tolist())) == 20
    assert (found.reshape(20, 3) == found.reshape(20, 3)[:, :1]).all()


def test_a_moved_part_is_still_a_sibling() -> None:
    """Patches are looked for anywhere in the other picture."""
    seen = parts(20, 1, 0.0)
    moved = torch.cat([seen, torch.roll(seen, (2, 3), (2, 3))])
    found = sibling_groups(moved, np.arange(40), 0)
    np.testing.assert_array_equal(found[:20], found[20:])


def test_parts_without_a_gap_stand_alone() -> None:
    """Pictures of different parts, all about as far from each other, are no siblings."""
    assert len(set(sibling_groups(parts(40, 1, 0.1), np.arange(40), 0).tolist())) == 40


def test_near_duplicates_stay_together() -> None:
    """A duplicate group is never divided, however different its embeddings are."""
    groups = np.arange(40)
    groups[7] = 3
    found = sibling_groups(parts(40, 1, 0.1), groups, 0)
    assert found[7] == found[3]
