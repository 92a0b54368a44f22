"""Compares torch with ONNX Runtime on all test pictures of a set: `python -m tests.benchmarks.parity SET`.

A fit compares both on its held-out pictures, which are good.  This measurement trains like a fit, and
compares both on defective pictures, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from calibration.conformal import heldout_count
from inspector.commands.options import seconds
from inspector.commands.progress import shown_progress
from inspector.scoring.runtime import DetectorSession
from inspector.settings import Settings
from models import dataset
from models.export import onnx_graphs
from models.export.bundle_writer import calibrate
from models.export.fitted import Fitted, Pictures
from models.export.scoring_model import batches
from models.inspection.options import InspectionOptions
from models.inspection.train import train
from models.split import duplicate_groups, split
from models.training.course import Plan


def measure(folder: Path, work: Path, budget_seconds: float) -> str:
    """Train on `train/good`, score the pictures under `test` twice, and describe the differences."""
    options = InspectionOptions()
    known = _read(folder / "train" / "good", work / "train", options)
    groups = duplicate_groups(known.thumbnails)
    count = heldout_count(len(known), options.max_false_reject)
    pictures = Pictures(known, *split(known.digests, groups, count), groups)
    with shown_progress() as progress:
        trained = train(
            options, pictures, lambda *_: Plan(seconds=budget_seconds), work / "checkpoint", progress=progress
        )
    model = trained.build()
    onnx_graphs.write_graphs(model, work, options.image_size)
    fitted = Fitted(folder, "parity", options, Settings(), pictures, trained.course, model, lambda *_: None)
    calibration = calibrate(fitted, model.calibration_scores)
    unseen = _read(folder / "test", work / "test", options)
    rows = np.arange(len(unseen))
    with torch.no_grad():
        in_torch = [model.detector(batch)[0].numpy() for batch in batches(unseen.pixels, rows)]
    exported = onnx_graphs.score_rows(DetectorSession(work / "detector.onnx", 0), unseen.pixels, rows)
    found = onnx_graphs.check_parity(
        np.concatenate(in_torch), exported.statistics, calibration, model.columns
    )
    return (
        f"{found.images} test pictures after {trained.course.step} steps: largest relative difference "
        f"{found.largest_relative_difference:.2g}, at most {found.tolerance:g}; {found.verdict_flips} flips"
    )


def _read(folder: Path, work: Path, options: InspectionOptions) -> dataset.PictureSet:
    work.mkdir()
    return dataset.read_folder(folder, work, options.image_size, strict=True)


def main() -> int:
    """Measure one set; raises an error if the scores differ by too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a set, with train/good and test")
    parser.add_argument("--budget", default="2m", help="for the training")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        print(measure(arguments.folder, Path(work), seconds(arguments.budget)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
