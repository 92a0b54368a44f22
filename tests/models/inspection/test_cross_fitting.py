"""Cross-fitting: each picture is scored by models that were learned without it."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.export.scoring_model import ScoringModel, batches
from models.inspection import components
from models.inspection.build import build
from models.inspection.cross_fitting import (
    HELDOUT_FOLDS,
    NO_FOLD,
    CrossFitted,
    folds_like,
    folds_of_groups,
    heldout_folds,
)
from models.inspection.detector import DetectorGraph
from models.inspection.memory_bank import MemoryBank
from models.inspection.network import InspectionNetwork
from models.inspection.normal_model import NormalModel
from tests.models.conftest import HELDOUT, TRAINING


class Mean(NormalModel):
    """The distance of a number to the mean of the numbers that it was learned from."""

    def __init__(self, numbers: Tensor) -> None:
        super().__init__()
        self.numbers = numbers

    def without(self, pictures: NDArray[np.bool_]) -> Self:
        """Forget some of the numbers."""
        return type(self)(self.numbers[torch.from_numpy(~pictures)])

    def forward(self, numbers: Tensor) -> Tensor:
        """(N,) to (N, 1, 1, 1)."""
        return (numbers - self.numbers.mean()).abs()[:, None, None, None]


def test_each_picture_is_scored_without_its_fold() -> None:
    """The scores come back in the order of the pictures, whatever the order of the folds."""
    numbers = torch.tensor([1.0, 2.0, 3.0, 10.0])
    scored = CrossFitted(Mean(numbers), np.array([1, 0, 1, 0]))
    found = scored([numbers], np.array([1, 0, 1, 0])).flatten()
    without_0, without_1 = (1 + 3) / 2, (2 + 10) / 2
    torch.testing.assert_close(
        found, torch.tensor([without_1 - 1, abs(2 - without_0), without_1 - 3, 10 - without_0])
    )


def test_a_picture_of_no_fold_is_scored_by_the_whole_model() -> None:
    """A fold that no learned picture belongs to leaves none out."""
    numbers = torch.tensor([1.0, 2.0, 3.0])
    found = CrossFitted(Mean(numbers), np.array([0, 1, 2]))([numbers[:1]], np.array([7]))
    assert float(found) == 1.0


def test_folds_keep_groups_together() -> None:
    """Five folds of about as many groups; without a number, each group is a fold."""
    groups = np.repeat(np.arange(40), [1, 2, 3, 1] * 10)
    folds = folds_of_groups(groups, 5, seed=0)
    for group in range(40):
        assert len(set(folds[groups == group].tolist())) == 1
    assert sorted(np.bincount([folds[groups == group][0] for group in range(40)])) == [8] * 5
    np.testing.assert_array_equal(folds_of_groups(groups + 3, None, seed=0), groups)
    assert set(folds_of_groups(np.array([4, 4, 9]), 5, seed=0).tolist()) == {0, 1}


def test_heldout_folds_are_even() -> None:
    """No fold is larger than another by more than one group."""
    groups = np.repeat(np.arange(40), [1, 2, 3, 1] * 10)
    folds = heldout_folds(groups)
    for group in range(40):
        assert len(set(folds[groups == group].tolist())) == 1
    sizes = np.bincount(folds, minlength=HELDOUT_FOLDS)
    assert sizes.max() - sizes.min() <= 3
    assert set(heldout_folds(np.array([5, 5, 5])).tolist()) == {0}


def test_pictures_get_the_fold_of_their_group() -> None:
    """Training pictures belong to no fold of the held-out pictures."""
    found = folds_like(np.array([3, 7, 9, 7]), np.array([7, 9]), np.array([2, 0]))
    assert found.tolist() == [NO_FOLD, 2, 0, 2]


def test_a_heldout_picture_is_not_compared_with_itself(
    model: ScoringModel, pixels: NDArray[np.uint8]
) -> None:
    """With the whole memory bank a held-out picture lies on its own patches; cross-fitted it does not."""
    columns = [i for i, column in enumerate(model.columns) if column.component.startswith("latent_mmd")]
    with torch.no_grad():
        whole = np.concatenate([model.detector(batch)[0].numpy() for batch in batches(pixels, HELDOUT)])
    apart = model.heldout.statistics
    assert (whole[:, columns] < apart[:, columns]).all()
    reconstruction = [i for i, column in enumerate(model.columns) if column.component == "reconstruction"]
    np.testing.assert_array_equal(whole[:, reconstruction], apart[:, reconstruction])


def test_a_distance_to_the_whole_bank_is_the_smallest(model: ScoringModel) -> None:
    """A later picture is never farther from the whole memory bank than from a part of it."""
    detector = model.detector
    assert isinstance(detector, DetectorGraph)
    some = np.arange(len(TRAINING) + len(HELDOUT)) < 5
    for each in (components.EMBEDDING_BANK, components.HALF_SIZE_BANK, components.LATENT_BANK):
        bank = detector.raw_maps.normal_models[each.name]
        assert isinstance(bank, MemoryBank)
        vectors = torch.randn(3, len(bank.middle), 4, 4, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            near, far = bank(vectors), bank.without(some)(vectors)
        assert bool((near <= far).all())
        assert float(far.mean()) > float(near.mean())


def test_where_all_pictures_are_duplicates_each_is_its_own_group(
    network: InspectionNetwork, pixels: NDArray[np.uint8]
) -> None:
    """One great duplicate group on both sides of the split still leaves other pictures to compare with."""
    model = build(network, 0.4, pixels, TRAINING, HELDOUT, np.zeros(12, int), seed=0)
    assert np.isfinite(model.training.statistics).all()
    assert np.isfinite(model.heldout.statistics).all()
