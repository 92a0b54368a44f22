"""Training of the inspection network, from prepared pictures to a network that a model is built of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.export.fitted import Pictures
from models.export.scoring_model import LEARNED_FROM, ScoringModel
from models.inspection.batches import CropSampler
from models.inspection.build import build
from models.inspection.learner import start
from models.inspection.network import InspectionNetwork
from models.inspection.options import InspectionOptions
from models.inspection.panel import InspectionPanel
from models.split import valid_flips
from models.training import loop
from models.training.course import Course, Plan
from models.training.tensorboard import Board
from models.types import Progress

CROP, BATCH = 128, 16  # pixels on each side of a crop, and crops in a batch
# Seconds of a budget that are kept for export, calibration and report, and for the trial of 8 bits.  A short
# budget goes to the training, and the trial may overrun it.
FINISH_SECONDS, FINISH_SECONDS_PER_PICTURE = 28.0, 0.06
INT8_SECONDS, INT8_FROM_SECONDS = 10.0, 120.0


@dataclass
class TrainedInspection:
    """A trained network, and everything that its model is built of."""

    options: InspectionOptions
    pictures: Pictures
    network: InspectionNetwork
    course: Course
    target_mean: float

    def build(self) -> ScoringModel:
        """Build the model that is exported."""
        pictures = self.pictures
        return build(
            self.network,
            self.target_mean,
            pictures.pixels,
            pictures.training,
            pictures.heldout,
            pictures.groups,
            self.options.seed,
        )


def finish_seconds(options: InspectionOptions, pictures: int) -> float:
    """Return how much of the time budget the steps after the training need."""
    finish = FINISH_SECONDS + FINISH_SECONDS_PER_PICTURE * min(pictures, LEARNED_FROM)
    return finish + (INT8_SECONDS if options.budget_seconds >= INT8_FROM_SECONDS else 0.0)


def train(
    options: InspectionOptions,
    pictures: Pictures,
    plan: Callable[[float], Plan],
    checkpoint: Path,
    *,
    threads: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    board: Board | None = None,
) -> TrainedInspection:
    """Train on normal crops, and on the same crops with synthetic defects.

    The batch and all draws of a step depend on the seed and the step alone.  The checkpoint holds everything
    else, so a resumed training ends with the same weights as one without interruption.

    Parameters
    ----------
    options : InspectionOptions
    pictures : Pictures
    plan : callable
        Returns the plan, given the seconds that the steps after the training need.  Called when the
        learner is ready, because preparing it takes some of the time.
    checkpoint, threads, resume, progress
        As for `models.training.loop.run`.
    board : Board, optional
        Shows the training, and does not change the outcome.

    Returns
    -------
    TrainedInspection
        With the exponential moving average of the weights.

    Raises
    ------
    BudgetError, DivergedError, ResumeError
    """
    sampler = sampler_of(options, pictures)
    learner = start(options, sampler)
    panel = None
    if board is not None:
        panel = InspectionPanel(board, learner, pictures.pixels, pictures.heldout, sampler.target_mean)
    course = loop.run(
        learner,
        sampler.draw,
        plan(finish_seconds(options, len(pictures.known))),
        checkpoint,
        threads=threads,
        resume=resume,
        progress=progress,
        watch=None if panel is None else panel.watch,
    )
    if board is not None:
        board.options(options.as_dict(), {name: points[-1][1] for name, points in course.curves.items()})
    return TrainedInspection(options, pictures, learner.averaged(), course, sampler.target_mean)


def sampler_of(options: InspectionOptions, pictures: Pictures) -> CropSampler:
    """Return the batches of a training."""
    training = pictures.training
    return CropSampler(
        pictures.pixels,
        training,
        crop=min(CROP, options.image_size),
        batch=BATCH,
        flips=valid_flips(pictures.known.thumbnails[training], pictures.groups[training]),
        seed=options.seed,
    )
