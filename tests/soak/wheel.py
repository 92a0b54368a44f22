"""Install the wheel outside of the checkout: the base install scores, the extra `train` fits."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inspector.demo.dataset import write_dataset
from tests.inspector.tiny_bundle import tiny_bundle
from tests.soak.program import call, demand, finish, say

ROOT = Path(__file__).parents[2]
QUIET = ("--quiet", "--disable-pip-version-check")
TRAINING_PACKAGES = ("torch", "sklearn", "scipy", "onnx", "onnxscript", "jinja2")


def verify(model: Path | None, train: bool) -> None:
    """Build, install, score, check that a fit is refused; then install the extra and fit."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_dataset(folder / "d", train=30, good=2, per_kind=0, size=128)
        wheel = build(folder)
        _program([sys.executable, "-m", "venv", folder / "venv"], folder)
        _install(folder, str(wheel))
        for package in TRAINING_PACKAGES:
            gone = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is not None)"
            _program([folder / "venv/bin/python", "-c", gone], folder)
        _score(folder, model or _tiny(folder))
        _refused(folder)
        if train:
            _install(folder, f"{wheel}[train]")
            _fit(folder)


def _program(words: list[str | Path], cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    demand(done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> Path:
    """Build from a copy, because building writes into its folder."""
    source = folder / "source"
    for package in ("inspector", "models", "calibration"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", *QUIET, "--no-deps"]
    _program([*pip, "--wheel-dir", folder / "dist", source], folder)
    (wheel,) = (folder / "dist").glob("wae_inspector-*.whl")
    say(f"built {wheel.name}, {wheel.stat().st_size / 1e3:.0f} kB")
    return wheel


def _install(folder: Path, what: str) -> None:
    began = time.monotonic()
    pip = folder / "venv" / "bin" / "pip"
    _program([pip, "install", *QUIET, "-c", ROOT / "constraints.txt", what], folder)
    say(f"installed {what.rpartition('/')[2]} in {time.monotonic() - began:.0f} s")


def _inspector(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program = (str(folder / "venv" / "bin" / "inspector"),)
    return call(*words, store=folder / "store", program=program, cwd=folder)


def _tiny(folder: Path) -> Path:
    return tiny_bundle(folder / "tiny").path


def _score(folder: Path, model: Path) -> None:
    done = _inspector(folder, "score", folder / "d/test/good", "--model", model, "--exit-zero")
    demand(done.returncode == 0, f"score ended with {done.returncode}: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    demand(len(rows) == 2 and all(row["score"] is not None for row in rows), f"score printed {done.stdout}")
    say(f"the base install scores: {', '.join(row['verdict'] for row in rows)}")


def _refused(folder: Path) -> None:
    done = _inspector(folder, "fit", folder / "d/train/good")
    lines = done.stderr.splitlines()
    demand(done.returncode == 7, f"fit ended with {done.returncode}: {done.stderr}")
    demand(
        len(lines) == 2 and "which is not installed" in lines[0] and "wae-inspector[train]" in lines[1],
        f"fit said {done.stderr}",
    )
    demand(not (folder / "store").exists(), "the refused fit made a store")
    for line in lines:
        say(f"  {line}")


def _fit(folder: Path) -> None:
    done = _inspector(
        folder, "fit", folder / "d/train/good", "--steps", "40", "--image-size", "64", "--format", "json"
    )
    demand(done.returncode == 0, f"fit ended with {done.returncode}: {done.stderr}")
    done = _inspector(folder, "score", folder / "d/test/good", "--exit-zero")
    demand(done.returncode == 0, f"score ended with {done.returncode}: {done.stderr}")
    say("with the extra it fits, and scores with what it fitted")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a bundle to score with; a tiny one is made without it")
    parser.add_argument("--base-only", action="store_true", help="leave the extra out")
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.model, not options.base_only)))
