"""How sharp the article's auto-encoders reconstruct and generate, after the same number of steps.

    python -m tests.benchmarks.sharpness PICTURES --steps 400 --seeds 0 1 2

The article and the paper that it follows say that a WAE's pictures are sharper than a VAE's.  Reconstructions
are those of held-out pictures.  Sharpness is the variance of the Laplacian, in squared grey levels.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import inspector
import models
from inspector.commands.progress import shown_progress
from tests.benchmarks.autoencoders import LATENT_DIM, REGULARIZERS, WIDTH
from tests.benchmarks.command import exit_code

COLUMNS = {
    "reconstructions": "copy_sharpness_mean",
    "least sharp reconstruction": "copy_sharpness",
    "samples from the prior": "sample_sharpness_mean",
    "held-out squared error": "heldout_squared_error",
}


def measure(folder: Path, regularizer: str, steps: int, seed: int, width: int) -> dict[str, float]:
    """Fit once, and return the figures in the model's training summary."""
    with tempfile.TemporaryDirectory() as store, shown_progress() as progress:
        path = models.fit(
            folder,
            name="pictures",
            store=Path(store),
            preset="article",
            regularizer=regularizer,
            latent_dim=LATENT_DIM,
            width=width,
            steps=steps,
            seed=seed,
            progress=progress,
        )
        return dict(inspector.open_model(path, threads=1).manifest.training.figures)


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Write the mean over seeds, and each seed's value, as a Markdown table."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "| :-- |" + " --: |" * len(COLUMNS)]
    for name, fits in found.items():
        columns = [[one[column] for one in fits] for column in COLUMNS.values()]
        cells = [f"{fmean(values):.0f} ({', '.join(f'{v:.0f}' for v in values)})" for values in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    first = next(iter(found.values()))[0]
    return "\n".join(
        [*lines, "", f"The held-out pictures themselves: {first['picture_sharpness_mean']:.0f} in the mean."]
    )


def main(words: list[str] | None = None) -> int:
    """Fit every auto-encoder with every seed, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, help="a folder of pictures")
    parser.add_argument("--steps", type=int, default=400, metavar="N", help="of each fit")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--width", type=int, default=WIDTH, metavar="N", help="channels")
    options = parser.parse_args(words)

    def body() -> int:
        found: dict[str, list[dict[str, float]]] = {}
        for name, regularizer in REGULARIZERS.items():
            for seed in options.seeds:
                figures = measure(options.pictures, regularizer, options.steps, seed, options.width)
                found.setdefault(name, []).append(figures)
        print(table(found))
        return 0

    return exit_code(body)


if __name__ == "__main__":
    sys.exit(main())
