"""Measures how long each stage of scoring takes: `python -m tests.benchmarks.latency MODEL FOLDER`.

The comparison is a bare loop: OpenCV decodes and resizes, ONNX Runtime runs the model's graph, and nothing is
checked or decided.  Both sides take turns, so that other programs slow both down.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import onnxruntime

import inspector
from inspector.commands.output import writer
from inspector.commands.score import score_all
from inspector.commands.source import Source
from inspector.imaging.decode import decode
from inspector.imaging.files import list_images, read_picture
from inspector.imaging.resize import fit_to
from inspector.process.concurrency import cores, in_order
from inspector.scoring.detector import Detector
from tests.benchmarks import cold
from tests.soak.program import demand, finish, say

SPEEDUP = 1.8  # of two cores over one, at least
SHARE = 0.9  # of the bare loop's rate, at least, on one core and on two
ROUNDS = 10
Times = dict[str, list[float]]


class Bare:
    """The bare loop: decode, resize, run the graph."""

    def __init__(self, graph: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        (image,) = self._session.get_inputs()
        self._height, self._width = image.shape[1:3]

    def __call__(self, path: Path) -> None:
        """Score one picture and drop the result."""
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
        assert pixels is not None, path
        small = cv2.resize(pixels, (self._width, self._height), interpolation=cv2.INTER_AREA)
        self._session.run(None, {"image": small[np.newaxis]})


# --- one picture ----------------------------------------------------------------------------


def stages(detector: Detector, bare: Bare, files: Sequence[Path]) -> None:
    """Print the median of each stage, on one thread, and of the bare loop."""
    taken: Times = defaultdict(list)
    for path in (*files[:3], *files):  # the first few warm up
        _stages(detector, path, taken)
        for name, job in (("whole", detector.score), ("bare", bare)):
            with _timed(taken, name):
                job(path)
    for name, values in taken.items():
        say(f"{name:8} {statistics.median(values[3:]) * 1e3:7.3f} ms")


def _stages(detector: Detector, path: Path, taken: Times) -> None:
    size = (detector.manifest.image.height, detector.manifest.image.width)
    with _timed(taken, "read"):
        data = read_picture(path, detector.settings.max_bytes)
    with _timed(taken, "decode"):
        picture = decode(data, reduce_to=size)
    with _timed(taken, "resize"):
        pixels = fit_to(picture.pixels, *size)
    with _timed(taken, "infer"):
        detector.raw(pixels[np.newaxis])
    inspection = detector.score(data)
    taken["decide"].append(inspection.milliseconds.decide / 1e3)
    with _timed(taken, "row"):
        inspection.record().to_json()


@contextmanager
def _timed(taken: Times, name: str) -> Iterator[None]:
    began = perf_counter()
    yield
    taken[name].append(perf_counter() - began)


# --- a folder -------------------------------------------------------------------------------


def rates(detector: Detector, bare: Bare, files: Sequence[Path], count: int) -> None:
    """Print the pictures per second with one core and two, and demand the promised rates."""
    several = list(itertools.islice(itertools.cycle(files), count // ROUNDS))
    loops: dict[str, Callable[[int], object]] = {
        "inspector": lambda threads: _score(detector, several, threads),
        "bare": lambda threads: list(in_order(bare, several, threads)),
    }
    found: Times = defaultdict(list)
    for _ in range(ROUNDS):
        for threads, (name, loop) in itertools.product((1, 2), loops.items()):
            began = perf_counter()
            loop(threads)
            found[f"{name} {threads}"].append(len(several) / (perf_counter() - began))
    for name, values in sorted(found.items()):
        say(f"{name:11} {statistics.median(values):7.1f} images/s ({min(values):.1f} to {max(values):.1f})")
    share = {threads: _ratio(found, f"inspector {threads}", f"bare {threads}") for threads in (1, 2)}
    speedup = {name: _ratio(found, f"{name} 2", f"{name} 1") for name in loops}
    say(f"of the bare loop: {share[1]:.2f} on one core, {share[2]:.2f} on two; at least {SHARE}")
    say(f"two cores: {speedup['inspector']:.2f} times one, at least {SPEEDUP}; bare {speedup['bare']:.2f}")
    for threads, value in share.items():
        demand(value >= SHARE, f"{value:.2f} of the bare loop's rate with {threads} threads")
    busy = f"; the bare loop gains {speedup['bare']:.2f} here, so the second core may have been taken"
    demand(speedup["inspector"] >= SPEEDUP, f"two cores are {speedup['inspector']:.2f} times one{busy}")


def _score(detector: Detector, files: Sequence[Path], threads: int) -> None:
    """Run `inspector score FOLDER --threads THREADS` with an open model."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        writer("jsonl", (), lambda: 0) as write,
    ):
        score_all(detector, [Source(str(path)) for path in files], threads, write, None)


def _ratio(found: Times, one: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(found[one], found[other], strict=True))


def verify(model: Path, folder: Path, count: int) -> None:
    """Measure the stages of one picture, and the rates of a folder."""
    demand(cores() >= 2, "this process may use one core only; two are needed")
    cv2.setNumThreads(1)
    files = list_images(folder)
    demand(bool(files), f"{folder} holds no picture")
    detector = inspector.open_model(model, threads=1)
    bare = Bare(detector.graph_path)
    say(f"{detector.graph_path.name}, {len(files)} pictures")
    stages(detector, bare, files[:200])
    cold.verify(model, detector.graph_path, files[0])
    rates(detector, bare, files, count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a bundle")
    parser.add_argument("folder", type=Path, help="pictures")
    parser.add_argument("--images", type=int, default=1000, help="how many pictures each rate is taken of")
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.model, options.folder, options.images)))
