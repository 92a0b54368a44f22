"""Measures whether heatmaps point at defects: `python -m tests.benchmarks.peaks MODEL SET --kinds crack`.

Counts the flagged defective pictures whose map has its peak inside the mask or a few pixels beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import inspector
from calibration.labelled import labelled_folder
from calibration.masks import read_masks
from inspector.scoring.detector import Detector
from tests.soak.program import demand, finish, say

GROWN = 5  # pixels that a peak may lie beside the mask
SHARE = 0.8  # of flagged pictures that are hit, at least


def hits(anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_], grown: int = GROWN) -> bool:
    """True if the peak of a map (H, W) is inside its mask (H, W), or at most `grown` pixels beside it."""
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1,) * 2)
    around = cv2.dilate(mask.astype(np.uint8), disk)
    return bool(around.flat[int(anomaly_map.argmax())])


def found(detector: Detector, test_dir: Path, kinds: Sequence[str]) -> dict[str, list[bool]]:
    """Return, by kind of defect, whether each flagged picture with a mask is hit; no kinds means all."""
    answers: dict[str, list[bool]] = defaultdict(list)
    for picture in labelled_folder(test_dir).pictures:
        if not picture.masks or (kinds and picture.kind not in kinds):
            continue
        inspection = detector.score(picture.path)
        if inspection.verdict == "fail" and inspection.anomaly_map is not None:
            mask = read_masks(picture.masks, inspection.anomaly_map.shape).defect
            answers[picture.kind].append(hits(inspection.anomaly_map, mask))
    return answers


def verify(model: Path, folder: Path, kinds: Sequence[str]) -> None:
    """Count the hits, and demand the promised share of all kinds together."""
    answers = found(inspector.open_model(model, threads=1), folder / "test", kinds)
    for kind, each in answers.items():
        say(f"{kind:16} {sum(each)} of {len(each)}")
    everything = [each for several in answers.values() for each in several]
    demand(bool(everything), f"no flagged picture of {folder} has a mask")
    share = sum(everything) / len(everything)
    say(f"{'all of them':16} {sum(everything)} of {len(everything)}, {share:.2f}; at least {SHARE}")
    demand(share >= SHARE, f"{share:.2f} of the peaks lie within {GROWN} px of the defect")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a bundle")
    parser.add_argument("set", type=Path, help="a set in the layout of MVTec AD, with masks")
    parser.add_argument("--kinds", nargs="*", default=[], metavar="KIND", help="only these kinds of defect")
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.model, options.set, options.kinds)))
