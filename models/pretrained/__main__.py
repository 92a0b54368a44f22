"""Makes the pretrained weights from rendered scenes, first the trunk's, then the head's.

    python -m models.pretrained trunk WORK --output models/pretrained/trunk.safetensors
    python -m models.pretrained head WORK --output models/pretrained/head.safetensors

The head is trained with the trunk that lies beside this file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rich.progress import Progress

from inspector.process.concurrency import cores
from models.pretrained.episodes import EpisodeSampler, render_bank
from models.pretrained.head import HeadLearner
from models.pretrained.learner import EpisodeLearner
from models.pretrained.trunk import TrunkLearner
from models.pretrained.weights import write_weights
from models.training import loop
from models.training.course import Plan

SCENES_OF_AN_EPISODE = 8


class Recipe(NamedTuple):
    """How the shipped weights of a network were made."""

    learner: Callable[[int, int], EpisodeLearner]  # of seed and steps
    steps: int
    stop: int
    seed: int


RECIPES = {
    "trunk": Recipe(TrunkLearner, steps=3_000, stop=1_250, seed=5),  # later weights transfer worse
    "head": Recipe(HeadLearner, steps=1_500, stop=1_500, seed=11),
}


def main(words: list[str] | None = None) -> int:
    """Render the scenes, train, and write the weights; the same command resumes after an interruption."""
    options = parse(words)
    options.work.mkdir(parents=True, exist_ok=True)
    bank = render_bank(options.work / "scenes.npy", options.scenes, options.threads)
    learner = RECIPES[options.network].learner(options.seed, options.steps)
    sampler = EpisodeSampler(bank, SCENES_OF_AN_EPISODE, options.seed)
    train(learner, sampler, options.stop, options.work / f"{options.network}.pt", options.threads)
    card = {
        "made from": f"{options.scenes} invented scenes, no photographs, no other weights",
        "steps": f"{options.stop} of {options.steps}",
        "seed": str(options.seed),
    }
    write_weights(learner.average.module, options.output, card)
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line; the recipe of the network gives the defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m models.pretrained",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", choices=tuple(RECIPES))
    parser.add_argument("work", type=Path, help="folder for the rendered scenes and the checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="the file for the weights")
    parser.add_argument("--scenes", type=int, default=12_000, help="how many to render (12,000 take 2.4 GB)")
    parser.add_argument("--steps", type=int, help="the learning rate falls to 0 at this step")
    parser.add_argument("--stop", type=int, help="stop after this many steps")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int, default=cores())
    options = parser.parse_args(words)
    recipe = RECIPES[options.network]
    parser.set_defaults(steps=recipe.steps, stop=recipe.stop, seed=recipe.seed)
    return parser.parse_args(words)


def train(
    learner: EpisodeLearner, sampler: EpisodeSampler, stop: int, checkpoint: Path, threads: int
) -> None:
    """Train up to a step; continue from the checkpoint where there is one."""
    with Progress() as progress:
        bar = progress.add_task("training", total=stop)

        def watch(step: int, _steps: int, losses: dict[str, float]) -> None:
            said = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            progress.update(bar, completed=step, description=said)

        loop.run(
            learner,
            sampler.draw,
            Plan(stop),
            checkpoint,
            threads=threads,
            resume=checkpoint.exists(),
            watch=watch,
        )


if __name__ == "__main__":
    sys.exit(main())
