"""Install anomalib beside the wheel, and measure its PatchCore with random weights, without a network.

    python -m tests.soak.peer
    python -m tests.soak.peer --python ENVIRONMENT/bin/python

No test of every run can do that: anomalib is no dependency of the project, and needs gigabytes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import render
from inspector.types import Pixels
from tests.benchmarks.baseline_figures import SIDE
from tests.benchmarks.peer import Peer, patchcore, peer_figures
from tests.soak.program import demand, finish, say
from tests.soak.wheel import ROOT, build

BACKBONE = "resnet18"
DEFECT = slice(80, 144)


def verify(python: Path | None) -> None:
    """Install what is needed if no Python is given, and run the checks there."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        program = python or _installed(folder)
        said = _run([program, "-m", "tests.soak.peer", "--inside", folder], folder)
        say(said.strip())


def inside(folder: Path) -> None:
    """Find a defect with random weights, and measure a set with them."""
    weights = folder / "weights.pth"
    torch.manual_seed(0)
    torch.save(import_module("timm").create_model(BACKBONE, pretrained=False).state_dict(), weights)
    peer = Peer(weights, BACKBONE)
    training = np.stack([_picture(seed) for seed in range(8)])
    score, again = patchcore(training, peer=peer), patchcore(training, peer=peer)
    good, bad = _picture(100), _picture(100)
    bad[DEFECT, DEFECT] = 255
    usual, evident = score(good), score(bad)
    demand(evident.score > usual.score, f"a bright square scores {evident.score}, without it {usual.score}")
    place = np.zeros(evident.anomaly_map.shape, np.bool_)
    place[DEFECT, DEFECT] = True
    means = evident.anomaly_map[place].mean(), evident.anomaly_map[~place].mean()
    demand(means[0] > 1.5 * means[1], f"the map is {means[0]} on the defect and {means[1]} elsewhere")
    demand(again(bad).score == evident.score, "learning twice gives two scores")
    say(f"found a bright square: {evident.score:.2f}, without it {usual.score:.2f}")
    write_dataset(folder / "flange", train=8, good=4, per_kind=1, size=64)
    (figures,) = peer_figures(folder / "flange", folder / "results", peer)["figures"].values()
    measured = [figures["auroc"], figures["pixel"]["auroc"], figures["pixel"]["aupro"]]
    demand(all(0 <= value <= 1 for value in measured), f"figures out of range: {measured}")
    say(f"measured a set: image AUROC, pixel AUROC and AUPRO {measured}")


def _picture(seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    picture = render(0, size=SIDE).picture + rng.normal(0, 3, (SIDE, SIDE, 3))
    return picture.clip(0, 255).astype(np.uint8)


def _installed(folder: Path) -> Path:
    """Return the Python of a new environment with the wheel, anomalib and the torch that fits torchvision."""
    began = time.monotonic()
    wheel = build(folder)
    _run([sys.executable, "-m", "venv", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    packages = [f"{wheel}[train]", "anomalib", "torchvision"]
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], folder)
    say(f"installed anomalib in {time.monotonic() - began:.0f} s")
    return python


def _run(words: list[str | Path], folder: Path) -> str:
    """Run a program with the tests on its path and proxies that lead nowhere; return what it printed."""
    installs = "pip" in words
    nowhere = {} if installs else dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = os.environ | nowhere | {"PYTHONPATH": str(ROOT), "INSPECTOR_STORE": str(folder / "store")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    demand(done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout}{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python", type=Path, help="of an environment that has anomalib and the extra `train`"
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    asked = options.inside
    sys.exit(finish(lambda: inside(asked) if asked else verify(options.python)))
