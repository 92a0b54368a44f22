"""Makes the pretrained weights of the trunk.

    python -m models.pretrained WORK --photographs FOLDER --output models/pretrained/trunk.safetensors

The same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inspector.bundle.atomic import storage_errors
from inspector.commands.exits import INTERRUPTED, exit_code
from inspector.commands.progress import shown_progress
from inspector.errors import InspectorError, UsageError
from inspector.imaging.files import printable
from inspector.process.concurrency import cores
from models.pretrained.contrast import ContrastLearner
from models.pretrained.photographs import find_photographs, photograph_bank
from models.pretrained.recipe import NO_PHOTOGRAPHS, Recipe
from models.pretrained.scene_bank import render_bank
from models.pretrained.views import Look, Source, ViewSampler
from models.pretrained.weights import write_weights
from models.training import loop
from models.training.course import Plan
from models.types import Progress

INVENTED_SHARE = 0.3  # of the views, if there are photographs


def main(words: list[str] | None = None) -> int:
    """Make the weights, and return the exit code."""
    options = parse(words)
    try:
        with storage_errors(options.work), shown_progress() as progress:
            make(options, progress)
    except InspectorError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on\n")
        return INTERRUPTED
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are those of the shipped weights."""
    parser = argparse.ArgumentParser(
        prog="python -m models.pretrained",
        description="Make the pretrained weights; the same command goes on after an interruption.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for pictures and the checkpoint")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="file for the weights")
    parser.add_argument(
        "--photographs", type=Path, metavar="FOLDER", help="photographs of anything, beside invented scenes"
    )
    parser.add_argument(
        "--credit",
        action="append",
        default=[],
        metavar="TEXT",
        help="name, authors and licence of a source of the photographs; give it once for each source",
    )
    parser.add_argument("--scenes", type=_count, default=4_000, help="scenes to invent; 1,000 take 200 MB")
    parser.add_argument("--steps", type=_count, default=12_000, help="the learning rate falls to 0 here")
    parser.add_argument("--stop", type=_count, help="stop after this many of the steps")
    parser.add_argument("--seed", type=_seed, default=5, help="decides every random draw")
    parser.add_argument("--threads", type=_count, default=cores(), help="another number, other last digits")
    return parser.parse_args(words)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is given; at least 1 is needed")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is given; at least 0 is needed")
    return number


def make(options: argparse.Namespace, progress: Progress) -> None:
    """Gather the pictures, train, and write the weights."""
    _check(options)
    recipe = recipe_of(options)
    options.work.mkdir(parents=True, exist_ok=True)
    checkpoint = options.work / "trunk.pt"
    recipe.claim(options.work / "trunk.json", begun=checkpoint.exists())
    learner = ContrastLearner(recipe.seed, recipe.steps)
    course = loop.run(
        learner,
        view_sampler(recipe, options.work, progress).draw,
        Plan(options.stop or options.steps),
        checkpoint,
        threads=options.threads,
        resume=checkpoint.exists(),
        progress=progress,
    )
    write_weights(learner.average.module, options.output, recipe.card(course.step))


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together, before hours are spent."""
    if options.credit and options.photographs is None:
        raise UsageError("--credit names a source of photographs", hint="give --photographs, too")
    if options.stop is not None and options.stop > options.steps:
        raise UsageError(
            f"--stop is {options.stop}; at most --steps, {options.steps}, is allowed",
            hint="the learning rate is 0 after --steps",
        )
    if not options.output.absolute().parent.is_dir():
        raise UsageError(
            f"--output is {printable(options.output)}, in a folder that does not exist",
            hint="make the folder first",
        )


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the recipe that the options ask for; the photographs are listed, and their files are read."""
    return Recipe(
        scenes=options.scenes,
        steps=options.steps,
        seed=options.seed,
        threads=options.threads,
        photographs=find_photographs(options.photographs) if options.photographs else NO_PHOTOGRAPHS,
        credits=tuple(options.credit),
    )


def view_sampler(recipe: Recipe, work: Path, progress: Progress) -> ViewSampler:
    """Gather photographs and invented scenes, and return what draws views of them."""
    sources, invented = [], 1.0
    if recipe.photographs.files:
        bank = photograph_bank(recipe.photographs, work / "photographs.npy", progress)
        invented = INVENTED_SHARE
        sources.append(Source(bank, 1 - invented))
    file = work / f"scenes-{recipe.scenes}.npy"
    scenes = render_bank(file, recipe.scenes, recipe.threads, progress)
    pictures = scenes.reshape(-1, *scenes.shape[2:])  # (scenes·pictures, H, W, 3)
    return ViewSampler([*sources, Source(pictures, invented)], Look(), recipe.seed + 2)


if __name__ == "__main__":
    sys.exit(main())
