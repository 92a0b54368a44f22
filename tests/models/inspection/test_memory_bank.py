"""The landmarks of the kernel distance."""

from __future__ import annotations

import pytest
import torch

from models.inspection import memory_bank


def codes_of(points: torch.Tensor) -> torch.Tensor:
    """Points (n, d) as pictures of one place each, (n, d, 1, 1)."""
    return points[:, :, None, None]


def test_rare_places_are_represented() -> None:
    """One odd code among a thousand equal ones is chosen, as hardly any random choice would."""
    torch.manual_seed(0)
    points = torch.randn(1000, 8) * 0.01
    points[713] += 5
    chosen = memory_bank.choose(codes_of(points), torch.arange(1000), 4, seed=0)
    assert float((chosen.codes - points[713]).norm(dim=1).min()) == 0


def test_no_code_is_far_from_all_landmarks() -> None:
    """Where as few landmarks as there are kinds of codes suffice, one of each kind is chosen."""
    corners = 10 * torch.eye(6)
    points = corners.repeat(50, 1)[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    chosen = memory_bank.choose(codes_of(points), torch.arange(300), 6, seed=3)
    assert float(torch.cdist(points, chosen.codes).min(1).values.max()) == 0


def test_each_landmark_is_the_farthest_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every choice is the code that is farthest from all before it, however few are followed."""
    monkeypatch.setattr(memory_bank, "FOLLOWED", 10)
    points = torch.randn(500, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    chosen = memory_bank.choose(codes_of(points), torch.arange(500), 60, seed=2)
    far = torch.cdist(points, chosen.codes)  # (500, 60)
    for i in range(1, 60):
        nearest = far[:, :i].min(1).values
        torch.testing.assert_close(nearest[chosen.pictures[i]], nearest.max())


def test_same_seed_same_landmarks() -> None:
    """The choice depends on codes and seed alone."""
    points = torch.randn(400, 40, generator=torch.Generator().manual_seed(2))
    first, second = (memory_bank.choose(codes_of(points), torch.arange(400), 50, seed=7) for _ in range(2))
    assert first.codes.equal(second.codes)
    assert first.reach == second.reach


def test_owners_are_the_pictures_that_landmarks_come_from() -> None:
    """Each landmark is a code of a picture of the group that it names."""
    pictures = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(4))
    groups = torch.tensor([0, 0, 1, 1, 2, 2])
    chosen = memory_bank.choose(pictures, groups, 20, seed=0)
    for code, owner in zip(chosen.codes, chosen.owners, strict=True):
        members = pictures[groups == owner].permute(0, 2, 3, 1).reshape(-1, 5)
        assert bool((members == code).all(1).any())
    assert chosen.of_groups(groups).equal(chosen.owners[None] == groups[:, None])


def test_more_landmarks_than_codes_are_all_codes() -> None:
    """A handful of places is taken whole, and the reach stays positive for identical ones."""
    points = torch.ones(5, 3)
    chosen = memory_bank.choose(codes_of(points), torch.zeros(5, dtype=torch.long), 100, seed=0)
    assert len(chosen.codes) == 5
    assert chosen.reach > 0
