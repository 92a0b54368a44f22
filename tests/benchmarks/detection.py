"""Fits and evaluates every image set in a folder with the defaults: `make bench DATA=FOLDER BUDGET=5m`.

A set is a folder with `train/good` and `test/good` and other folders of defects beside it, as in MVTec AD.
Labels are for measuring only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import inspector
import models
from calibration.conformal import beta_binomial_interval
from calibration.evaluation import evaluate
from inspector.commands.fit import seconds
from inspector.commands.progress import shown_progress

HEADER = f"{'set':<12} {'AUROC':>5} {'interval':>11} {'pixel':>5} {'AUPRO':>5} {'rejects':>9} {'at most':>7}"


def measure(folder: Path, store: Path, budget_seconds: float, seed: int) -> dict[str, Any]:
    """Fit one set and evaluate it; the figures of `inspector evaluate`, and what the fit took."""
    started = time.monotonic()
    with shown_progress() as progress:
        path = models.fit(
            folder / "train" / "good",
            name=folder.name,
            store=store,
            time_budget_seconds=budget_seconds,
            seed=seed,
            progress=progress,
        )
    fit_seconds = time.monotonic() - started
    detector = inspector.open_model(path)
    figures = evaluate(detector, folder / "test")
    good = sum(1 for _ in (folder / "test" / "good").iterdir())
    calibration = detector.calibration
    limit = beta_binomial_interval(
        len(calibration.heldout_scores), good, calibration.promised_false_reject_rate, level=0.99
    )[1]
    training = detector.manifest.training
    return {
        "set": folder.name,
        "seed": seed,
        "fit_seconds": round(fit_seconds, 1),
        "steps": training.steps,
        "heldout": training.heldout_images,
        "good": good,
        "false_rejects": round(figures["image"]["false_reject_rate"] * good),
        "false_rejects_at_most": limit,
        "parity": detector.manifest.parity.largest_relative_difference,
        **figures,
    }


def row(found: dict[str, Any]) -> str:
    """One line of the table."""
    image, pixel = found["image"], found["pixel"] or {}
    low, high = image["auroc_interval"]
    shown = [f"{pixel[key]:5.3f}" if pixel else "    -" for key in ("auroc", "aupro")]
    rejects = f"{found['false_rejects']}/{found['good']}"
    parts = ", ".join(f"{name} {part['auroc']:.3f}" for name, part in found["components"].items())
    effort = f"{found['steps']} steps in {found['fit_seconds']:.0f} s"
    return (
        f"{found['set']:<12} {image['auroc']:5.3f} {low:5.3f}-{high:5.3f} {shown[0]} {shown[1]} {rejects:>9} "
        f"{found['false_rejects_at_most']:>7}   {effort}; {parts}"
    )


def main() -> int:
    """Measure each set, print a table, and write one JSON object for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", nargs="*", help="only these")
    parser.add_argument("--results", type=Path, help="a folder for the JSON files")
    arguments = parser.parse_args()
    folders = [path.parent.parent for path in sorted(arguments.data.glob("*/train/good"))]
    chosen = [folder for folder in folders if not arguments.sets or folder.name in arguments.sets]
    if not chosen:
        sys.stderr.write(f"error: no set in {arguments.data}\nhint: a set has train/good and test/good\n")
        return 2
    print(HEADER, flush=True)
    for folder in chosen:
        with tempfile.TemporaryDirectory() as store:
            found = measure(folder, Path(store), seconds(arguments.budget), arguments.seed)
        print(row(found), flush=True)
        if arguments.results:
            arguments.results.mkdir(parents=True, exist_ok=True)
            target = arguments.results / f"{folder.name}-{arguments.seed}.json"
            target.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
