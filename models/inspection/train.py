"""A fit of the inspection network: from prepared pictures to everything that a model is built of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.conformal import heldout_needed
from models.export.fitted import Pictures
from models.export.scoring_model import LEARNED_FROM, ScoringModel
from models.inspection import components
from models.inspection.build import build
from models.inspection.examples import ExampleSampler, examples_of, make_examples
from models.inspection.learner import InspectionLearner, new_network
from models.inspection.network import Head, InspectionNetwork
from models.inspection.normals import Normals, learn_normals
from models.inspection.options import InspectionOptions
from models.inspection.panel import InspectionPanel
from models.split import cross_fitting_groups
from models.training import loop
from models.training.course import Course, Plan
from models.training.tensorboard import Board
from models.types import Progress

# Seconds of a budget that are kept for scoring, export, calibration and report, and for the trial of 8 bits.
# A short budget goes to the training, and the trial may overrun it.
FINISH_SECONDS, FINISH_SECONDS_PER_PICTURE = 14.0, 0.05
INT8_SECONDS, INT8_FROM_SECONDS = 10.0, 120.0
MOST_SCORED = 1_000  # pictures; more only where the promised rate needs them
MOST_STEPS = 400  # more find no more defects


@dataclass
class TrainedInspection:
    """Trained networks, and everything else that a model is built of."""

    options: InspectionOptions
    pictures: Pictures
    normals: Normals
    network: InspectionNetwork
    heads: Sequence[Head]
    course: Course
    progress: Progress

    def build(self) -> ScoringModel:
        """Build the model that is exported."""
        pictures, split = self.pictures, self.options.split
        groups = cross_fitting_groups(pictures.groups)
        rows = pictures.training if split else _all(pictures)
        most = max(MOST_SCORED, heldout_needed(self.options.max_false_reject))
        single = evenly(one_of_each(rows, groups), most)
        return build(
            self.network,
            self.heads,
            self.normals,
            pictures.pixels,
            np.union1d(evenly(rows, MOST_SCORED), single),
            single,
            pictures.heldout,
            self.options.seed,
            split=split,
            progress=partial(self.progress, "scoring"),
        )


def one_of_each(pictures: NDArray[np.intp], groups: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return one picture of each group: pictures of a duplicate group are one observation."""
    return np.asarray(np.sort(pictures[np.unique(groups[pictures], return_index=True)[1]]))


def evenly(pictures: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most so many of the pictures, at even distances."""
    return np.asarray(pictures[np.linspace(0, len(pictures) - 1, min(len(pictures), most)).astype(int)])


def finish_seconds(options: InspectionOptions, pictures: int) -> float:
    """Return how much of the time budget the steps after the training need."""
    finish = FINISH_SECONDS + FINISH_SECONDS_PER_PICTURE * min(pictures, LEARNED_FROM)
    return finish + (INT8_SECONDS if options.budget_seconds >= INT8_FROM_SECONDS else 0.0)


def train(
    options: InspectionOptions,
    pictures: Pictures,
    plan: Callable[[float, int | None], Plan],
    checkpoint: Path,
    *,
    threads: int = 0,
    resume: bool = False,
    progress: Progress,
    board: Board | None = None,
) -> TrainedInspection:
    """Learn the normal models, and train auto-encoder and heads on pictures with synthetic defects.

    The batch and all draws of a step depend on the seed and the step alone.  The checkpoint holds everything
    else, so a resumed training ends with the same weights as one without interruption.

    Parameters
    ----------
    options : InspectionOptions
    pictures : Pictures
    plan : callable
        Returns the plan, given the seconds that the work after the training needs, and the most steps that
        are worth taking.  Called when the learner is ready, because preparing it takes some of the time.
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
    rows = pictures.training if options.split else _all(pictures)
    trunk, pixels = new_network(options).encoder.trunk, pictures.pixels
    normals = learn_normals(
        trunk,
        [each for each in components.learned() if not each.of_latents],
        pixels,
        rows,
        pictures.groups,
        options.seed,
        progress=partial(progress, "learning"),
    )
    examples = make_examples(
        trunk,
        normals,
        pixels,
        examples_of(options.image_size),
        options.seed,
        progress=partial(progress, "laying defects"),
    )
    sampler = ExampleSampler(examples, normals, pictures.training, options.seed)
    learner = InspectionLearner(options)
    panel = None if board is None else InspectionPanel(board, learner, normals, pixels, pictures.heldout)
    course = loop.run(
        learner,
        sampler.draw,
        plan(finish_seconds(options, len(pictures.known)), MOST_STEPS),
        checkpoint,
        threads=threads,
        resume=resume,
        progress=progress,
        watch=None if panel is None else panel.watch,
    )
    if board is not None:
        board.options(options.as_dict(), {name: points[-1][1] for name, points in course.curves.items()})
    network, heads = learner.averaged()
    return TrainedInspection(options, pictures, normals, network, heads, course, progress)


def _all(pictures: Pictures) -> NDArray[np.intp]:
    return np.arange(len(pictures.known))
