"""Good pictures with synthetic defects, and the batches that are cut from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.inspection import components
from models.inspection import examples as module
from models.inspection.cross_fitting import HEADS, head_of_folds
from models.inspection.examples import BATCH, Examples, ExampleSampler, examples_of, make_examples
from models.inspection.features import trunk_features
from models.inspection.network import InspectionNetwork, evidence
from models.inspection.normal_model import map_of
from models.inspection.normals import Normals
from tests.models.conftest import silent


def test_fewer_examples_of_larger_pictures() -> None:
    """Their features take about as much memory; a few remain of the largest."""
    assert [examples_of(side) for side in (64, 256, 512, 1024)] == [200, 200, 50, 16]


def test_an_example_shows_a_defect_and_says_where(examples: Examples) -> None:
    """Most have a visible defect; every part of the picture is good in some example."""
    assert examples.label.shape == (16, 1, 16, 16)
    assert float((examples.label.float().amax((1, 2, 3)) > 0.5).float().mean()) > 0.5
    assert float(examples.label.float().mean()) < 0.5
    assert set(examples.rows.tolist()) == set(range(12))


def test_examples_follow_from_the_seed(
    network: InspectionNetwork, normals: Normals, pixels: NDArray[np.uint8], examples: Examples
) -> None:
    """The same seed gives the same examples; another one gives others."""
    trunk = network.encoder.trunk
    again, other = (make_examples(trunk, normals, pixels, 16, seed, progress=silent) for seed in (0, 1))
    np.testing.assert_array_equal(again.clean, examples.clean)
    assert again.maps.equal(examples.maps)
    assert not np.array_equal(other.clean, examples.clean)


def test_an_example_is_judged_without_its_own_picture(
    network: InspectionNetwork,
    normals: Normals,
    pixels: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without defects, its maps are those of the clean picture by the models without its fold."""
    monkeypatch.setattr(module, "LAYERS", 0)
    found = make_examples(network.encoder.trunk, normals, pixels, 12, 5, progress=silent)
    assert not found.label.any()
    for i in range(12):
        clean = normals.normalise(torch.from_numpy(found.clean[i])[None])
        with torch.no_grad():
            seen = trunk_features(network.encoder.trunk, clean)
            models = normals.apart[normals.folds[found.rows[i]]]
            maps = evidence([map_of(models, each, seen) for each in components.EVIDENCE])
        torch.testing.assert_close(found.maps[i].float(), maps[0], atol=1e-2, rtol=1e-2)


def test_batches_depend_on_seed_and_step_alone(examples: Examples, normals: Normals) -> None:
    """Step 7 is the same whatever was drawn before."""
    sampler, fresh = (ExampleSampler(examples, normals, np.arange(7), 3) for _ in range(2))
    sampler.draw(8)
    first, again = sampler.draw(7), fresh.draw(7)
    assert all(
        a.equal(b) for x, y in zip(first.heads, again.heads, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert first.autoencoder.clean.equal(again.autoencoder.clean)
    assert not first.autoencoder.clean.equal(sampler.draw(9).autoencoder.clean)


def test_a_head_sees_no_picture_of_its_folds(examples: Examples, normals: Normals) -> None:
    """Crops of these folds are replaced by others; all heads share the rest, the last one sees every fold."""
    marked = examples.__class__(
        examples.clean,
        examples.label,
        torch.from_numpy(examples.rows).half()[:, None, None, None].expand_as(examples.s4),
        examples.s8,
        examples.s16,
        examples.maps,
        examples.rows,
    )
    sampler = ExampleSampler(marked, normals, np.arange(7), 3)
    seen: list[set[int]] = [set() for _ in range(HEADS + 1)]
    for step in range(12):
        for head, crops in enumerate(sampler.draw(step).heads):
            assert len(crops.s4) == BATCH
            seen[head] |= {int(row) for row in crops.s4[:, 0, 0, 0].tolist()}
    for head in range(HEADS):
        assert seen[head] == set(np.flatnonzero(head_of_folds(normals.folds) != head).tolist())
    assert seen[-1] == set(range(12))


def test_the_auto_encoder_sees_its_pictures_only(examples: Examples, normals: Normals) -> None:
    """Its crops are cut from the clean pictures at the place of the features."""
    sampler = ExampleSampler(examples, normals, np.array([4]), 3)
    batch = sampler.draw(0).autoencoder
    own = [
        normals.normalise(torch.from_numpy(examples.clean[i])[None])[0]
        for i in np.flatnonzero(examples.rows == 4)
    ]
    for clean, s16 in zip(batch.clean, batch.s16, strict=True):
        match = [i for i, each in enumerate(own) if each.equal(clean)]
        assert len(match) == 1
        index = np.flatnonzero(examples.rows == 4)[match[0]]
        assert s16.equal(examples.s16[index].float())
    assert functional.max_pool2d(batch.label, 4).shape[-2:] == batch.s16.shape[-2:]
