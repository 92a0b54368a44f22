"""One model, fitted once through the command line and shared by the tests that only read it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import render
from tests.conftest import MakeOnce
from tests.journey.program import FIT, SIDE, Fitted, run

BAD_FILES = {"empty.png": b"", "notes.png": b"not a picture\n"}


def write_data(folder: Path) -> None:
    """Write rendered parts, one of them clearly broken, and three bad files among the good ones."""
    write_dataset(folder, train=40, good=6, per_kind=2, size=SIDE)
    broken = render(4711, size=SIDE).picture.copy()
    broken[24:104, 24:104] = 0
    for name in ("test/broken", "ground_truth/broken"):
        (folder / name).mkdir(parents=True)
    cv2.imwrite(str(folder / "test" / "broken" / "000.png"), broken[..., ::-1])
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[24:104, 24:104] = 255
    cv2.imwrite(str(folder / "ground_truth" / "broken" / "000_mask.png"), mask)
    normal = folder / "train" / "good"
    for name, content in BAD_FILES.items():
        (normal / name).write_bytes(content)
    whole = (normal / "000.png").read_bytes()
    (normal / "half.png").write_bytes(whole[: len(whole) // 2])


def fit_flange(folder: Path) -> None:
    """Fit the shared model, and keep the answer of the command."""
    write_data(folder / "data")
    store = folder / "store"
    ended = run("fit", folder / "data/train/good", "--name", "flange", *FIT, store=store)
    (folder / "said.json").write_text(json.dumps([json.loads(ended.stdout), ended.stderr]))


@pytest.fixture(scope="session")
def fitted(make_once: MakeOnce) -> Fitted:
    """The shared model; nobody may change it."""
    folder = make_once("journey", fit_flange)
    outcome, said = json.loads((folder / "said.json").read_text())
    return Fitted(folder / "store", folder / "data", outcome, said)


@pytest.fixture
def own(fitted: Fitted, tmp_path: Path) -> Fitted:
    """A copy of the shared store that a test may change."""
    store = tmp_path / "own-store"
    shutil.copytree(fitted.store, store)
    return Fitted(store, fitted.data, fitted.outcome, fitted.said)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that is not there yet."""
    return tmp_path / "store"
