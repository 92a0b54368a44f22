"""From prepared pictures to a trained auto-encoder of the article, and what was measured of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.article.batches import PictureSampler, to_tensor
from models.article.detector import COLUMNS, FUSION, assemble
from models.article.figure import LEAST_SPREAD, copies, figures, one_of_each, spread
from models.article.network import BETAS, LEARNING_RATE, ArticleLearner, AutoEncoder, LearnerOptions
from models.article.options import ArticleOptions
from models.article.panel import Panel
from models.article.warm_start import match_moments, whiten
from models.export.bundle_writer import Learned, Pictures
from models.split import cross_fitting_groups, valid_flips
from models.training import loop
from models.training.course import Plan
from models.training.loop import Progress
from models.training.pace import kept_threads
from models.training.tensorboard import Board

MATCHED = ("mmd", "gan")  # penalties on codes; what a VAE encodes begins near the prior by itself
WHITENED = 500  # pictures whose features are whitened


def learn(
    options: ArticleOptions,
    pictures: Pictures,
    plan: Callable[[], Plan],
    checkpoint: Path,
    *,
    threads: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    board: Board | None = None,
) -> Learned:
    """Train on the training pictures, and measure on the held-out ones.

    Parameters
    ----------
    options : ArticleOptions
        With a width.
    pictures : Pictures
        At 64 px.
    plan : callable
        Asked for the plan once the encoder is prepared, which takes some of the time.
    checkpoint, threads, resume, progress
        As for `models.training.loop.run`.
    board : Board, optional
        Shows the training; the outcome is the same with and without.

    Raises
    ------
    BudgetError, DivergedError, ResumeError
    """
    rows, groups = pictures.training, pictures.groups
    mirrored = valid_flips(pictures.known.thumbnails[rows], groups[rows])[0]
    sampler = PictureSampler(pictures.pixels, rows, flip=mirrored, seed=options.seed, groups=groups)
    learner = ArticleLearner(learner_options(options, sampler.steps_per_epoch))
    if not resume and options.regularizer in MATCHED:
        with kept_threads(threads):
            prepare(learner, sampler, progress)
    panel = None if board is None else Panel(board, learner, pictures.pixels, rows, pictures.heldout)
    course = loop.run(
        learner,
        sampler.draw,
        plan(),
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
    labels = cross_fitting_groups(groups, rows, pictures.heldout)
    measured = figures(network, pictures.pixels, rows, pictures.heldout, groups, scaled=scaled)
    if board is not None:
        board.graph(network, sampler.some(1))
        board.options(options.as_dict(), measured)
    return Learned(
        architecture=f"article-{options.decoder}",
        columns=COLUMNS,
        course=course,
        parameters=parameters(network),
        assemble=lambda: assemble(network, pictures.pixels, rows, labels),
        fusion=FUSION,
        figures=measured,
    )


def learner_options(options: ArticleOptions, steps_per_epoch: int) -> LearnerOptions:
    """Return what of a fit's options decides the training."""
    assert options.width is not None
    return LearnerOptions(
        latent_dim=options.latent_dim,
        width=options.width,
        decoder=options.decoder,
        regularizer=options.regularizer,
        kernel=options.kernel,
        penalty_weight=options.weight,
        cost=options.cost,
        steps_per_epoch=steps_per_epoch,
        seed=options.seed,
        device=options.resolved_device(),
    )


def prepare(
    learner: ArticleLearner, sampler: PictureSampler, progress: Progress | None = None
) -> list[float]:
    """Bring the encoder's codes to the prior's mean and covariance; the losses of the steps it took."""
    encoder, device = learner.network.encoder, learner.options.device
    with torch.no_grad():
        features = encoder.features(sampler.some(WHITENED).to(device))
    whiten(encoder.to_latent, features)

    def draw(step: int) -> Tensor:
        return sampler.draw(step).noisy.to(device)

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("preparing the encoder", done, total)

    generator = torch.Generator().manual_seed(learner.options.seed)
    return match_moments(encoder, draw, generator, rate=LEARNING_RATE, betas=BETAS, report=report)


def spread_like_prior(network: AutoEncoder, pictures: Pictures) -> None:
    """Scale codes so that those of held-out pictures are as wide as the prior; copies stay as they are.

    The penalty widens the codes that it sees.  Those of pictures that were not learned stay narrower, and
    such pictures are what the model meets later.
    """
    single = one_of_each(pictures.groups[pictures.heldout])
    codes, _ = copies(network, to_tensor(np.array(pictures.pixels[pictures.heldout[single]])))
    found = spread(codes.numpy())
    if found > LEAST_SPREAD:
        network.scale_codes(1 / found)


def parameters(network: AutoEncoder) -> dict[str, int]:
    """How many each part has."""
    parts: dict[str, nn.Module] = {"encoder": network.encoder, "decoder": network.decoder}
    if any(True for _ in network.penalty.parameters()):
        parts["adversary"] = network.penalty
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
