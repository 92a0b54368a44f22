"""The file from which an interrupted training continues."""

from __future__ import annotations

import io
from pathlib import Path
from pickle import UnpicklingError

import torch

from inspector.bundle.atomic import write_bytes
from inspector.errors import ResumeError
from models.training.course import Course
from models.training.learner import Learner


def save_checkpoint(path: Path, learner: Learner, course: Course) -> None:
    """Write learner and course, atomically.

    Raises
    ------
    StorageError
        The disk is full or not writable.
    """
    content = {
        "learner": learner.state(),
        "step": course.step,
        "planned": course.planned,
        "seconds": course.seconds,
        "curves": course.curves,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue(), durable=False)


def load_checkpoint(path: Path, learner: Learner, course: Course) -> None:
    """Restore learner and course.

    Raises
    ------
    ResumeError
        There is no checkpoint, it is damaged, or it belongs to a learner with other options.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        learner.restore(content["learner"])
        course.step = course.resumed_at = content["step"]
        course.planned = content["planned"]
        course.seconds = content["seconds"]
        course.curves = {
            name: [(int(step), float(value)) for step, value in points]
            for name, points in content["curves"].items()
        }
    except FileNotFoundError as exc:
        raise ResumeError(f"there is no checkpoint at '{path}'", hint="fit without --resume") from exc
    except (EOFError, KeyError, RuntimeError, UnpicklingError, ValueError) as exc:
        raise ResumeError(
            f"the checkpoint '{path}' is damaged, or of another version ({type(exc).__name__})",
            hint="leave --resume out to start anew, or remove that file",
        ) from exc
