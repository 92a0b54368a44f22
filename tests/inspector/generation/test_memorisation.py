"""Generated pictures that count as memorised training pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from inspector.generation import memorisation
from inspector.generation.memorisation import Neighbours, distances
from inspector.types import Pixels


def scenes(seed: int, count: int) -> list[Pixels]:
    """Pictures of one kind: each is a mixture of the same eight patterns, in its own shares."""
    patterns = np.random.default_rng(0).uniform(-40, 40, (8, 32 * 32 * 3))
    shares = np.random.default_rng(seed).standard_normal((count, 8))
    rows = np.clip(128 + shares @ patterns, 0, 255).round().astype(np.uint8)
    return list(rows.reshape(count, 32, 32, 3))


def compare(samples: Sequence[Pixels], training: Sequence[Pixels]) -> Neighbours:
    """Compare with pictures that are in memory."""
    return memorisation.compare(samples, len(training), lambda number: training[number])


def memorised(samples: Sequence[Pixels], training: Sequence[Pixels]) -> list[bool]:
    """Return True for each memorised sample."""
    found = compare(samples, training).memorised
    assert found is not None
    return [bool(one) for one in found]


def test_distances_are_root_mean_squares() -> None:
    """Distances equal scipy's Euclidean distance divided by the root of the number of values."""
    left, right = scenes(1, 37), scenes(2, 21)
    rows = [np.stack(side).reshape(len(side), -1).astype(float) for side in (left, right)]
    assert np.allclose(distances(left, right), cdist(*rows) / np.sqrt(rows[0].shape[1]), rtol=1e-12)


def test_the_same_picture_has_distance_0() -> None:
    """The distance of a picture to itself is exactly 0."""
    pictures = scenes(1, 20)
    assert (np.diag(distances(pictures, pictures)) == 0).all()


def test_the_nearest_picture_is_found_in_every_block() -> None:
    """A training picture's nearest one is itself, whatever its number."""
    training = scenes(1, 40)
    found = compare(training, training)
    assert found.nearest.tolist() == list(range(40))
    assert not found.distance.any()


def test_training_pictures_are_memorised_also_with_noise() -> None:
    """A training picture, also with a little noise, counts as memorised."""
    training = scenes(1, 60)
    noise = np.random.default_rng(5).integers(-6, 7, (10, 32, 32, 3))
    noisy = list(np.clip(np.stack(training[:10]) + noise, 0, 255).astype(np.uint8))
    assert all(memorised(training[:10], training))
    assert all(memorised(noisy, training))


def test_new_pictures_are_rarely_memorised() -> None:
    """At most the promised share of new pictures counts as memorised."""
    training = scenes(1, 99)
    found = compare(scenes(2, 400), training)
    assert found.limits is not None
    assert found.limits.chance == pytest.approx(5 / 100)
    assert found.memorised is not None
    assert found.memorised.mean() <= 0.05 + 0.03  # three standard errors


def test_a_blurred_picture_is_not_memorised() -> None:
    """The mean of the training pictures is near to each of them, but not memorised."""
    training = scenes(1, 60)
    mean = np.mean(training, axis=0).round().astype(np.uint8)
    found = compare([mean], training)
    assert found.limits is not None
    assert found.distance[0] < found.limits.distance * 1.2
    assert memorised([mean], training) == [False]


def test_another_picture_is_not_memorised() -> None:
    """A black picture is far from everything."""
    assert memorised([np.zeros((32, 32, 3), np.uint8)], scenes(1, 30)) == [False]


def test_identical_training_pictures_count_once() -> None:
    """Identical training pictures do not make the limits 0."""
    training = scenes(1, 30)
    once, twice = compare(training[:5], training), compare(training[:5], training + training)
    assert once.limits is not None
    assert twice.limits is not None
    assert twice.limits.distance == once.limits.distance > 0
    assert memorised(training[:5], training + training) == [True] * 5


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_training_picture_gives_no_limits(count: int) -> None:
    """A single training picture, also if it is listed several times, gives distances but no limits."""
    (picture,) = scenes(1, 1)
    found = compare([picture, *scenes(2, 1)], [picture] * count)
    assert found.limits is None
    assert found.memorised is None
    assert found.distance[0] == 0 < found.distance[1]
    assert np.isfinite(found.relative).all()


def test_progress_ends_at_the_total() -> None:
    """Every training picture is counted, in any number of blocks."""
    training, seen = scenes(1, 35), []
    memorisation.compare(
        training[:1], 35, lambda number: training[number], lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (35, 35)
