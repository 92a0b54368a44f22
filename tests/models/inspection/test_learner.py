"""One step of the inspection network, and the training that it adds up to."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from inspector.errors import DivergedError
from models.inspection import learner as module
from models.inspection.batches import CropSampler
from models.inspection.learner import TrainingBanks, has_bfloat16, share_of_looks, start
from models.inspection.network import InspectionNetwork
from models.inspection.options import InspectionOptions
from models.pretrained.weights import TRUNK_WEIGHTS
from models.training import loop
from models.training.course import Course, Plan

SMALL = InspectionOptions(width=4, latent_dim=8, device="cpu")
PRETRAINED = InspectionOptions(latent_dim=8, device="cpu")


@dataclass
class Run:
    """A finished training."""

    network: InspectionNetwork
    course: Course


def run(
    sampler: CropSampler, folder: Path, steps: int = 12, options: InspectionOptions = SMALL, **more: Any
) -> Run:
    """Train for a few steps."""
    learner = start(options, sampler)
    checkpoint = folder / "checkpoint.pt"
    course = loop.run(learner, sampler.draw, Plan(steps=steps), checkpoint, threads=1, **more)
    return Run(learner.averaged(), course)


def weights(trained: Run) -> list[torch.Tensor]:
    """All parameters and buffers."""
    return list(trained.network.state_dict().values())


def test_same_seed_and_steps_same_weights(sampler: CropSampler, tmp_path: Path) -> None:
    """Two trainings of the same request end with the same numbers, bit for bit."""
    first, second = (run(sampler, tmp_path) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(weights(first), weights(second), strict=True))
    assert first.course.step == 12


def test_a_resumed_training_ends_like_an_unbroken_one(sampler: CropSampler, tmp_path: Path) -> None:
    """Ctrl-C leaves a checkpoint, from which the training reaches the same weights."""
    whole = run(sampler, tmp_path)

    def interrupt(stage: str, step: int, steps: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(sampler, tmp_path, progress=interrupt)
    resumed = run(sampler, tmp_path, resume=True)
    assert all(a.equal(b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert [step for step, _ in resumed.course.curves["total"]] == list(range(12))


def test_the_loss_falls(sampler: CropSampler, tmp_path: Path) -> None:
    """Sixty steps bring the loss below two thirds of its first value."""
    curve = [value for _, value in run(sampler, tmp_path, steps=60).course.curves["total"]]
    assert sum(curve[-10:]) < 0.67 * sum(curve[:10])


def test_an_infinite_loss_ends_the_training(
    sampler: CropSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absurd learning rate is an error, and leaves no checkpoint."""
    monkeypatch.setattr(module, "LEARNING_RATE", 1e30)
    with pytest.raises(DivergedError, match="loss became"):
        run(sampler, tmp_path, steps=80)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_the_pretrained_trunk_stays_as_it_is(sampler: CropSampler, tmp_path: Path) -> None:
    """After a training, every weight and every mean of batch norm is the file's."""
    trained = run(sampler, tmp_path, steps=3, options=PRETRAINED)
    expected = load_file(TRUNK_WEIGHTS)
    found = trained.network.encoder.trunk.state_dict()
    assert found.keys() == expected.keys()
    assert all(found[name].equal(expected[name]) for name in expected)


def test_a_trunk_that_learns_has_no_banks(sampler: CropSampler) -> None:
    """Its embeddings would move away from the banks, so the head sees no distances."""
    learner = start(InspectionOptions(latent_dim=8, pretrained=False, device="cpu"), sampler)
    assert learner.banks is None
    assert learner.network.head.from_distances is None


def test_a_crop_is_not_compared_with_its_own_picture(sampler: CropSampler) -> None:
    """Distances of crops to the banks are larger without the crops of the same picture."""
    network = start(PRETRAINED, sampler).network
    assert network.head.from_distances is not None
    banks = TrainingBanks(network, sampler, 0, "cpu")
    crops, rows = sampler.good(8)
    with torch.no_grad():
        embedding, half_size = network.encoder(crops).embedding, network.encoder.half_size_embedding(crops)
        apart = banks.distances(rows)(embedding, half_size)
        with_own = banks.distances(torch.full_like(rows, -1))(embedding, half_size)
    assert apart.shape == (8, 2, 8, 8)
    assert bool((with_own <= apart + 1e-6).all())
    assert float(with_own.mean()) < 0.8 * float(apart.mean())


def test_good_crops_are_those_of_the_seed(sampler: CropSampler) -> None:
    """They are the same each time, come from the sampler's rows, and have no defects."""
    (first, rows), (second, again) = sampler.good(5), sampler.good(5)
    assert first.equal(second)
    assert rows.equal(again)
    assert set(rows.tolist()) <= set(range(10))
    assert sampler.draw(0).rows.shape == (4,)


def test_the_pretrained_head_learns_slowly_in_a_long_training() -> None:
    """All steps count in full until the looks are used up; with four times as many, each counts a quarter."""
    assert share_of_looks(1600, 100, 16) == 1
    assert share_of_looks(1600, 400, 16) == 0.25
    assert share_of_looks(1600, None, 16) == share_of_looks(None, 400, 16) == 1


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
