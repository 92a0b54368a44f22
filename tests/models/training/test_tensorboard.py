"""TensorBoard: every curve, picture, graph and row of options is read back, and nothing of it disturbs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

import models
from inspector.demo.dataset import render
from inspector.errors import UsageError
from models.article.batches import PictureSampler
from models.article.network import ArticleLearner
from models.article.panel import ACROSS, SHOWN, Panel
from models.inspection.batches import CropSampler
from models.inspection.panel import InspectionPanel
from models.inspection.train import InspectionLearner, TrainOptions, train
from models.training.loop import Plan, run
from models.training.tensorboard import Board, due, fixed_noise, grid, rows_of_pairs
from tests.models.article.conftest import TINY

STEPS = 6
CURVES = {
    "loss/total",
    "loss/reconstruction",
    "loss/mmd",
    "learning_rate",
    "heldout/squared_error",
    "training/squared_error",
    "sharpness/pictures",
    "sharpness/copies",
    "sharpness/samples",
    "codes/movement",
}
PICTURES = {"copies/training", "copies/heldout", "samples", "codes"}


def events(folder: Path) -> EventAccumulator:
    """All that a run wrote."""
    found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    return found


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
    panel = Panel(board, learner, pixels, np.arange(10), np.arange(10, 12)) if board else None
    run(
        learner,
        pictures.draw,
        Plan(STEPS),
        folder / "checkpoint.pt",
        threads=1,
        watch=None if panel is None else panel.watch,
    )
    if board:
        board.graph(learner.network, pictures.some(1))
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


def test_watching_leaves_no_trace(
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
    """Each curve has a finite point for each step; movement begins with the second look."""
    found = events(written[0])
    assert set(found.Tags()["scalars"]) >= CURVES
    for name in CURVES:
        points = {event.step: event.value for event in found.Scalars(name)}
        assert sorted(points) == list(range(2 if name == "codes/movement" else 1, STEPS + 1)), name
        assert np.isfinite(list(points.values())).all()


def test_every_picture_is_there(written: tuple[Path, ArticleLearner], pixels: NDArray[np.uint8]) -> None:
    """Originals above copies, samples of fixed noise, and codes, for each step."""
    found = events(written[0])
    assert set(found.Tags()["images"]) == PICTURES
    for name in PICTURES:
        assert [event.step for event in found.Images(name)] == list(range(1, STEPS + 1))
    pair = decoded(found.Images("copies/heldout")[-1].encoded_image_string)
    assert pair.shape == (2 * 64, ACROSS * 64, 3)
    assert np.array_equal(pair[:64, :64], pixels[10])
    assert np.array_equal(pair[:64, 64:128], pixels[11])
    assert (pair[:, 128:] == 255).all()
    assert decoded(found.Images("samples")[0].encoded_image_string).shape == (512, 512, 3)
    assert decoded(found.Images("copies/training")[0].encoded_image_string).shape == (256, 512, 3)


def decoded(png: bytes) -> NDArray[np.uint8]:
    """PNG to RGB."""
    bgr = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(bgr[..., ::-1], np.uint8)


def test_graph_and_options_are_there(written: tuple[Path, ArticleLearner]) -> None:
    """The graph names encoder and decoder; the table of runs has options and outcome."""
    found = events(written[0])
    nodes = {node.name.split("/")[1] for node in found.Graph().node if "/" in node.name}
    assert any("encoder" in name for name in nodes)
    assert any("decoder" in name for name in nodes)
    tags = found.Tags()["scalars"]
    assert "outcome/error" in tags
    summary = found.summary_metadata["_hparams_/session_start_info"]
    content = plugin_data_pb2.HParamsPluginData.FromString(summary.plugin_data.content)
    options = content.session_start_info.hparams
    assert options["latent_dim"].number_value == 3
    assert options["cost"].string_value == "l2sq"
    assert options["steps"].string_value == "None"


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
    expected |= {"learning_rate", "heldout/absolute_error", "codes/mean_square"}
    assert set(found.Tags()["scalars"]) == expected
    assert len(found.Images("copies/heldout")) == 3


def test_a_fit_writes_a_run(tmp_path: Path) -> None:
    """A whole fit with a board writes one run under the model's name, with pictures, options and outcome."""
    source = tmp_path / "source"
    source.mkdir()
    for seed in range(8):
        cv2.imwrite(str(source / f"{seed}.png"), render(seed, size=64).picture)
    options: dict[str, Any] = {"preset": "article", "width": 8, "latent_dim": 2, "steps": 2}
    models.fit(source, output=tmp_path / "made", name="x", tensorboard=tmp_path / "runs", **options)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["x"]
    found = events(tmp_path / "runs" / "x")
    assert set(found.Tags()["images"]) == PICTURES
    assert "outcome/error_reduction" in found.Tags()["scalars"]


def test_a_refused_fit_writes_no_run(tmp_path: Path) -> None:
    """A folder without pictures leaves no run; a file in place of the folder is refused."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(Exception, match="no pictures"):
        models.fit(tmp_path / "empty", output=tmp_path / "made", tensorboard=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        models.fit(tmp_path / "empty", output=tmp_path / "made", tensorboard=tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_a_resumed_run_goes_on_in_its_folder(tmp_path: Path) -> None:
    """Resuming takes the last run of the name; a new training takes the next number."""
    for name in ("part", "part-2"):
        (tmp_path / name).mkdir()
    assert Board(tmp_path, "part", resume=True).path.name == "part-2"
    assert Board(tmp_path, "part").path.name == "part-3"
    assert Board(tmp_path, "new", resume=True).path.name == "new"


def test_looks_are_spread_over_the_training() -> None:
    """First and last step are always shown, and about as many between as asked for."""
    looks = [step for step in range(1, 1001) if due(step, 1000, 20)]
    assert looks == [1, *range(50, 1001, 50)]
    assert [step for step in range(1, 4) if due(step, 3, 20)] == [1, 2, 3]


def test_pictures_are_laid_out_in_rows(pixels: NDArray[np.uint8]) -> None:
    """Five pictures in rows of four end with white; copies lie below their originals."""
    laid = grid(pixels[:5], 4)
    assert laid.shape == (128, 256, 3)
    assert np.array_equal(laid[64:, :64], pixels[4])
    assert (laid[64:, 64:] == 255).all()
    pairs = rows_of_pairs(pixels[:5], pixels[5:10], 4)
    assert pairs.shape == (256, 256, 3)
    assert np.array_equal(pairs[64:128, :64], pixels[5])
    assert np.array_equal(pairs[192:, :64], pixels[9])


def test_noise_is_fixed() -> None:
    """Samples of all steps come from the same draws, whatever else was drawn meanwhile."""
    torch.manual_seed(3)
    first = fixed_noise(4, 2)
    torch.manual_seed(8)
    assert fixed_noise(4, 2).equal(first)
    assert SHOWN % ACROSS == 0
