"""The 8-bit graph is used only on machines where it reproduces its golden images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from inspector.bundle.folder import GRAPH, INT8_GOLDEN, INT8_GRAPH, MANIFEST, Bundle, seal, write_bundle
from inspector.bundle.records import Manifest
from inspector.bundle.store import Store
from inspector.errors import GoldenMismatchError, MissingFileError
from inspector.scoring.detector import Detector
from inspector.scoring.runtime import DetectorSession
from inspector.settings import Settings
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import good_picture, tiny_fill

ONE_THREAD = Settings(threads=1)


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A fresh model with both graphs."""
    return write_bundle(tmp_path / "both", tiny_fill(int8=True)).path


def forge(folder: Path, record: str, probe: int) -> None:
    """Change the expected peak of one golden image and update the manifest, as a forger could."""
    draft = Bundle.open(folder).manifest
    numbers = json.loads((folder / record).read_bytes())
    numbers["probes"][probe]["map_peak"] += 1
    (folder / record).write_text(json.dumps(numbers), encoding="utf-8")
    seal(folder, draft)


def statistics(detector: Detector) -> list[float]:
    """Raw statistics of one picture, from the graph that the detector uses."""
    return [float(value) for value in detector.raw(good_picture(7)[np.newaxis]).statistics[0]]


def by_graph(folder: Path, name: str) -> list[float]:
    """Raw statistics of the same picture, from one graph."""
    raw = DetectorSession(folder / name, 1).run(good_picture(7)[np.newaxis])
    return [float(value) for value in raw.statistics[0]]


def test_a_graph_that_reproduces_its_golden_image_scores(both: Path) -> None:
    """An 8-bit graph that reproduces its golden images scores; its numbers differ from the 32-bit graph's."""
    detector = Detector(Bundle.open(both), ONE_THREAD)
    detector.verify()
    assert (detector.precision, detector.graph_path.name, detector.int8_problem) == ("int8", INT8_GRAPH, None)
    assert statistics(detector) == by_graph(both, INT8_GRAPH) != by_graph(both, GRAPH)


def test_another_processor_falls_back(both: Path) -> None:
    """If the 8-bit graph gives other numbers, the 32-bit graph is verified and scores; the reason is kept."""
    forge(both, INT8_GOLDEN, -1)
    detector = Detector(Bundle.open(both), ONE_THREAD)
    detector.verify()
    assert detector.precision == "fp32"
    assert statistics(detector) == by_graph(both, GRAPH)
    assert "probe-2.png: peak of the map is" in (detector.int8_problem or "")


def test_proving_looks_at_every_golden_image(both: Path) -> None:
    """Opening checks one image; verifying checks all of them, and falls back if another one fails."""
    forge(both, INT8_GOLDEN, 0)
    detector = Detector(Bundle.open(both), ONE_THREAD)
    assert detector.graph_path.name == INT8_GRAPH
    detector.verify()
    assert (detector.graph_path.name, detector.precision) == (GRAPH, "fp32")
    assert "probe-0.png" in (detector.int8_problem or "")


def test_a_fallback_has_to_be_proved(both: Path) -> None:
    """If neither graph reproduces its numbers, the model is refused."""
    forge(both, INT8_GOLDEN, -1)
    forge(both, "golden/golden.json", 1)
    with pytest.raises(GoldenMismatchError, match=r"probe-1\.png"):
        Detector(Bundle.open(both), ONE_THREAD).verify()


def test_a_graph_that_cannot_be_opened_falls_back(both: Path) -> None:
    """If onnxruntime cannot open the 8-bit graph, the 32-bit graph scores."""
    draft = Bundle.open(both).manifest
    (both / INT8_GRAPH).write_bytes(b"of another time")
    seal(both, draft)
    detector = Detector(Bundle.open(both), ONE_THREAD)
    assert detector.precision == "fp32"
    assert "cannot be opened by ONNX Runtime" in (detector.int8_problem or "")


@pytest.mark.parametrize("name", [INT8_GRAPH, INT8_GOLDEN])
def test_what_the_manifest_promises_is_there(both: Path, name: str) -> None:
    """A bundle whose manifest promises an 8-bit graph is refused without the graph or its golden scores."""
    draft = Bundle.open(both).manifest
    (both / name).unlink()
    seal(both, draft)
    with pytest.raises(MissingFileError, match=name):
        Bundle.open(both)


def test_old_models_open(tiny: Bundle, tmp_path: Path) -> None:
    """A manifest from before 8-bit graphs is read, and its model computes with 32 bits."""
    fields = json.loads((tiny.path / MANIFEST).read_bytes())
    del fields["int8"]
    assert Manifest.model_validate(fields) == tiny.manifest
    assert Detector(tiny, ONE_THREAD).precision == "fp32"


def test_verify_says_which(command: Command, store: Store) -> None:
    """`models verify` says whether the 8-bit graph is used, and why not; that is not an error."""
    store.publish("tiny", tiny_fill(int8=True))
    verified = json.loads(command("models", "verify", "tiny").out)
    assert (verified["files"], verified["precision"], verified["int8_problem"]) == (12, "int8", None)
    assert "1 convolutions and distances, 1.5 times as fast" in command("models", "show", "tiny").out
    forge(store.path("tiny", 1), INT8_GOLDEN, -1)
    ended = command("models", "verify", "tiny")
    assert (ended.code, json.loads(ended.out)["precision"]) == (0, "fp32")
    assert ended.err.startswith("int8 is not used on this computer: tiny@1: golden/probe-2.png")
