"""The training loop."""

from __future__ import annotations

import os
import re
import signal
from collections import deque
from pathlib import Path

import pytest
import torch

from inspector.errors import BudgetError, DivergedError, ResumeError, UsageError
from models.inspection.batches import CropSampler
from models.inspection.options import InspectionOptions
from models.inspection.train import Trained, TrainOptions, multiplies_16_bits, train
from models.training.loop import MIN_STEPS, RECENT_STEPS, Course, Plan, slowed

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


def test_a_budget_fixes_the_steps(sampler: CropSampler, tmp_path: Path) -> None:
    """A time budget is spent and not overdrawn, and the plan is told with the progress."""
    plans: set[int] = set()
    checkpoint = tmp_path / "checkpoint.pt"
    result = train(
        sampler, OPTIONS, Plan(seconds=8.0), checkpoint, progress=lambda _, __, steps: plans.add(steps)
    )
    assert plans == {result.course.step}
    assert 3.0 < result.course.seconds < 14.0


def test_threads_that_wait_for_each_other_are_given_up() -> None:
    """Twelve steps in a row, twice as slow as planned, end the work of several threads; one stays one."""
    paces = {1: 0.2, 2: 0.1}

    def given_up(threads: int, seconds: list[float], one_thread_from: int | None = None) -> bool:
        course = Course(threads=threads, one_thread_from=one_thread_from)
        return slowed(course, deque(seconds, maxlen=RECENT_STEPS), paces)

    assert given_up(2, [0.25] * 12)
    assert not given_up(2, [0.25] * 11)
    assert not given_up(2, [0.15] * 7 + [0.9] * 5)
    assert not given_up(2, [0.25] * 12, one_thread_from=40)
    assert not given_up(1, [0.9] * 12)


def test_a_budget_too_short_is_refused(sampler: CropSampler, tmp_path: Path) -> None:
    """Less than thirty steps are no training; the message says how much more time is needed."""
    with pytest.raises(BudgetError, match="at least 30") as refused:
        train(sampler, OPTIONS, Plan(seconds=0.5), tmp_path / "checkpoint.pt")
    more = re.match(r"give at least (\d+) s more, or --steps", refused.value.hint)
    assert more
    pace = float(re.search(r"at ([\d.]+) s each", str(refused.value))[1])  # type: ignore[index]  # or it fails
    assert int(more[1]) >= MIN_STEPS * pace - 0.5  # the timing took half a second, and more than that


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


def test_resuming_nothing_is_refused(sampler: CropSampler, tmp_path: Path) -> None:
    """There must be a checkpoint."""
    with pytest.raises(ResumeError, match="no checkpoint"):
        run(sampler, tmp_path, resume=True)


@pytest.mark.parametrize("left", [0, 1000, -1000])
def test_a_damaged_checkpoint_is_one_line(sampler: CropSampler, tmp_path: Path, left: int) -> None:
    """A power cut may leave part of it, and another version may have left one of other networks."""
    run(sampler, tmp_path)
    (checkpoint,) = tmp_path.glob("*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:left])
    with pytest.raises(ResumeError, match="is damaged, or of another version"):
        run(sampler, tmp_path, resume=True)
    torch.save({"learner": {}, "step": 1}, checkpoint)
    with pytest.raises(ResumeError, match="is damaged, or of another version"):
        run(sampler, tmp_path, resume=True)


def test_a_loss_that_is_no_number_ends_the_training(sampler: CropSampler, tmp_path: Path) -> None:
    """An absurd learning rate is found out, and leaves no checkpoint of it."""
    wild = TrainOptions(width=4, latent_dim=8, threads=1, learning_rate=1e30)
    with pytest.raises(DivergedError, match="loss became"):
        train(sampler, wild, Plan(steps=80), tmp_path / "checkpoint.pt")
    assert not (tmp_path / "checkpoint.pt").exists()


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
