"""TensorBoard: curves, pictures, graph and options are read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tensorboard.plugins.hparams import plugin_data_pb2
from torch import nn

import models
from inspector.demo.photograph import render
from inspector.errors import UsageError
from models.training.tensorboard import Board, due, pairs_in_rows
from tests.models.training.conftest import events


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """A run has its curves, pictures, graph, and a row of options beside the outcome."""
    board = Board(tmp_path, "run")
    picture = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    for step in (1, 2):
        board.scalars({"loss/total": 1 / step}, step)
    board.picture("reconstructions", picture, 2)
    board.graph(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.zeros(1, 3))
    board.options({"latent_dim": 3, "cost": "l2sq", "steps": None}, {"error": 0.5})
    board.close()
    found = events(board.path)
    assert [(event.step, event.value) for event in found.Scalars("loss/total")] == [(1, 1.0), (2, 0.5)]
    (image,) = found.Images("reconstructions")
    read = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    assert np.array_equal(read[..., ::-1], picture)
    assert any("Linear" in node.name for node in found.Graph().node)
    assert "outcome/error" in found.Tags()["scalars"]
    summary = found.summary_metadata["_hparams_/session_start_info"]
    content = plugin_data_pb2.HParamsPluginData.FromString(summary.plugin_data.content)
    options = content.session_start_info.hparams
    assert options["latent_dim"].number_value == 3
    assert options["cost"].string_value == "l2sq"
    assert options["steps"].string_value == "None"


def test_without_a_curve_nothing_is_written(tmp_path: Path) -> None:
    """A run that shows nothing leaves no folder."""
    Board(tmp_path / "runs", "run").close()
    assert not (tmp_path / "runs").exists()


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
    assert {"reconstructions/training", "samples", "latents"} <= set(found.Tags()["images"])
    assert "outcome/error_reduction" in found.Tags()["scalars"]


def test_a_refused_fit_writes_no_run(tmp_path: Path) -> None:
    """A folder without pictures leaves no run; a file in place of the folder is refused."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(Exception, match="holds no picture"):
        models.fit(tmp_path / "empty", output=tmp_path / "made", tensorboard=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        models.fit(tmp_path / "empty", output=tmp_path / "made", tensorboard=tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_a_resumed_run_continues_in_its_folder(tmp_path: Path) -> None:
    """Resuming takes the last run of the name; a new training takes the next number."""
    for name in ("part", "part-2"):
        (tmp_path / name).mkdir()
    assert Board(tmp_path, "part", resume=True).path.name == "part-2"
    assert Board(tmp_path, "part").path.name == "part-3"
    assert Board(tmp_path, "new", resume=True).path.name == "new"


def test_pictures_are_spread_over_the_training() -> None:
    """The first and the last step are shown, and about as many between as requested."""
    looks = [step for step in range(1, 1001) if due(step, 1000, 20)]
    assert looks == [1, *range(50, 1001, 50)]
    assert [step for step in range(1, 4) if due(step, 3, 20)] == [1, 2, 3]


def test_reconstructions_lie_below_their_pictures(pixels: NDArray[np.uint8]) -> None:
    """Five pairs in rows of four: the second row has one pair."""
    laid = pairs_in_rows(pixels[:5], pixels[5:10], 4)
    found = [tuple(position) for picture in (pixels[4], pixels[9]) for position in positions(laid, picture)]
    ((top, left), (below, same)) = found
    assert left == same < 64
    assert 64 < top < below
    assert below - top < 70


def positions(laid: NDArray[np.uint8], picture: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Rows and columns at which a picture lies in a montage."""
    return np.argwhere(cv2.matchTemplate(laid, picture, cv2.TM_SQDIFF_NORMED) < 1e-6)
