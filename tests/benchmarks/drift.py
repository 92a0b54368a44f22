"""Measures how often the drift test flags without drift, and whether it flags blurred pictures.

    python -m tests.benchmarks.drift DATA/tiles --model BUNDLE

Samples of one distribution are simulated, and a set's own good pictures are split at random.  The test must
flag both about as often as its level says.  Then the same pictures are blurred, and must be flagged.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import binom

import inspector
from inspector import drift
from inspector.bundle.reference import heldout_latents
from inspector.imaging.decode import decode
from tests.soak.program import demand, finish, say

LEVELS = (0.01, 0.05)
CONFIDENCE = 0.99
SPLIT_LEVEL = 0.05
UNFLAGGED = 0.89
BLUR_SIGMA = 1.5
BLURRED = 50


def simulate(repetitions: int) -> None:
    """Measure the type I error of `mmd_test` on skewed, dependent columns, like those of latents."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(16, 16))
    values = []
    for seed in range(repetitions):
        x, y = (np.exp(rng.normal(size=(n, 16)) / 2) @ mixing for n in (40, 60))
        values.append(drift.mmd_test(x, y, seed=seed).p_value)
    for level in LEVELS:
        count = int((np.array(values) <= level).sum())
        low, high = binom.interval(CONFIDENCE, repetitions, level)
        say(f"simulated at {level:.0%}: {count} of {repetitions} flagged, allowed {low:.0f} to {high:.0f}")
        demand(low <= count <= high, f"{count} of {repetitions} at {level:.0%}")


def split(detector: inspector.Detector, good: np.ndarray, times: int) -> None:
    """Compare random halves of the good pictures that training did not use."""
    rows = np.concatenate([heldout_latents(detector.bundle), good])
    rng, flagged = np.random.default_rng(0), 0
    for seed in range(times):
        order = rng.permutation(len(rows))
        half = len(rows) // 2
        p_value = drift.mmd_test(rows[order[:half]], rows[order[half:]], seed=seed).p_value
        flagged += p_value <= SPLIT_LEVEL
    say(f"{times} splits of {len(rows)} normals at {SPLIT_LEVEL:.0%}: {times - flagged} not flagged")
    demand(times - flagged >= UNFLAGGED * times, f"{flagged} of {times} splits are flagged")


def blur(detector: inspector.Detector, files: list[Path]) -> None:
    """Compare the same pictures, sharp and blurred, with the held-out good pictures."""
    rng = np.random.default_rng(0)
    chosen = [decode(files[i]).pixels for i in rng.permutation(len(files))[:BLURRED]]
    for name, sigma in (("as they are", 0.0), ("blurred", BLUR_SIGMA)):
        changed = [cv2.GaussianBlur(one, (0, 0), sigma) if sigma else one for one in chosen]
        found = drift.compare(detector.bundle, drift.latents(detector, changed)[0])
        say(f"{len(chosen)} pictures {name} ({sigma} px): p = {found.p_value:.3f}, drifted: {found.drifted}")
        demand(found.drifted == bool(sigma), f"{name}: p = {found.p_value:.3f}")


def verify(data: Path, model: Path, repetitions: int, times: int) -> None:
    """Run all three measurements."""
    simulate(repetitions)
    detector = inspector.open_model(model)
    files = sorted((data / "test" / "good").iterdir())
    split(detector, drift.latents(detector, files)[0], times)
    blur(detector, files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a set of pictures with test/good")
    parser.add_argument("--model", type=Path, required=True, help="a bundle fitted on the set")
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--splits", type=int, default=100)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.data, options.model, options.repetitions, options.splits)))
