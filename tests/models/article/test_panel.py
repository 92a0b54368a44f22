"""The article's training in TensorBoard."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.article.batches import PictureSampler
from models.article.figures import fixed_noise
from models.article.learner import ArticleLearner
from models.article.panel import PER_ROW, ArticlePanel
from models.training.course import Plan
from models.training.loop import run
from models.training.tensorboard import Board
from tests.models.article.conftest import TINY
from tests.models.training.conftest import events

STEPS = 6
CURVES = {
    "loss/total",
    "loss/reconstruction",
    "loss/mmd",
    "learning_rate",
    "heldout/squared_error",
    "training/squared_error",
    "sharpness/pictures",
    "sharpness/reconstructions",
    "sharpness/samples",
    "latents/movement",
}
PICTURES = {"reconstructions/training", "reconstructions/heldout", "samples", "latents"}


def shown(folder: Path) -> dict[str, list[bytes]]:
    """The bytes of every picture, by name."""
    found = events(folder)
    return {
        name: [event.encoded_image_string for event in found.Images(name)] for name in found.Tags()["images"]
    }


def article(
    pictures: PictureSampler, pixels: NDArray[np.uint8], folder: Path, board: Board | None
) -> ArticleLearner:
    """Train for six steps, with a board or without."""
    learner = ArticleLearner(TINY)
    panel = ArticlePanel(board, learner, pixels, np.arange(10), np.arange(10, 12)) if board else None
    run(
        learner,
        pictures.draw,
        Plan(STEPS),
        folder / "checkpoint.pt",
        threads=1,
        watch=None if panel is None else panel.watch,
    )
    if board:
        board.graph(learner.network, pictures.evenly(1))
        board.options({"latent_dim": 3, "width": 8, "cost": "l2sq", "steps": None}, {"error": 0.5})
        board.close()
    return learner


@pytest.fixture(scope="module")
def pictures(pixels: NDArray[np.uint8]) -> PictureSampler:
    """The first ten parts."""
    return PictureSampler(pixels, np.arange(10), flip=False, seed=3)


@pytest.fixture(scope="module")
def written(
    pictures: PictureSampler, pixels: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ArticleLearner]:
    """The folder of a run, and the learner that was watched."""
    folder = tmp_path_factory.mktemp("board")
    board = Board(folder, "run")
    return board.path, article(pictures, pixels, folder, board)


def test_watching_changes_nothing(
    written: tuple[Path, ArticleLearner],
    pictures: PictureSampler,
    pixels: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    """Weights, batch-norm statistics and moments are the same with and without TensorBoard, bit for bit."""
    watched, alone = written[1], article(pictures, pixels, tmp_path, None)
    before, after = alone.network.state_dict(), watched.network.state_dict()
    assert any("running_mean" in name for name in before)
    assert before.keys() == after.keys()
    for name, value in before.items():
        if isinstance(value, torch.Tensor):
            assert value.equal(after[name]), name
    moments = [learner.optimiser.state_dict()["state"] for learner in (alone, watched)]
    for a, b in zip(*(m.values() for m in moments), strict=True):
        assert a["exp_avg"].equal(b["exp_avg"])


def test_every_curve_is_there(written: tuple[Path, ArticleLearner]) -> None:
    """Each curve has a finite point for each step; the movement begins at the second step."""
    found = events(written[0])
    assert set(found.Tags()["scalars"]) >= CURVES
    for name in CURVES:
        points = {event.step: event.value for event in found.Scalars(name)}
        assert sorted(points) == list(range(2 if name == "latents/movement" else 1, STEPS + 1)), name
        assert np.isfinite(list(points.values())).all()


def test_every_picture_is_there(written: tuple[Path, ArticleLearner], pixels: NDArray[np.uint8]) -> None:
    """Pictures above reconstructions, samples of fixed noise, and latents are shown at each step."""
    found = events(written[0])
    assert set(found.Tags()["images"]) == PICTURES
    for name in PICTURES:
        assert [event.step for event in found.Images(name)] == list(range(1, STEPS + 1))
    pair = decoded(found.Images("reconstructions/heldout")[-1].encoded_image_string)
    assert all(cv2.matchTemplate(pair, pixels[i], cv2.TM_SQDIFF_NORMED).min() < 1e-6 for i in (10, 11))
    samples = decoded(found.Images("samples")[0].encoded_image_string)
    assert min(samples.shape[:2]) > PER_ROW * 64


def decoded(png: bytes) -> NDArray[np.uint8]:
    """PNG to RGB."""
    bgr = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(bgr[..., ::-1], np.uint8)


def test_the_same_seed_gives_the_same_bytes(
    written: tuple[Path, ArticleLearner],
    pictures: PictureSampler,
    pixels: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    """A second training of the same request writes the very same pictures."""
    board = Board(tmp_path, "again")
    article(pictures, pixels, tmp_path, board)
    assert shown(board.path) == shown(written[0])


def test_noise_is_fixed() -> None:
    """Samples of all steps come from the same draws, whatever the global seed is."""
    torch.manual_seed(3)
    first = fixed_noise(4, 2)
    torch.manual_seed(8)
    assert fixed_noise(4, 2).equal(first)
