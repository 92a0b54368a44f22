"""The memory bank and its coreset."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.inspection import memory_bank
from models.inspection.memory_bank import Coreset, MemoryBank, choose


def pictures_of(points: torch.Tensor) -> torch.Tensor:
    """Points (n, d) as pictures of one patch each, (n, d, 1, 1)."""
    return points[:, :, None, None]


def test_rare_patches_are_represented() -> None:
    """One odd vector among a thousand equal ones is chosen, as hardly any random choice would."""
    torch.manual_seed(0)
    points = torch.randn(1000, 8) * 0.01
    points[713] += 5
    chosen = choose(pictures_of(points), np.arange(1000), 4, seed=0)
    assert float((chosen.vectors - points[713]).norm(dim=1).min()) == 0


def test_no_vector_is_far_from_the_coreset() -> None:
    """Where the coreset is as large as the number of kinds of vectors, it has one of each kind."""
    corners = 10 * torch.eye(6)
    points = corners.repeat(50, 1)[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    chosen = choose(pictures_of(points), np.arange(300), 6, seed=3)
    assert float(torch.cdist(points, chosen.vectors).min(1).values.max()) == 0


def test_each_choice_is_the_farthest_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each choice is the vector that is farthest from all earlier ones, however few are followed."""
    monkeypatch.setattr(memory_bank, "FOLLOWED", 10)
    points = torch.randn(500, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    chosen = choose(pictures_of(points), np.arange(500), 60, seed=2)
    far = torch.cdist(points, chosen.vectors)  # (500, 60)
    for i in range(1, 60):
        nearest = far[:, :i].min(1).values
        torch.testing.assert_close(nearest[chosen.pictures[i]], nearest.max())


def test_same_seed_same_coreset() -> None:
    """The choice depends on vectors and seed alone."""
    points = torch.randn(400, 40, generator=torch.Generator().manual_seed(2))
    first, second = (choose(pictures_of(points), np.arange(400), 50, seed=7) for _ in range(2))
    assert first.vectors.equal(second.vectors)
    assert first.reach == second.reach


def test_each_entry_names_its_picture() -> None:
    """Each vector of the coreset is a vector of the picture that it names."""
    vectors = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(4))
    chosen = choose(vectors, np.array([0, 0, 1, 1, 2, 2]), 20, seed=0)
    for vector, picture in zip(chosen.vectors, chosen.pictures, strict=True):
        patches = vectors[picture].permute(1, 2, 0).reshape(-1, 5)
        assert bool((patches == vector).all(1).any())


def test_a_coreset_larger_than_the_pictures_has_all_patches() -> None:
    """A handful of patches is taken whole, and the reach of equal ones stays positive."""
    chosen = choose(pictures_of(torch.ones(5, 3)), np.zeros(5, int), 100, seed=0)
    assert len(chosen.vectors) == 5
    assert chosen.reach > 0


def test_the_distance_is_the_mmd_to_the_nearest_entry() -> None:
    """The smallest squared MMD between a vector and one entry is `2·(1 − exp(−distance))`, at each patch."""
    torch.manual_seed(0)
    entries, z = torch.randn(50, 6, dtype=torch.float64), torch.randn(2, 6, 3, 4, dtype=torch.float64)
    reach = 3.0
    distances = MemoryBank.of(Coreset(entries, torch.arange(50), reach))(z)
    kernel = reach / (reach + torch.cdist(z.permute(0, 2, 3, 1).reshape(-1, 6), entries).square())
    expected = (2 - 2 * kernel).min(1).values.reshape(2, 1, 3, 4)
    torch.testing.assert_close(2 * (1 - torch.exp(-distances)), expected)


def test_without_a_picture_its_entries_do_not_count() -> None:
    """The distances are those to the entries of other pictures, and the bank itself stays as it was."""
    entries = torch.randn(600, 6, generator=torch.Generator().manual_seed(0))
    pictures = torch.arange(600) % 3
    bank = MemoryBank.of(Coreset(entries, pictures, 1.0))
    z = entries[:1].reshape(1, 6, 1, 1)
    assert float(bank(z)) == pytest.approx(0, abs=1e-4)
    found = bank.without(np.array([True, False, True]))(z)
    expected = torch.cdist(entries[:1], entries[pictures == 1]).square().min()
    assert float(found) == pytest.approx(float(torch.log1p(expected)), rel=1e-4)
    assert float(bank(z)) == pytest.approx(0, abs=1e-4)
