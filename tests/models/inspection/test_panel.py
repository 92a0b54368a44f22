"""The inspection network's training in TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.inspection.batches import CropSampler
from models.inspection.panel import InspectionPanel
from models.inspection.train import InspectionLearner, TrainOptions, train
from models.training.course import Plan
from models.training.tensorboard import Board
from tests.models.training.conftest import events


def test_the_inspection_network_shows_itself(
    sampler: CropSampler, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    """Losses, rate and held-out copies are written, and the weights are those of an unwatched training."""
    board, options = Board(tmp_path, "run"), TrainOptions(width=4, latent_dim=8, threads=1)

    def watcher(learner: InspectionLearner) -> Callable[[int, int, dict[str, float]], None]:
        return InspectionPanel(board, learner, pixels, np.arange(10, 12), sampler.target_mean).watch

    checkpoint = tmp_path / "checkpoint.pt"
    watched = train(sampler, options, Plan(3), checkpoint, watcher=watcher)
    board.close()
    alone = train(sampler, options, Plan(3), checkpoint)
    pairs = zip(watched.network.state_dict().values(), alone.network.state_dict().values(), strict=True)
    assert all(a.equal(b) for a, b in pairs)
    found = events(board.path)
    expected = {f"loss/{name}" for name in alone.course.curves}
    expected |= {"learning_rate", "heldout/absolute_error", "latents/mean_square"}
    assert set(found.Tags()["scalars"]) == expected
    assert len(found.Images("reconstructions/heldout")) == 3
