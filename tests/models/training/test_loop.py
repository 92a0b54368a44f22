"""The training loop, with a learner of three numbers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from inspector.errors import DivergedError, ResumeError
from models.training.course import Course, Plan
from models.training.loop import run
from tests.models.training.conftest import TinyLearner, draw


def trained(folder: Path, steps: int = 12, **more: object) -> tuple[torch.Tensor, Course]:
    """The weights after so many steps, and the record of the training."""
    learner = TinyLearner()
    course = run(learner, draw, Plan(steps), folder / "checkpoint.pt", threads=1, **more)  # type: ignore[arg-type]
    return learner.layer.weight.detach(), course


def test_same_seed_and_steps_same_weights(tmp_path: Path) -> None:
    """Two trainings of the same request end with the same numbers, bit for bit, and the loss falls."""
    (first, course), (second, _) = trained(tmp_path, 80), trained(tmp_path, 80)
    assert first.equal(second)
    assert course.step == course.planned == 80
    curve = [value for _, value in course.curves["total"]]
    assert sum(curve[-10:]) < 0.5 * sum(curve[:10])


def test_an_interrupted_training_resumes_and_ends_the_same(tmp_path: Path) -> None:
    """After Ctrl-C the checkpoint leads to the very same weights, and the curves have no gap."""
    whole, _ = trained(tmp_path)

    def interrupt(stage: str, step: int, steps: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, progress=interrupt)
    resumed, course = trained(tmp_path, resume=True)
    assert resumed.equal(whole)
    assert [step for step, _ in course.curves["total"]] == list(range(12))


def test_a_finished_training_continues_with_more_steps(tmp_path: Path) -> None:
    """Five steps, resumed with a plan of twelve, are a training of twelve."""
    whole, _ = trained(tmp_path)
    trained(tmp_path, 5)
    assert trained(tmp_path, 12, resume=True)[0].equal(whole)


def test_callbacks_hear_of_every_step(tmp_path: Path) -> None:
    """`progress` and `watch` are called after each step, with its number, the plan and the losses."""
    progress: list[tuple[str, int, int]] = []
    watched: list[tuple[int, int]] = []

    def watch(step: int, steps: int, losses: dict[str, float]) -> None:
        assert losses.keys() == {"total"}
        watched.append((step, steps))

    trained(tmp_path, 3, progress=lambda *said: progress.append(said), watch=watch)
    assert watched == [(1, 3), (2, 3), (3, 3)]
    assert progress == [("training", *step) for step in watched]


def test_a_budget_fixes_the_steps(tmp_path: Path) -> None:
    """The steps that fit into the time are computed once, told with the progress, and taken."""
    plans: set[int] = set()
    course = run(
        TinyLearner(step_seconds=0.002),
        draw,
        Plan(seconds=0.6),
        tmp_path / "checkpoint.pt",
        progress=lambda _, __, steps: plans.add(steps),
    )
    assert plans == {course.step}
    assert course.threads == 1  # more threads do not make a sleeping step faster


def test_resuming_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """The error says where the checkpoint was looked for."""
    with pytest.raises(ResumeError, match="no checkpoint"):
        trained(tmp_path, resume=True)


@pytest.mark.parametrize("kept", [0, 500, -500])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, kept: int) -> None:
    """A power cut may leave a part of it."""
    trained(tmp_path)
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    with pytest.raises(ResumeError, match="is damaged, or of another version"):
        trained(tmp_path, resume=True)


def test_a_checkpoint_of_another_learner_is_refused(tmp_path: Path) -> None:
    """Another version may have trained other networks."""
    torch.save({"learner": {}, "step": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(ResumeError, match="is damaged, or of another version"):
        trained(tmp_path, resume=True)


def test_a_loss_that_is_not_a_number_ends_the_training(tmp_path: Path) -> None:
    """The error names the step, and no checkpoint is left."""
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(DivergedError, match="at step 7"):
        run(TinyLearner(diverges_at=7), draw, Plan(12), checkpoint, threads=1)
    assert not checkpoint.exists()
