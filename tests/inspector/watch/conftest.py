"""A model and an empty folder to watch."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.bundle.store import Store
from tests.inspector.tiny_bundle import tiny_fill


@pytest.fixture
def model(store: Store) -> Store:
    """A store with a current model."""
    store.publish("tiny", tiny_fill())
    return store


@pytest.fixture
def folder(model: Store, tmp_path: Path) -> Path:
    """An empty folder to watch."""
    made = tmp_path / "incoming"
    made.mkdir()
    return made
