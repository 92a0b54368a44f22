"""The training of the inspection network."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from inspector.errors import UsageError
from models.inspection.batches import CropSampler
from models.inspection.options import InspectionOptions
from models.inspection.train import Trained, TrainOptions, multiplies_16_bits, train
from models.training.course import Plan

OPTIONS = TrainOptions(width=4, latent_dim=8, threads=1)


def run(sampler: CropSampler, folder: Path, steps: int = 12, **more: object) -> Trained:
    """Train a small network for a few steps."""
    return train(sampler, OPTIONS, Plan(steps=steps), folder / "checkpoint.pt", **more)  # type: ignore[arg-type]


def weights(trained: Trained) -> list[torch.Tensor]:
    """All parameters and buffers."""
    return list(trained.network.state_dict().values())


def test_same_seed_and_steps_same_weights(sampler: CropSampler, tmp_path: Path) -> None:
    """Two trainings of the same request end with the same numbers, bit for bit."""
    first, second = (run(sampler, tmp_path) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(weights(first), weights(second), strict=True))
    assert first.course.step == 12


def test_a_resumed_training_ends_where_an_unbroken_one_does(sampler: CropSampler, tmp_path: Path) -> None:
    """Ctrl-C leaves a checkpoint from which the very same weights are reached."""
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
    """Sixty steps bring the loss below two thirds of where it began."""
    curve = [value for _, value in run(sampler, tmp_path, steps=60).course.curves["total"]]
    assert sum(curve[-10:]) < 0.67 * sum(curve[:10])


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
def test_products_of_16_bits_are_not_imitated(
    monkeypatch: pytest.MonkeyPatch, device: str, able: dict[str, bool], *, expected: bool
) -> None:
    """A processor is asked what it can do; a graphics card need not be."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert multiplies_16_bits(device) is expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preset": "fast"}, "--preset is 'fast'; allowed are quick, standard, thorough"),
        ({"image_size": 100}, "multiples of 32"),
        ({"image_size": 32}, "64 to 1024"),
        ({"max_false_reject": 0.9}, "0.0001 to 0.5"),
        ({"max_review": 0.5, "max_false_reject": 0.5}, "below 0.5"),
        ({"steps": 0}, "1 to"),
        ({"device": "tpu"}, "auto, cpu, cuda"),
        ({"regularizer": "gan"}, "mmd, none"),
        ({"time_budget_seconds": 0.2}, "1s to 168h"),
        ({"latent_dim": 1}, "2 to 256"),
    ],
)
def test_unknown_values_are_refused(changes: dict[str, object], words: str) -> None:
    """Each option's message names the value and what is allowed."""
    with pytest.raises(UsageError, match=words):
        InspectionOptions(**changes)  # type: ignore[arg-type]
