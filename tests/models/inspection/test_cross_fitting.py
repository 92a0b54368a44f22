"""Cross-fitting: each picture is scored by a detector that was learned without it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from calibration.conformal import ConformalThreshold, TooFewNormalsWarning
from models.export.scoring_model import ScoringModel, batches
from models.inspection import components
from models.inspection.build import build
from models.inspection.cross_fitting import FOLDS, HEADS, folds_of_groups, head_of_folds, positions_of_folds
from models.inspection.detector import DetectorGraph
from models.inspection.memory_bank import MemoryBank
from models.inspection.network import Head, InspectionNetwork
from models.inspection.normals import Normals, learn_normals
from models.split import cross_fitting_groups
from tests.models.conftest import ALL, GROUPS, HELDOUT, silent


def test_folds_keep_groups_together_and_are_even() -> None:
    """No group is divided, and no fold is larger than another by more than the largest group."""
    groups = np.repeat(np.arange(40), [1, 2, 3, 1] * 10)
    folds = folds_of_groups(groups, seed=0)
    for group in range(40):
        assert len(set(folds[groups == group].tolist())) == 1
    sizes = np.bincount(folds)
    assert len(sizes) == FOLDS
    assert sizes.max() - sizes.min() <= 3
    assert set(folds_of_groups(np.array([4, 4, 9]), seed=0).tolist()) == {0, 1}
    assert set(head_of_folds(folds).tolist()) == set(range(HEADS))
    assert not np.array_equal(folds, folds_of_groups(groups, seed=1))


def test_positions_are_those_of_each_fold() -> None:
    """Every position belongs to one fold; a fold without pictures has none."""
    found = positions_of_folds(np.array([2, 0, 2]))
    assert [some.tolist() for some in found] == [[1], [], [0, 2]]


def nearest(points: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point to the nearest of others: a model of normal pictures in eight dimensions."""
    return np.asarray(np.sqrt(np.square(points[:, None] - among[None]).sum(2)).min(1))


@pytest.mark.parametrize("n", [12, 20, 35, 70])
@pytest.mark.parametrize("duplicates", [0.0, 0.2])
def test_the_threshold_keeps_its_promise(n: int, duplicates: float) -> None:
    """In simulation, good points exceed the cross-fitted threshold at most at the promised rate, on average.

    Near-duplicates belong to one group: they share a fold, and count once.
    """
    rejected, promised = [], 1.0
    for repetition in range(150):
        rng = np.random.default_rng([n, repetition])
        points, groups = rng.standard_normal((n, 8)), np.arange(n)
        twins = round(duplicates * n)
        points[:twins] = points[n - twins :] + 0.01 * rng.standard_normal((twins, 8))
        groups[:twins] = groups[n - twins :]
        folds, scores = folds_of_groups(groups, repetition), np.empty(n)
        for fold in range(int(folds.max()) + 1):
            scores[folds == fold] = nearest(points[folds == fold], points[folds != fold])
        single = np.unique(groups, return_index=True)[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TooFewNormalsWarning)
            calibrated = ConformalThreshold(0.05).fit(scores[single][:, np.newaxis])
        promised = calibrated.promised_rate_
        fresh = rng.standard_normal((200, 8))
        rejected.append(float((nearest(fresh, points) > calibrated.threshold_).mean()))
    error = np.std(rejected) / np.sqrt(len(rejected))
    assert np.mean(rejected) < promised + 3 * error


def test_a_picture_is_not_compared_with_itself(model: ScoringModel, pixels: NDArray[np.uint8]) -> None:
    """With the whole memory bank a picture lies on its own patches; cross-fitted it does not."""
    columns = [i for i, column in enumerate(model.columns) if column.component.startswith("latent_mmd")]
    with torch.no_grad():
        whole = np.concatenate([model.detector(batch)[0].numpy() for batch in batches(pixels, ALL)])
    apart = model.training.statistics
    assert (whole[:, columns] < apart[:, columns]).all()
    reconstruction = [i for i, column in enumerate(model.columns) if column.component == "reconstruction"]
    np.testing.assert_allclose(whole[:, reconstruction], apart[:, reconstruction], atol=1e-4)


def test_a_fold_is_scored_as_if_it_had_never_been_there(
    model: ScoringModel, normals: Normals, pixels: NDArray[np.uint8]
) -> None:
    """Pictures of a fold may change in any way: the models of the other folds stay the same."""
    fold = 2
    changed = pixels.copy()
    changed[normals.folds == fold] = changed[normals.folds == fold][:, :, ::-1]  # the brightness stays
    detector = model.detector
    assert isinstance(detector, DetectorGraph)
    early = [each for each in components.learned() if not each.of_latents]
    trunk = detector.raw_maps.network.encoder.trunk
    other = learn_normals(trunk, early, changed, ALL, GROUPS, 0, progress=silent)
    context = components.LIGHT_CONTEXT
    for name, value in other.apart[fold][context].named_buffers():
        before = dict(normals.apart[fold][context].named_buffers())[name]
        torch.testing.assert_close(value, before, atol=1e-3, rtol=1e-3)


def test_a_distance_to_the_whole_bank_is_the_smallest(model: ScoringModel) -> None:
    """A later picture is never farther from the whole memory bank than from a part of it."""
    detector = model.detector
    assert isinstance(detector, DetectorGraph)
    some = ALL < 5
    for each in (components.EMBEDDING_BANK, components.HALF_SIZE_BANK, components.LATENT_BANK):
        bank = detector.raw_maps.normal_models[each.name]
        assert isinstance(bank, MemoryBank)
        vectors = torch.randn(3, len(bank.middle), 4, 4, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            near, far = bank(vectors), bank.without(some)(vectors)
        assert bool((near <= far).all())
        assert float(far.mean()) > float(near.mean())


def test_where_all_pictures_are_duplicates_each_is_its_own_group(
    network: InspectionNetwork, heads: list[Head], pixels: NDArray[np.uint8]
) -> None:
    """One great duplicate group still leaves other pictures to compare with."""
    groups = cross_fitting_groups(np.zeros(12, int))
    early = [each for each in components.learned() if not each.of_latents]
    normals = learn_normals(network.encoder.trunk, early, pixels, ALL, groups, 0, progress=silent)
    model = build(network, heads, normals, pixels, ALL, ALL, HELDOUT, 0, split=False, progress=silent)
    assert np.isfinite(model.calibration_scores.statistics).all()


def test_a_split_holds_pictures_out_of_everything(
    network: InspectionNetwork, heads: list[Head], pixels: NDArray[np.uint8]
) -> None:
    """Held-out pictures get the scores that the shipped detector gives them."""
    rows = np.arange(7)
    early = [each for each in components.learned() if not each.of_latents]
    normals = learn_normals(network.encoder.trunk, early, pixels, rows, GROUPS, 0, progress=silent)
    model = build(network, heads, normals, pixels, rows, rows, HELDOUT, 0, split=True, progress=silent)
    assert not model.is_cross_fitted
    with torch.no_grad():
        expected = model.detector(torch.from_numpy(pixels[HELDOUT]))[0].numpy()
    np.testing.assert_allclose(model.calibration_scores.statistics, expected, atol=1e-4)
    assert (normals.folds[HELDOUT] == -1).all()
