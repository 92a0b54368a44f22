"""Pictures and a sampler that the tests of this folder share."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.demo.photograph import render
from models.inspection.batches import CropSampler


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """Twelve good parts, uint8 (12, 64, 64, 3)."""
    return np.stack([render(seed, size=64).picture for seed in range(12)])


@pytest.fixture
def sampler(pixels: NDArray[np.uint8]) -> CropSampler:
    """Batches of four from the first ten."""
    return CropSampler(pixels, np.arange(10), crop=64, batch=4, flips=(True, True, True), seed=3)
