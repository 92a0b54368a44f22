"""Golden images: this computer reproduces the recorded scores, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector.bundle.folder import Bundle, seal
from inspector.bundle.golden import write_golden
from inspector.bundle.records import Golden
from inspector.errors import BundleError, GoldenMismatchError
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import Detector
from inspector.settings import Settings
from tests.inspector.tiny_bundle import SIDE, good_picture

Change = Callable[[dict[str, Any]], object]


def edited(own: Path, change: Change) -> Detector:
    """Change `golden.json`, seal the bundle again as a forger could, and open it."""
    path = own / "golden" / "golden.json"
    draft = Bundle.open(own).manifest
    record = json.loads(path.read_bytes())
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")
    seal(own, draft)
    return Detector(Bundle.open(own), Settings(threads=1))


def test_an_unchanged_bundle_is_verified(tiny: Bundle) -> None:
    """On the computer that wrote it, a bundle reproduces its scores."""
    Detector(tiny, Settings(threads=1)).verify()


@pytest.mark.parametrize("column", [0, 5, 11])
def test_a_statistic_that_moved_is_named(own: Path, column: int) -> None:
    """A statistic that differs by more than the tolerance is named with both values."""

    def change(record: dict[str, Any]) -> None:
        record["probes"][1]["statistics"][column] += 0.01

    detector = edited(own, change)
    name = detector.manifest.columns[column].component
    with pytest.raises(GoldenMismatchError, match=rf"probe-1\.png: {name} .* is .* here, expected"):
        detector.verify()


def test_the_map_counts_too(own: Path) -> None:
    """A map whose peak moved is a mismatch although all statistics agree."""

    def change(record: dict[str, Any]) -> None:
        record["probes"][0]["map_peak"] += 0.01

    with pytest.raises(GoldenMismatchError, match="peak of the map"):
        edited(own, change).verify()


def test_rounding_is_forgiven(own: Path) -> None:
    """Differences within the tolerance, as between two processors, are accepted."""

    def change(record: dict[str, Any]) -> None:
        for probe in record["probes"]:
            probe["statistics"] = [value * (1 + 5e-4) for value in probe["statistics"]]

    edited(own, change).verify()


def test_nothing_near_zero_is_exact(own: Path) -> None:
    """Near zero the tolerance is relative to the training pictures' spread, not to the number."""

    def change(record: dict[str, Any]) -> None:
        for probe in record["probes"]:
            probe["statistics"] = [value + 5e-7 for value in probe["statistics"]]

    edited(own, change).verify()


def test_not_a_number_is_a_mismatch(own: Path) -> None:
    """A graph that returns NaN is a mismatch."""

    def change(record: dict[str, Any]) -> None:
        record["probes"][0]["statistics"][0] = float("nan")

    with pytest.raises(GoldenMismatchError):
        edited(own, change).verify()


def test_as_many_statistics_as_columns(own: Path) -> None:
    """A record of another graph is refused."""

    def change(record: dict[str, Any]) -> None:
        record["probes"][2]["statistics"].pop()

    with pytest.raises(GoldenMismatchError, match="12 statistics, 11 recorded"):
        edited(own, change).verify()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda record: record["probes"].clear(), "nothing can be verified"),
        (lambda record: record.pop("tolerance"), "damaged"),
        (lambda record: record["probes"][0].update(file="../../other.png"), "not a file of the model"),
    ],
)
def test_a_useless_record_is_refused(own: Path, change: Change, what: str) -> None:
    """A record without probes, or with a probe outside the bundle, is an error."""
    with pytest.raises(BundleError, match=what):
        edited(own, change).verify()


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"no picture", "cannot be decoded"), (encode_png(good_picture(0, SIDE, SIDE * 2)), "128 x 64 pixels")],
)
def test_a_picture_must_be_one_of_the_models_size(own: Path, content: bytes, what: str) -> None:
    """A probe that cannot be read, or has another size, is named."""
    draft = Bundle.open(own).manifest
    (own / "golden" / "probe-0.png").write_bytes(content)
    seal(own, draft)
    with pytest.raises(BundleError, match=what):
        Detector(Bundle.open(own), Settings(threads=1)).verify()


def test_golden_images_are_written(tiny: Bundle, tmp_path: Path) -> None:
    """Each picture is stored losslessly beside its statistics and the peak of its map."""
    detector = Detector(tiny, Settings(threads=1))
    pictures = np.stack([good_picture(seed) for seed in range(2)])
    raw = detector.raw(pictures)
    write_golden(tmp_path, pictures, raw, tolerance=1e-2)
    golden = Golden.model_validate_json((tmp_path / "golden" / "golden.json").read_bytes())
    assert golden.tolerance == 1e-2
    assert [probe.file for probe in golden.probes] == ["probe-0.png", "probe-1.png"]
    assert golden.probes[1].statistics == tuple(map(float, raw.statistics[1]))
    assert golden.probes[1].map_peak == float(raw.anomaly_map[1].max())
    assert (tmp_path / "golden" / "probe-1.png").read_bytes() == encode_png(pictures[1])
