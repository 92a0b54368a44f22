"""A store with one model, and the folders that the verbs work on; nobody may change them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.bundle.store import Store
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill, write_picture

SIZE = (64, 64)


@dataclass(frozen=True)
class Plant:
    """A store with the model `tiny`, good pictures that it does not know, and labelled pictures."""

    store: Store
    good: Path
    labelled: Path

    @property
    def part(self) -> Path:
        """One good picture."""
        return self.good / "00.png"


@pytest.fixture(scope="session")
def shared_plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """Make the store and the folders once."""
    root = tmp_path_factory.mktemp("plant")
    store = Store(root / "store")
    store.publish("tiny", tiny_fill(training_digests=[1, 2, 3]))
    for number in range(12):
        write_picture(root / "good" / f"{number:02d}.png", good_picture(100 + number))
        write_picture(root / "labelled" / "test" / "good" / f"{number:02d}.png", good_picture(200 + number))
    write_picture(root / "labelled" / "test" / "hole" / "0.png", bad_picture(7, *SIZE))
    mask = np.zeros(SIZE, np.uint8)
    mask[8:21, 8:21] = 255
    (root / "labelled" / "ground_truth" / "hole").mkdir(parents=True)
    cv2.imwrite(str(root / "labelled" / "ground_truth" / "hole" / "0_mask.png"), mask)
    return Plant(store, root / "good", root / "labelled" / "test")


@pytest.fixture
def plant(shared_plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """The same, with its store as the store of the command line."""
    monkeypatch.setenv("INSPECTOR_STORE", str(shared_plant.store.root))
    monkeypatch.setenv("INSPECTOR_THREADS", "1")
    return shared_plant
