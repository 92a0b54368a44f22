"""One optimiser step of the pretraining."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.pretrained.contrast import ContrastLearner
from models.pretrained.episodes import PICTURES, Episode
from models.pretrained.head import HeadLearner
from models.pretrained.learner import AveragingLearner
from models.pretrained.views import Look, Source, Views, ViewSampler
from models.training.course import Plan
from models.training.loop import run

Make = Callable[[int, int], AveragingLearner[Any]]
Draw = Callable[[int], Any]


def views(step: int) -> Views:
    """Views of four pictures of noise, two px a grain."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    pictures = noise.repeat(2, 1).repeat(2, 2)
    return ViewSampler([Source(pictures, 1.0)], Look(pictures=4, points=6, side=64), 1).draw(step)


def episode(step: int) -> Episode:
    """Two scenes of noise, with a white square for a defect; the noise depends on the step."""
    generator = torch.Generator().manual_seed(step)
    pictures = torch.rand(2 * PICTURES, 3, 64, 64, generator=generator)
    label = torch.zeros(2 * PICTURES, 1, 64, 64)
    pictures[:, :, 20:40, 20:40], label[..., 20:40, 20:40] = 1.0, 1.0
    return Episode(pictures, label)


networks = pytest.mark.parametrize(("learner", "draw"), [(ContrastLearner, views), (HeadLearner, episode)])


def weights(learner: AveragingLearner[Any]) -> list[torch.Tensor]:
    """The averaged weights, which are shipped."""
    return list(learner.average.module.state_dict().values())


@networks
def test_a_repeated_batch_is_learned(learner: Make, draw: Draw) -> None:
    """The loss falls, and the average follows the weights."""
    made = learner(1, 100)
    before = [value.clone() for value in weights(made)]
    losses = [made.learn(draw(0), step, None)["total"] for step in range(12)]
    assert losses[-1] < 0.95 * losses[0]
    assert any(not a.equal(b) for a, b in zip(before, weights(made), strict=True))


@networks
def test_a_resumed_training_ends_the_same(learner: Make, draw: Draw, tmp_path: Path) -> None:
    """Two steps and then two more give the weights of four steps, bit for bit."""
    whole, first, resumed = learner(1, 100), learner(1, 100), learner(2, 100)
    run(whole, draw, Plan(4), tmp_path / "whole.pt", threads=1)
    run(first, draw, Plan(2), tmp_path / "half.pt", threads=1)
    run(resumed, draw, Plan(4), tmp_path / "half.pt", threads=1, resume=True)
    assert all(a.equal(b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert not all(a.equal(b) for a, b in zip(weights(whole), weights(first), strict=True))


def test_the_head_leaves_the_trunk_alone() -> None:
    """The head is trained for the pretrained trunk, which must not change."""
    learner = HeadLearner(1, 100)
    before = [value.clone() for value in learner.encoder.state_dict().values()]
    learner.learn(episode(0), 0, None)
    after = learner.encoder.state_dict().values()
    assert all(a.equal(b) for a, b in zip(before, after, strict=True))
