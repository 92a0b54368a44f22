"""Compares torch with ONNX Runtime on all test pictures of a set: `python -m tests.benchmarks.parity SET`.

A fit compares both on its held-out pictures, which are good.  This measurement trains like a fit, and
compares both on defective pictures, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.conformal import heldout_count
from calibration.thresholds import make_calibration
from inspector.commands.options import seconds
from inspector.commands.progress import shown_progress
from inspector.scoring.runtime import DetectorSession
from models import dataset
from models.export import onnx_graphs
from models.export.bundle_writer import FLOOR
from models.fit import BATCH, CROP
from models.inspection import build
from models.inspection.batches import CropSampler
from models.inspection.detector import COLUMNS, FUSED, WEIGHTS
from models.inspection.options import InspectionOptions
from models.inspection.train import TrainOptions, train
from models.split import duplicate_groups, split, valid_flips
from models.training.course import Plan


def measure(folder: Path, work: Path, budget_seconds: float) -> str:
    """Train on `train/good`, score the pictures under `test` twice, and describe the differences."""
    options = InspectionOptions()
    learned = _read(folder / "train" / "good", work / "train", options)
    groups = duplicate_groups(learned.thumbnails)
    count = heldout_count(len(learned), options.max_false_reject)
    training, heldout = split(learned.digests, groups, count)
    flips = valid_flips(learned.thumbnails[training], groups[training])
    sampler = CropSampler(learned.pixels, training, crop=CROP, batch=BATCH, flips=flips, seed=0)
    with shown_progress() as progress:
        trained = train(
            sampler, TrainOptions(), Plan(seconds=budget_seconds), work / "checkpoint", progress=progress
        )
    graphs = build.assemble(
        trained.network, sampler.target_mean, learned.pixels, training, groups, 0, heldout
    )
    onnx_graphs.write_graphs(graphs, work, options.image_size)
    graph = DetectorSession(work / "detector.onnx", 0)
    fresh = onnx_graphs.score_heldout(work / "detector.onnx", 0, learned.pixels, heldout, graphs.parts)
    calibration = make_calibration(
        graphs.training.statistics,
        fresh.statistics,
        fresh.anomaly_map[:, 0, 0],
        COLUMNS,
        fused=FUSED,
        weights=WEIGHTS,
        floor=FLOOR,
        disturbed_statistics=graphs.disturbed_statistics,
        max_false_reject=options.max_false_reject,
        max_review=None,
        source="held-out pictures",
    )
    unseen = _read(folder / "test", work / "test", options)
    rows = np.arange(len(unseen))
    exported = onnx_graphs.score_rows(graph, unseen.pixels, rows)
    graphs = replace(graphs, parts=None)  # none of the test pictures is in the memory bank
    found = onnx_graphs.check_parity(graphs, exported, unseen.pixels, rows, calibration)
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
