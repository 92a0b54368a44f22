"""Grouping near-duplicates, and keeping held-out pictures apart."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from inspector.imaging.resize import fit_to
from models.split import cross_fitting_groups, duplicate_groups, split, valid_flips


def digests(count: int) -> list[str]:
    """The digests of so many different files."""
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


def test_the_split_follows_the_content() -> None:
    """Order does not matter, both sides are disjoint, and all pictures are used."""
    names = digests(100)
    groups = np.arange(100)
    training, heldout = split(names, groups, 20)
    assert sorted([*training, *heldout]) == list(range(100))
    assert len(heldout) == 20
    backwards = split(names[::-1], groups, 20)[1]
    assert {names[i] for i in heldout} == {names[::-1][i] for i in backwards}


def test_near_duplicates_stay_on_one_side() -> None:
    """No duplicate group is divided, even when groups are large."""
    groups = np.repeat(np.arange(20), 5)
    training, heldout = split(digests(100), groups, 20)
    assert not set(groups[training]) & set(groups[heldout])
    assert 20 <= len(heldout) <= 40


def test_large_groups_train() -> None:
    """A large duplicate group is held out only if the smaller groups do not suffice."""
    groups = np.concatenate([np.zeros(30, int), np.arange(1, 71)])
    training, heldout = split(digests(100), groups, 20)
    assert len(heldout) == 20
    assert set(training) >= set(range(30))
    few = np.concatenate([np.zeros(30, int), np.ones(60, int), np.arange(2, 12)])
    assert sorted(groups_of(few, split(digests(100), few, 20)[1])) == [0, *range(2, 12)]


def groups_of(groups: np.ndarray, rows: np.ndarray) -> set[int]:
    """The groups of these rows."""
    return set(groups[rows].tolist())


def test_a_set_of_near_duplicates_is_divided() -> None:
    """If all pictures are near-duplicates, some of them are held out all the same."""
    training, heldout = split(digests(30), np.zeros(30, int), 12)
    assert len(heldout) == 12
    assert len(training) == 18


def test_one_odd_picture_does_not_set_the_threshold_alone() -> None:
    """Beside 299 near-duplicates the odd picture is held out together with some of them."""
    groups = np.concatenate([np.zeros(299, int), [1]])
    training, heldout = split(digests(300), groups, 60)
    assert (len(training), len(heldout)) == (240, 60)
    assert 299 in heldout


def test_near_duplicates_are_left_out_together() -> None:
    """Unless a duplicate group is half of the set: then each of its pictures stands alone."""
    groups = np.array([0, 0, 1, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(cross_fitting_groups(groups), groups)
    found = cross_fitting_groups(np.array([0, 0, 0, 0, 1, 1, 2, 3]))
    assert len(set(found[:4])) == 4
    assert found[4] == found[5]


def test_another_exposure_is_a_near_duplicate(pixels: NDArray[np.uint8]) -> None:
    """A brighter, noisier copy joins its original; other parts stay apart."""
    rng = np.random.default_rng(0)
    brighter = np.clip(pixels * 1.2 + rng.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)
    both = np.concatenate([pixels, brighter])
    thumbnails = np.stack([fit_to(p, 32, 32).astype(np.float32).mean(2).ravel() for p in both])
    groups = duplicate_groups(thumbnails)
    np.testing.assert_array_equal(groups[:12], groups[12:])
    assert len(set(groups)) >= 10


def test_flips_are_valid_where_the_set_is_symmetric() -> None:
    """A texture without direction may be flipped; pictures lit from one side may not."""
    rng = np.random.default_rng(0)
    texture = rng.normal(size=(60, 1024)).astype(np.float32)
    ramp = np.tile(np.linspace(0, 5, 32, dtype=np.float32), 32)
    assert valid_flips(texture, np.arange(60)) == (True, True, True)
    assert valid_flips(texture + 3 * ramp, np.arange(60)) == (False, True, False)
    assert valid_flips(texture + 3 * ramp, np.zeros(60, int)) == (False, True, False)
