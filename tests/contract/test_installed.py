"""The wheel's base install, in an environment of its own outside of the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_bundle, write_picture

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.system

QUIET = ("--quiet", "--disable-pip-version-check")


def _run(arguments: Sequence[str | Path], folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a program in `folder` that must end with `code`, as if the checkout were not there."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV"))}
    words = [str(argument) for argument in arguments]
    run = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    return run


def _copy_of_the_sources(target: Path) -> Path:
    """What a wheel is made of; building leaves files behind, which the checkout shall not have."""
    for package in ("inspector", "models", "calibration"):
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    return target


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `bin/`, made by installing the wheel without extras."""
    folder = tmp_path_factory.mktemp("outside")
    wheels = folder / "wheels"
    source = _copy_of_the_sources(folder / "source")
    _run([sys.executable, "-m", "pip", "wheel", *QUIET, "--no-deps", "--wheel-dir", wheels, source], folder)
    _run([sys.executable, "-m", "venv", folder], folder)
    (wheel,) = wheels.glob("wae_inspector-*.whl")
    constraints = ROOT / "constraints.txt"
    _run([folder / "bin" / "pip", "install", *QUIET, "-c", constraints, wheel], folder)
    return folder


def test_the_base_install_has_no_extras(outside: Path) -> None:
    """The base install brings neither torch nor onnx nor scikit-learn."""
    listed = _run([outside / "bin" / "pip", "list", "--format", "json"], outside).stdout
    names = {entry["name"].lower() for entry in json.loads(listed)}
    assert "wae-inspector" in names
    assert not names & {"torch", "onnx", "onnxscript", "scikit-learn", "scipy", "jinja2"}


@pytest.mark.parametrize("program", [["bin/inspector"], ["bin/python", "-m", "inspector"]], ids=" ".join)
def test_the_base_install_scores(outside: Path, tmp_path: Path, program: list[str]) -> None:
    """The base install gives verdicts, and exits with 1 where a part failed."""
    write_picture(tmp_path / "good.png", good_picture(99))
    write_picture(tmp_path / "bad.png", bad_picture(99))
    tiny_bundle(tmp_path / "model")
    command: list[str | Path] = [outside / program[0], *program[1:], "score"]
    lines = _run(
        [*command, "good.png", "bad.png", "--model", "./model"], tmp_path, code=1
    ).stdout.splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["pass", "fail"]


def test_the_base_install_says_what_a_fit_needs(outside: Path, tmp_path: Path) -> None:
    """`inspector fit` in the base install says in one line what is missing, and how to get it."""
    write_picture(tmp_path / "good" / "0.png", good_picture(0))
    said = _run([outside / "bin" / "inspector", "fit", "good"], tmp_path, code=7).stderr
    error, hint = said.splitlines()
    assert re.fullmatch(
        r"error: 'inspector fit' needs (torch|onnx|scikit-learn|scipy), which is not installed", error
    )
    assert hint == "hint: pip install 'wae-inspector[train]'"
