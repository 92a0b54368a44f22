"""The inspection network's training in TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.inspection.examples import ExampleSampler
from models.inspection.learner import InspectionLearner
from models.inspection.normals import Normals
from models.inspection.panel import InspectionPanel
from models.training import loop
from models.training.course import Plan
from models.training.tensorboard import Board
from tests.models.conftest import SMALL
from tests.models.training.conftest import events


def test_the_inspection_network_shows_itself(
    sampler: ExampleSampler, normals: Normals, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    """Losses, rate and held-out copies are written, and the weights are those of an unwatched training."""
    board = Board(tmp_path, "run")
    checkpoint, plan = tmp_path / "checkpoint.pt", Plan(3)
    watched, unwatched = InspectionLearner(SMALL), InspectionLearner(SMALL)
    panel = InspectionPanel(board, watched, normals, pixels, np.arange(10, 12))
    loop.run(watched, sampler.draw, plan, checkpoint, threads=1, watch=panel.watch)
    board.close()
    alone = loop.run(unwatched, sampler.draw, plan, checkpoint, threads=1)
    pairs = zip(watched.average.state_dict().values(), unwatched.average.state_dict().values(), strict=True)
    assert all(a.equal(b) for a, b in pairs)
    found = events(board.path)
    expected = {f"loss/{name}" for name in alone.curves}
    expected |= {"learning_rate", "heldout/absolute_error", "latents/mean_square"}
    assert set(found.Tags()["scalars"]) == expected
    assert len(found.Images("reconstructions/heldout")) == 3
