"""Measures `inspector score` of one picture as a process of its own, beside a bare process.

The bare process imports NumPy, OpenCV and ONNX Runtime, opens the same graph, and runs it once on the
picture.  Both take turns, so that other programs slow both down.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from tests.soak.program import PROGRAM, demand, say

MOST = 1.5  # times as long as the bare process, at most
PAIRS = 20
BARE = """
import sys
import cv2, numpy as np, onnxruntime
graph, picture = sys.argv[1:]
session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
_, height, width, _ = session.get_inputs()[0].shape
pixels = cv2.imdecode(np.fromfile(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
session.run(None, {"image": cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)[None]})
"""


class Taken(NamedTuple):
    """Time that one process took: on the clock, and of all cores together."""

    wall_seconds: float
    cpu_seconds: float


def verify(model: Path, graph: Path, picture: Path) -> None:
    """Print both times of both processes, and demand that `inspector` keeps to its share on the clock."""
    command = [*PROGRAM, "score", str(picture), "--model", str(model), "--exit-zero"]
    bare = [sys.executable, "-c", BARE, str(graph), str(picture)]
    pairs = [(run(command), run(bare)) for _ in range(PAIRS + 1)][1:]  # the first pair writes bytecode
    ratios = {}
    for field in Taken._fields:
        ours, theirs = ([getattr(taken, field) for taken in side] for side in zip(*pairs, strict=True))
        ratios[field] = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        name = field.removesuffix("_seconds")
        say(
            f"cold, {name:4} {statistics.median(ours) * 1e3:5.0f} ms, "
            f"bare {statistics.median(theirs) * 1e3:5.0f} ms: {ratios[field]:.2f} times"
        )
    wall = ratios["wall_seconds"]
    demand(wall <= MOST, f"one picture takes {wall:.2f} times as long as a bare process; at most {MOST}")


def run(command: Sequence[str]) -> Taken:
    """Run a process to its end, and return its time."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    demand(ended.returncode == 0, f"{command[:4]} ended with {ended.returncode}: {ended.stderr[-500:]}")
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
