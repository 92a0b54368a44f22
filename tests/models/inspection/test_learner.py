"""One step of a fit's networks, and the training that it adds up to."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from inspector.errors import DivergedError
from models.inspection import learner as module
from models.inspection.cross_fitting import HEADS, head_of_folds
from models.inspection.examples import ExampleSampler
from models.inspection.learner import InspectionLearner, has_bfloat16
from models.inspection.normals import Normals
from models.inspection.options import InspectionOptions
from models.pretrained.weights import TRUNK_WEIGHTS
from models.training import loop
from models.training.course import Course, Plan
from tests.models.conftest import SMALL


class Run:
    """A finished training."""

    def __init__(self, sampler: ExampleSampler, folder: Path, steps: int = 6, **more: Any) -> None:
        learner = InspectionLearner(SMALL)
        checkpoint = folder / "checkpoint.pt"
        self.course: Course = loop.run(
            learner, sampler.draw, Plan(steps=steps), checkpoint, threads=1, **more
        )
        self.network, self.heads = learner.averaged()

    def weights(self) -> list[torch.Tensor]:
        """All parameters and buffers."""
        return [value for part in (self.network, *self.heads) for value in part.state_dict().values()]


def test_same_seed_and_steps_same_weights(sampler: ExampleSampler, tmp_path: Path) -> None:
    """Two trainings of the same request end with the same numbers, bit for bit."""
    first, second = (Run(sampler, tmp_path) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first.weights(), second.weights(), strict=True))
    assert first.course.step == 6


def test_a_resumed_training_ends_like_an_unbroken_one(sampler: ExampleSampler, tmp_path: Path) -> None:
    """Ctrl-C leaves a checkpoint, from which the training reaches the same weights."""
    whole = Run(sampler, tmp_path)

    def interrupt(stage: str, step: int, steps: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Run(sampler, tmp_path, progress=interrupt)
    resumed = Run(sampler, tmp_path, resume=True)
    assert all(a.equal(b) for a, b in zip(whole.weights(), resumed.weights(), strict=True))
    assert [step for step, _ in resumed.course.curves["total"]] == list(range(6))


def test_the_loss_falls(sampler: ExampleSampler, tmp_path: Path) -> None:
    """Forty steps bring the loss below two thirds of its first value."""
    curve = [value for _, value in Run(sampler, tmp_path, steps=40).course.curves["total"]]
    assert sum(curve[-10:]) < 0.67 * sum(curve[:10])


def test_an_infinite_loss_ends_the_training(
    sampler: ExampleSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absurd learning rate is an error, and leaves no checkpoint."""
    monkeypatch.setattr(module, "LEARNING_RATE", 1e30)
    with pytest.raises(DivergedError, match="loss became"):
        Run(sampler, tmp_path, steps=80)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_the_trunk_stays_as_it_is(sampler: ExampleSampler, tmp_path: Path) -> None:
    """After a training, every weight and every mean of batch norm is the file's."""
    trained = Run(sampler, tmp_path, steps=2)
    expected = load_file(TRUNK_WEIGHTS)
    found = trained.network.encoder.trunk.state_dict()
    assert found.keys() == expected.keys()
    assert all(found[name].equal(expected[name]) for name in expected)


def test_a_head_does_not_change_with_its_own_fold(
    sampler: ExampleSampler, normals: Normals, tmp_path: Path
) -> None:
    """If the pictures of a fold change, the head of this fold learns the same, and the final one does not."""
    examples = sampler.examples
    changed = examples.maps.clone()
    changed[torch.from_numpy(head_of_folds(normals.folds[examples.rows]) == 1)] += 1
    other = ExampleSampler(
        type(examples)(
            examples.clean, examples.label, examples.s4, examples.s8, examples.s16, changed, examples.rows
        ),
        normals,
        sampler.seen,
        sampler.seed,
    )
    before, after = (Run(each, tmp_path, steps=3) for each in (sampler, other))
    same = [
        all(a.equal(b) for a, b in zip(x.state_dict().values(), y.state_dict().values(), strict=True))
        for x, y in zip(before.heads, after.heads, strict=True)
    ]
    assert same == [head == 1 for head in range(HEADS + 1)]


def test_without_its_regularizer_the_mmd_is_not_computed(sampler: ExampleSampler, tmp_path: Path) -> None:
    """`regularizer="none"` gives an MMD of exactly zero."""
    batch = sampler.draw(0)
    off = InspectionLearner(InspectionOptions(regularizer="none", latent_dim=12, device="cpu"))
    on = InspectionLearner(InspectionOptions(latent_dim=12, device="cpu"))
    assert off.learn(batch, 0, None)["mmd"] == 0
    assert on.learn(batch, 0, None)["mmd"] != 0


@pytest.mark.parametrize(
    ("device", "able", "expected"),
    [
        ("cpu", {"avx2": True, "avx512_f": True}, False),
        ("cpu", {"avx512_bf16": True}, True),
        ("cpu", {"bf16": True}, True),
        ("cpu", {}, False),
        ("cuda", {}, True),
    ],
)
def test_bfloat16_is_not_emulated(
    monkeypatch: pytest.MonkeyPatch, device: str, able: dict[str, bool], *, expected: bool
) -> None:
    """A processor is asked for its capabilities; a graphics card has bfloat16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert has_bfloat16(device) is expected
