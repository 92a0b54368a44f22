"""A bundle ships the graph with 8-bit convolutions if it is faster and changes no verdict."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import models
from calibration.thresholds import make_calibration
from inspector.bundle.folder import GRAPH, INT8_GRAPH, Bundle
from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import render
from inspector.errors import GoldenMismatchError
from inspector.scoring import decision
from inspector.scoring.detector import Detector
from inspector.settings import Settings
from inspector.types import RawScores
from models.export import int8, onnx_graphs
from models.export.bundle_writer import FLOOR
from models.export.quantise import Operation
from models.inspection import components
from models.inspection.build import build
from models.inspection.learner import InspectionLearner
from models.inspection.normals import learn_normals
from models.inspection.options import InspectionOptions
from tests.models.conftest import silent

GOOD = {"images": 20, "score_correlation": 0.9999, "largest_relative_difference": 0.01, "verdict_flips": 0}


@pytest.fixture
def _small_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a graph that is small and hardly quicker pay, so that tests need not be slow."""
    monkeypatch.setattr(int8, "LEAST_PRODUCTS", 0)
    monkeypatch.setattr(int8, "LEAST_SPEEDUP", 0.0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> int8.Int8Request:
    """An exported model with random heads, its pictures, and its scores."""
    folder = tmp_path_factory.mktemp("pretrained")
    torch.manual_seed(0)
    pixels = np.stack([render(seed, size=64).picture for seed in range(36)])
    learner = InspectionLearner(InspectionOptions(image_size=64, device="cpu"))
    network, heads = learner.averaged()
    rows, early = np.arange(36), [each for each in components.learned() if not each.of_latents]
    normals = learn_normals(network.encoder.trunk, early, pixels, rows, rows, 0, progress=silent)
    model = build(network, heads, normals, pixels, rows, rows, rows[20:], 0, split=False, progress=silent)
    onnx_graphs.write_graphs(model, folder, 64)
    scores = model.calibration_scores
    calibration = make_calibration(
        scores.statistics,
        scores.statistics,
        scores.anomaly_map.max((1, 2)),
        model.columns,
        fused=tuple(model.weights),
        weights=tuple(model.weights.values()),
        floor=FLOOR,
        max_false_reject=0.1,
        source="a test",
    )
    return int8.Int8Request(
        folder,
        pixels,
        rows[:20],
        rows,
        model.calibration_folds,
        model.columns,
        scored=scores,
        calibration=calibration,
        seed=0,
        threads=1,
    )


def scores_by_folds(path: Path, request: int8.Int8Request) -> RawScores:
    """The cross-fitted scores of the pictures by a graph."""
    return onnx_graphs.score_by_folds(path, 1, request.pixels, request.compared, request.folds)


@pytest.fixture
def asked(shared: int8.Int8Request, tmp_path: Path) -> int8.Int8Request:
    """The same in a folder of the test's own."""
    shutil.copy(shared.folder / GRAPH, tmp_path)
    return replace(shared, folder=tmp_path)


@pytest.mark.usefixtures("_small_pays")
def test_what_agrees_is_shipped(asked: int8.Int8Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph that was compared is the one that is left, and its figures are those that were found."""
    monkeypatch.setattr(int8, "LEAST_CORRELATION", 0.9)
    trial = int8.attempt(asked)
    summary = trial.summary
    assert (summary.shipped, summary.reason) == (True, None)
    assert (summary.images, summary.verdict_flips) == (68, 0)
    assert (summary.convolutions or 0) > 3
    assert summary.calibration_images == 20
    again = scores_by_folds(asked.folder / INT8_GRAPH, asked)
    assert trial.scores is not None
    np.testing.assert_array_equal(trial.scores.statistics, again.statistics)
    assert (summary.score_correlation or 0) <= int8.correlation(
        asked.scores(asked.scored), asked.scores(again)
    )


def test_exported_graphs_are_cross_fitted_like_torch(shared: int8.Int8Request) -> None:
    """The exact graph with the constants of each fold scores pictures as torch does."""
    found = scores_by_folds(shared.folder / GRAPH, shared)
    np.testing.assert_allclose(found.statistics, shared.scored.statistics, rtol=1e-3, atol=1e-3)
    whole = {position for fold in shared.folds for position in fold.positions.tolist()}
    assert whole == set(range(len(shared.compared)))


@pytest.mark.usefixtures("_small_pays")
@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("LEAST_SPEEDUP", 1e3, "times as fast on this machine"),
        ("LEAST_CORRELATION", 1.0, "scores are correlated by"),
        ("TOLERANCE", 1e-9, "at most 1e-09 is allowed|verdicts flip"),
        ("NOISE_LIMITS", (), "rounding any of its convolutions"),
        ("LEAST_PRODUCTS", 10**12, "million multiplications a picture are too few"),
        ("FEWEST_COMPARED", 37, "36 pictures are too few to compare, 37 are needed"),
    ],
)
def test_what_does_not_pay_is_left_out(
    asked: int8.Int8Request, monkeypatch: pytest.MonkeyPatch, limit: str, value: Any, reason: str
) -> None:
    """Whatever is missed, no file is left, and the reason names it."""
    monkeypatch.setattr(int8, limit, value)
    trial = int8.attempt(asked)
    assert (trial.summary.shipped, trial.scores) == (False, None)
    assert any(words in (trial.summary.reason or "") for words in reason.split("|")), trial.summary.reason
    assert not (asked.folder / INT8_GRAPH).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"verdict_flips": 1}, "1 of 20 verdicts flip"),
        ({"score_correlation": 0.999}, "over 0.999 is needed"),
        ({"score_correlation": np.nan}, "over 0.999 is needed"),
        ({"largest_relative_difference": 0.11}, "a score differs by 0.11"),
        ({"largest_relative_difference": np.nan}, "a score differs by nan"),
    ],
)
def test_faults(change: dict[str, Any], said: str) -> None:
    """Each figure that is out of its bounds, or not a number, is a fault."""
    found = int8.fault(**{**GOOD, **change})
    assert said in found
    assert bool(found) == bool(said)


def test_a_flip_lies_beyond_the_tolerance() -> None:
    """A verdict that changes close to the threshold is no flip; far from it, it is."""
    exact = np.array([1.0, 1.99, 1.5, 30.0])
    assert int8.compare(exact, np.array([1.0, 2.01, 1.5, 27.0]), 2.0) == {
        "images": 4,
        "largest_relative_difference": pytest.approx(0.1),
        "verdict_flips": 0,
    }
    assert int8.compare(exact, np.array([1.0, 1.99, 2.5, 30.0]), 2.0)["verdict_flips"] == 1


def test_constant_scores_do_not_correlate() -> None:
    """Where all scores are the same, there is nothing to be correlated."""
    assert int8.correlation(np.ones(5), np.arange(5.0)) == 0.0
    assert int8.correlation(np.arange(5.0), 2 * np.arange(5.0)) == pytest.approx(1.0)


def test_the_cheapest_noise_is_taken_first() -> None:
    """Groups are taken by noise for what they save, as long as the squares stay below the limit's."""
    noise = [
        (0.03, [Operation("loud", 100)]),
        (0.01, [Operation("a", 50), Operation("b", 50)]),
        (0.02, [Operation("large", 1000)]),
    ]
    assert int8.chosen(noise, 0.01) == ("a", "b")
    assert int8.chosen(noise, 0.025) == ("large", "a", "b")
    assert int8.chosen(noise, 0.04) == ("large", "a", "b", "loud")
    assert int8.chosen(noise, 0.001) == ()


@pytest.mark.usefixtures("_small_pays")
def test_thresholds_belong_to_the_graph_that_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit that ships 8 bits has thresholds and golden images of the 8-bit graph."""
    monkeypatch.setattr(int8, "LEAST_CORRELATION", 0.5)
    monkeypatch.setattr(int8, "TOLERANCE", 10.0)
    monkeypatch.setattr(int8, "NOISE_LIMITS", (1.0,))
    monkeypatch.setenv("INSPECTOR_THREADS", "1")
    tried: list[tuple[int8.Int8Request, int8.Int8Trial]] = []
    attempt = int8.attempt

    def recorded(asked: int8.Int8Request) -> int8.Int8Trial:
        tried.append((asked, attempt(asked)))
        return tried[-1][1]

    monkeypatch.setattr(int8, "attempt", recorded)
    write_dataset(tmp_path / "data", train=60, good=0, per_kind=0, size=64)
    normal = tmp_path / "data" / "train" / "good"
    path = models.fit(normal, output=tmp_path / "bundle", steps=4, image_size=64)
    bundle = Bundle.open(path)
    assert bundle.manifest.int8 is not None
    assert bundle.manifest.int8.shipped, bundle.manifest.int8
    detector = Detector(bundle, Settings(threads=1))
    detector.verify()
    assert detector.precision == "int8"
    ((asked, trial),) = tried
    assert trial.scores is not None
    exact, rounded = (
        np.sort(decision.score(raw.statistics, bundle.manifest.columns, bundle.calibration))
        for raw in (asked.scored, trial.scores)
    )
    np.testing.assert_allclose(bundle.calibration.heldout_scores, rounded)
    assert bundle.calibration.threshold in bundle.calibration.heldout_scores
    assert not np.allclose(exact, rounded)
    detector.fall_back(GoldenMismatchError("for this test", hint="none"))
    detector.verify()
    assert "8-bit graph" in (path / "report.html").read_text(encoding="utf-8")
