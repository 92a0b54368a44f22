"""Trains the article's auto-encoder on prepared pictures, and measures it on the held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from models.article.batches import PictureSampler, to_tensor
from models.article.detector import build
from models.article.figures import MIN_SPREAD, figures, one_of_each, reconstruct, spread
from models.article.learner import ArticleLearner
from models.article.networks import AutoEncoder
from models.article.options import ArticleOptions
from models.article.panel import ArticlePanel
from models.article.warm_start import warm_start
from models.export.fitted import Pictures
from models.export.scoring_model import ScoringModel
from models.split import cross_fitting_groups, valid_flips
from models.training import loop
from models.training.course import Course, Plan
from models.training.pace import kept_threads
from models.training.tensorboard import Board
from models.types import Progress

FINISH_SECONDS = 15.0  # of a time budget, kept for export, calibration and report
MATCHED = ("mmd", "gan")  # regularizers of latents; those of a VAE start near the prior anyway


@dataclass(frozen=True)
class TrainedArticle:
    """A trained auto-encoder, and everything that its model is built of."""

    options: ArticleOptions
    pictures: Pictures
    network: AutoEncoder
    course: Course
    figures: dict[str, float]
    heldout_errors: tuple[float, ...]

    def build(self) -> ScoringModel:
        """Build the model that is exported."""
        pictures = self.pictures
        groups = cross_fitting_groups(pictures.groups)
        model = build(self.network, pictures.pixels, pictures.training, pictures.heldout, groups)
        return replace(
            model,
            architecture=f"article-{self.options.decoder}",
            parameters=parameters(self.network),
            figures=self.figures,
            heldout_errors=self.heldout_errors,
        )


def train(
    options: ArticleOptions,
    pictures: Pictures,
    plan: Callable[[float], Plan],
    checkpoint: Path,
    *,
    threads: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    board: Board | None = None,
) -> TrainedArticle:
    """Train on the training pictures, and measure on the held-out ones.

    Parameters
    ----------
    options : ArticleOptions
        Their width has been chosen.
    pictures : Pictures
        Prepared at 64 px.
    plan : callable
        Returns the plan, given the seconds that the steps after the training need.  Called after the warm
        start, which takes some of the time.
    checkpoint, threads, resume, progress
        As for `models.training.loop.run`.
    board : Board, optional
        Shows the training, and does not change its outcome.

    Raises
    ------
    BudgetError, DivergedError, ResumeError
    """
    rows, groups = pictures.training, pictures.groups
    mirrored = valid_flips(pictures.known.thumbnails[rows], groups[rows])[0]
    sampler = PictureSampler(pictures.pixels, rows, flip=mirrored, seed=options.seed, groups=groups)
    learner = ArticleLearner(options, sampler.steps_per_epoch)
    if not resume and options.regularizer in MATCHED:
        with kept_threads(threads):
            warm_start(learner, sampler, progress)
    panel = None if board is None else ArticlePanel(board, learner, pictures.pixels, rows, pictures.heldout)
    course = loop.run(
        learner,
        sampler.draw,
        plan(FINISH_SECONDS),
        checkpoint,
        threads=threads,
        resume=resume,
        progress=progress,
        watch=None if panel is None else panel.watch,
    )
    network = learner.network.cpu().eval()
    scaled = options.regularizer in MATCHED
    if scaled:
        spread_like_prior(network, pictures)
    measured, errors = figures(network, pictures.pixels, rows, pictures.heldout, groups, scaled=scaled)
    if board is not None:
        board.graph(network, sampler.evenly(1))
        board.options(options.as_dict(), measured)
    return TrainedArticle(options, pictures, network, course, measured, errors)


def spread_like_prior(network: AutoEncoder, pictures: Pictures) -> None:
    """Scale all latents by one factor: the latents of held-out pictures become as wide as the prior.

    The regularizer widens the latents of training pictures; those of new pictures, which the model will
    score, stay narrower.  Reconstructions do not change.
    """
    single = one_of_each(pictures.groups[pictures.heldout])
    z, _ = reconstruct(network, to_tensor(np.array(pictures.pixels[pictures.heldout[single]])))
    found = spread(z.numpy())
    if found > MIN_SPREAD:
        network.scale_latents(1 / found)


def parameters(network: AutoEncoder) -> dict[str, int]:
    """Count the parameters of each network."""
    parts: dict[str, nn.Module] = {"encoder": network.encoder, "decoder": network.decoder}
    if any(True for _ in network.regularizer.parameters()):
        parts["adversary"] = network.regularizer
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
