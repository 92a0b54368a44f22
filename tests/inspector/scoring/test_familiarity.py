"""Pictures that look unlike everything that a model knows say so, wherever the result is shown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.bundle.folder import Bundle, write_bundle
from inspector.bundle.records import Manifest
from inspector.bundle.reference import HELDOUT_LATENTS, TRAINING_DIGESTS, write_reference
from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import Detector
from inspector.scoring.familiarity import MOST_ROWS, REMARK, Familiarity
from inspector.types import Pixels
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill, write_picture

LIMIT = 10.0
CALM, RAISED = np.zeros((8, 8)), np.full((8, 8), 0.31 * LIMIT)

# Good pictures on a line, 1 apart; their patches are spread by 20 around them.
HELDOUT = np.stack([np.arange(12.0), np.zeros(12)], axis=1)
PATCHES = np.array([[5.5, 20.0], [5.5, -20.0]])
KNOWN = Familiarity(HELDOUT, PATCHES)

FRAMES: dict[str, Pixels] = {
    "lens cap": np.zeros((90, 120, 3), np.uint8),
    "white": np.full((90, 120, 3), 255, np.uint8),
    "noise in the dark": np.random.default_rng(0).integers(0, 30, (90, 120, 3)).astype(np.uint8),
    "another product": np.tile(np.array([[[255, 60, 20]], [[250, 90, 0]]], np.uint8), (45, 120, 1)),
}


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32))
def test_reach_and_spread(n: int, d: int, seed: int) -> None:
    """The reach is the largest distance to the nearest other row; the spread is that of patches."""
    rows = np.random.default_rng(seed).normal(50, 3, (n, d))
    known = Familiarity(rows.astype(np.float32), rows.astype(np.float32))
    between = np.linalg.norm(rows[:, np.newaxis] - rows, axis=2)
    np.fill_diagonal(between, np.inf)
    assert known.reach == pytest.approx(between.min(axis=1).max(), rel=1e-3, abs=1e-3)
    assert known.spread == pytest.approx(np.sqrt(rows.var(axis=0).sum()), rel=1e-3)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_frame_is_unfamiliar_to_every_model(tmp_path: Path, level: int) -> None:
    """A blank frame gets the remark from its pixels; its latent may lie among those of good parts."""
    detector = Detector(write_bundle(tmp_path / "model", tiny_fill()))
    found = detector.score(np.full((90, 120), level, np.uint8))
    assert found.unfamiliar
    assert found.remarks[0] == REMARK


@pytest.mark.parametrize(
    ("latent", "anomaly_map", "unfamiliar"),
    [
        ((5.5, 0.0), RAISED, False),  # between two good pictures
        ((5.0, 1.2), RAISED, False),  # as far as 1.2 times the reach
        ((5.0, 1.3), RAISED, True),
        ((5.0, 1.3), CALM, False),  # a single place may be the reason
        ((5.0, 7.9), CALM, False),  # a large defect
        ((5.0, 8.1), CALM, True),  # more than 40 % of the spread of patches
    ],
)
def test_both_conditions(latent: tuple[float, float], anomaly_map: np.ndarray, unfamiliar: bool) -> None:
    """A picture is unfamiliar if it lies beyond the good ones, and no single place is the reason."""
    assert KNOWN.is_unfamiliar(np.array(latent), anomaly_map, LIMIT, failed=True) is unfamiliar


@pytest.mark.parametrize(("distance", "unfamiliar"), [(1.9, False), (2.1, True)])
def test_a_pass_needs_good_pictures_nearby(distance: float, unfamiliar: bool) -> None:
    """A picture that passed has no defect: twice the reach is enough, where a fail may be a large defect."""
    latent = np.array([5.0, distance])
    assert KNOWN.is_unfamiliar(latent, CALM, LIMIT, failed=False) is unfamiliar
    assert not KNOWN.is_unfamiliar(latent, CALM, LIMIT, failed=True)


def test_a_loud_place_does_not_raise_the_map() -> None:
    """Half of a map may be loud: it is raised everywhere only if more than half of it is."""
    loud = CALM.copy()
    loud[:4] = 9 * LIMIT
    assert not KNOWN.is_unfamiliar(np.array([5.0, 3.0]), loud, LIMIT, failed=True)
    loud[4] = 9 * LIMIT
    assert KNOWN.is_unfamiliar(np.array([5.0, 3.0]), loud, LIMIT, failed=True)


@pytest.mark.parametrize("heldout", [np.empty((0, 0)), np.zeros((1, 2))])
def test_too_little_is_known(heldout: np.ndarray) -> None:
    """With fewer than two good pictures nothing is known about their reach."""
    assert not Familiarity(heldout, PATCHES).is_unfamiliar(np.array([900.0, 0.0]), RAISED, LIMIT, failed=True)


def test_many_good_pictures_take_little_memory() -> None:
    """Of very many held-out pictures some are compared, over the whole range of them."""
    known = Familiarity(np.stack([np.arange(50_000.0), np.zeros(50_000)], axis=1))
    assert known.reach <= 50_000 / MOST_ROWS
    assert not known.is_unfamiliar(np.array([49_990.0, 0.0]), RAISED, LIMIT, failed=True)


def test_not_a_number() -> None:
    """A latent of NaN is not unfamiliar, and raises no error."""
    assert not KNOWN.is_unfamiliar(np.array([np.nan, 0.0]), RAISED, LIMIT, failed=True)


@pytest.fixture(scope="module")
def detector(tiny: Bundle) -> Detector:
    """Return the tiny model, opened."""
    return Detector(tiny)


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_without_the_part(frame: str, detector: Detector) -> None:
    """A lens cap, an empty frame or another product is unfamiliar, and the remark says what to check."""
    inspection = detector.score(FRAMES[frame])
    assert inspection.unfamiliar
    assert inspection.remarks == (REMARK,)
    assert REMARK in repr(inspection)
    assert REMARK in inspection._repr_html_()


def test_good_and_bad_parts_are_familiar(detector: Detector) -> None:
    """Neither a good part nor a part with a defect is unfamiliar."""
    for seed in range(100, 130):
        for picture in (good_picture(seed, 90, 120), bad_picture(seed, 90, 120)):
            assert not detector.score(picture).unfamiliar, seed


def test_a_pass_may_be_unfamiliar(tmp_path: Path) -> None:
    """The verdict stays as it is: a lens cap that passes says so, too."""
    detector = Detector(write_bundle(tmp_path / "calm", tiny_fill(threshold=1e9)))
    inspection = detector.score(FRAMES["lens cap"])
    assert (inspection.verdict, inspection.unfamiliar, inspection.regions) == ("pass", True, ())


def test_old_bundles_go_on_working(tmp_path: Path) -> None:
    """A bundle without latents of its pictures scores as before; only blank frames are unfamiliar to it."""

    def fill(folder: Path) -> Manifest:
        manifest = tiny_fill()(folder)
        write_reference(folder, {TRAINING_DIGESTS: np.zeros(1, np.uint64)})
        return manifest

    detector = Detector(write_bundle(tmp_path / "old", fill))
    inspection = detector.score(FRAMES["another product"])
    assert (inspection.verdict, inspection.unfamiliar) == ("fail", False)
    assert detector.score(FRAMES["lens cap"]).unfamiliar
    assert HELDOUT_LATENTS == "heldout_latents"  # as bundles have named them from the start


@pytest.fixture
def parts(store: Store, tmp_path: Path) -> Path:
    """Make a current model, a good part and a lens cap."""
    store.publish("tiny", tiny_fill())
    write_picture(tmp_path / "parts" / "a.png", good_picture(101))
    write_picture(tmp_path / "parts" / "b.png", FRAMES["lens cap"])
    return tmp_path / "parts"


def test_every_form_of_output_says_so(command: Command, parts: Path) -> None:
    """JSON has a flag, and table and CSV the remark."""
    good, cap = map(json.loads, command("score", parts, "--format", "jsonl").out.splitlines())
    assert (good["unfamiliar"], cap["unfamiliar"], cap["verdict"]) == (False, True, "fail")
    assert (good["remarks"], cap["remarks"]) == ([], [REMARK])
    _header, good, cap = command("score", parts, "--format", "table").out.splitlines()
    assert good.endswith("a.png")
    assert cap.endswith(f"b.png  ({REMARK})")
    table = csv.DictReader(io.StringIO(command("score", parts, "--format", "csv").out))
    assert [(row["unfamiliar"], row["remarks"]) for row in table] == [("False", ""), ("True", REMARK)]


def test_a_watch_says_so(command: Command, parts: Path) -> None:
    """The line of a watch has the same flag and remark."""
    assert command("watch", parts, "--once", "--settle", "0").code == 1
    lines = (parts / "inspections.jsonl").read_text().splitlines()
    found = {Path(row["path"]).name: row for row in map(json.loads, lines)}
    assert {name: row["unfamiliar"] for name, row in found.items()} == {"a.png": False, "b.png": True}
    assert found["b.png"]["remarks"] == [REMARK]


def test_bytes_of_a_file_say_so(detector: Detector) -> None:
    """The record that HTTP sends has the flag."""
    record = detector.score(encode_png(FRAMES["lens cap"])).record()
    assert json.loads(record.to_json())["unfamiliar"] is True
