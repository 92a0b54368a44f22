"""Each baseline finds an evident defect, and agrees with a second implementation where there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from inspector.demo.photograph import render
from inspector.types import Pixels
from tests.benchmarks import baseline
from tests.benchmarks.baseline import Scorer, article, neighbour, residual, template

SIDE = 64
DEFECT = slice(20, 36)
MAKERS: list[Callable[[Pixels], Scorer]] = [
    template,
    residual,
    neighbour,
    partial(article, steps=12, width=16),
]
NAMES = ["template", "residual", "neighbour", "article"]


def fixed_camera(seed: int) -> Pixels:
    """The same picture under slightly different light and noise."""
    rng = np.random.default_rng(seed)
    picture = render(0, size=SIDE).picture * rng.uniform(0.95, 1.05) + rng.normal(0, 3, (SIDE, SIDE, 3))
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def training() -> Pixels:
    """Twenty pictures of one part, uint8 (20, 64, 64, 3)."""
    return np.stack([fixed_camera(seed) for seed in range(20)])


def spoiled(picture: Pixels) -> Pixels:
    """The picture with a bright square."""
    changed = picture.copy()
    changed[DEFECT, DEFECT] = 255
    return changed


@pytest.fixture(scope="module")
def learned(training: Pixels) -> dict[str, Scorer]:
    """Each baseline, learned once."""
    return {name: make(training) for name, make in zip(NAMES, MAKERS, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_a_bright_square_is_found(name: str, learned: dict[str, Scorer]) -> None:
    """A spoiled picture scores over the good one that it was, and its map is highest on the defect."""
    score = learned[name]
    for seed in (100, 101, 102):
        good, bad = score(fixed_camera(seed)), score(spoiled(fixed_camera(seed)))
        assert bad.score > good.score
        inside = np.zeros(bad.anomaly_map.shape, np.bool_)
        inside[DEFECT, DEFECT] = True
        assert bad.anomaly_map[inside].mean() > 1.5 * bad.anomaly_map[~inside].mean()


@pytest.mark.parametrize(("name", "make"), list(zip(NAMES, MAKERS, strict=True)), ids=NAMES)
def test_the_same_pictures_give_the_same_scores(
    name: str, make: Callable[[Pixels], Scorer], learned: dict[str, Scorer], training: Pixels
) -> None:
    """Learning twice from the same pictures scores a picture the same, to the last bit."""
    first, second = learned[name](training[0]), make(training)(training[0])
    assert first.score == second.score
    np.testing.assert_array_equal(first.anomaly_map, second.anomaly_map)


@pytest.mark.parametrize("name", NAMES[:3])
def test_brightness_does_not_decide(name: str, learned: dict[str, Scorer]) -> None:
    """A picture at four fifths of the light scores about as it did, far under a defect."""
    score = learned[name]
    picture = fixed_camera(100)
    darker = (picture * 0.8).astype(np.uint8)
    usual, evident = score(picture).score, score(spoiled(picture)).score
    assert abs(score(darker).score - usual) < 0.2 * (evident - usual)


def rows(pictures: NDArray[np.uint8], level: float) -> NDArray[np.float64]:
    """Pictures at one median brightness as rows."""
    gains = np.array([level / np.median(picture) for picture in pictures])
    return np.asarray(pictures * gains[:, None, None, None]).reshape(len(pictures), -1)


def test_residual_is_what_scikit_learn_leaves_unexplained(training: Pixels) -> None:
    """The map is the mean over colours of the absolute difference to scikit-learn's PCA copy."""
    level = float(np.median([np.median(picture) for picture in training]))
    pca = PCA(len(training) // 2).fit(rows(training, level))
    x = rows(spoiled(fixed_camera(100))[np.newaxis], level)
    difference = x - pca.inverse_transform(pca.transform(x))
    expected = np.abs(difference).reshape(SIDE, SIDE, 3).mean(axis=2)
    found = residual(training)(spoiled(fixed_camera(100)))
    np.testing.assert_allclose(found.anomaly_map, expected, atol=0.02)
    highest = np.sort(expected, axis=None)[-round(baseline.TOP_SHARE * SIDE**2) :]
    assert found.score == pytest.approx(highest.mean(), abs=0.02)


def test_neighbour_is_that_of_scikit_learn(training: Pixels) -> None:
    """The score is the root mean squared difference to the picture that scikit-learn finds nearest."""
    level = float(np.median([np.median(picture) for picture in training]))
    nearest = NearestNeighbors(n_neighbors=1).fit(rows(training, level))
    x = rows(fixed_camera(100)[np.newaxis], level)
    distance = nearest.kneighbors(x)[0][0, 0] / np.sqrt(x.shape[1])
    assert neighbour(training)(fixed_camera(100)).score == pytest.approx(distance, rel=1e-4)


def test_template_counts_in_spreads() -> None:
    """A pixel that is off by three of its spreads, the least spread added, scores three."""
    rng = np.random.default_rng(0)
    training = np.full((50, 32, 32, 3), 100, np.uint8)
    training[:, 0, 0] = 100 + rng.integers(-20, 21, (50, 1))
    spread = training[:, 0, 0, 0].std() + baseline.LEAST_SPREAD
    picture = np.full((32, 32, 3), 100, np.uint8)
    picture[0, 0] = round(training[:, 0, 0, 0].mean() + 3 * spread)
    found = template(training)(picture)
    assert found.anomaly_map[0, 0] == pytest.approx(3, abs=0.05)
    assert found.anomaly_map[1:, 1:].max() == 0
