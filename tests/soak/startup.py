"""Time the start: `score` against the bare minimum, `--help`, and the rendering of a part."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from inspector.bundle.store import Store
from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import render
from tests.inspector.tiny_bundle import write_picture
from tests.soak.program import call, demand, environment, finish, say

LARGEST_RATIO = 1.6
HELP_SECONDS = 0.5
RENDER_SECONDS = 0.06  # of one core, for 320 pixels
INSPECTOR = str(Path(sys.executable).with_name("inspector"))
BARE = """
import sys
import cv2
import numpy
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = session.get_inputs()[0]
session.run(None, {image.name: numpy.zeros((1, *image.shape[1:]), numpy.uint8)})
"""


def verify(model: Path | None, pairs: int, image_size: int) -> None:
    """Time both in turn, so that other load on the machine slows both."""
    with tempfile.TemporaryDirectory() as place:
        folder, store = Path(place), Path(place) / "store"
        part = write_picture(folder / "one.png", render(1, size=512).picture)
        bundle = model or _fitted(folder, store, image_size)
        graph = str(bundle / "detector.onnx")
        score = [INSPECTOR, "score", str(part), "--model", str(bundle), "--exit-zero"]
        bare = [sys.executable, "-c", BARE, graph]
        for command in (bare, score):  # the disk's cache is warm for both
            _seconds(command, store)
        timed = [(_seconds(bare, store), _seconds(score, store)) for _ in range(pairs)]
        helped = statistics.median(_seconds([INSPECTOR, "--help"], store) for _ in range(pairs))
    ratio = statistics.median(scored / least for least, scored in timed)
    for name, column in (("bare", 0), ("score", 1)):
        values = sorted(pair[column] for pair in timed)
        say(f"{name:6} {statistics.median(values):.3f} s ({values[0]:.3f} to {values[-1]:.3f})")
    say(f"ratio  {ratio:.2f}, allowed {LARGEST_RATIO}")
    say(f"--help {helped:.3f} s, allowed {HELP_SECONDS}")
    demand(ratio <= LARGEST_RATIO, f"score takes {ratio:.2f} times the bare minimum")
    demand(helped <= HELP_SECONDS, f"--help takes {helped:.3f} s")
    rendered = _render_seconds(pairs)
    say(f"render {rendered:.3f} s, allowed {RENDER_SECONDS}")
    demand(rendered <= RENDER_SECONDS, f"a part renders in {rendered:.3f} s")


def _render_seconds(count: int) -> float:
    """Median processor time that one part takes."""
    cv2.setNumThreads(1)
    render(0)
    times = []
    for seed in range(count):
        began = time.process_time()
        render(seed)
        times.append(time.process_time() - began)
    return statistics.median(times)


def _fitted(folder: Path, store: Path, image_size: int) -> Path:
    """Fit a model of the default size; its steps do not change the time of scoring."""
    write_dataset(folder / "d", train=20, good=0, per_kind=0, size=256)
    words = ("--name", "flange", "--steps", "30", "--image-size", str(image_size))
    ended = call("fit", folder / "d/train/good", *words, store=store)
    demand(ended.returncode == 0, f"fit ended with {ended.returncode}: {ended.stderr}")
    return Store(store).resolve("flange")


def _seconds(command: list[str], store: Path) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment(store), capture_output=True, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a bundle; one is fitted without it")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--image-size", type=int, default=256)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.model, options.pairs, options.image_size)))
