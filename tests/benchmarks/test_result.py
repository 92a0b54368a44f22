"""Result files have the same bytes for the same content, and are found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.result import BASELINES, load_all, place, timing_place, write


def test_a_file_does_not_depend_on_the_order_of_its_keys(tmp_path: Path) -> None:
    """Equal contents give equal bytes: keys are sorted, numbers have four digits."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    write(first, {"b": 0.123456, "a": {"d": (1, 2.0), "c": None}}, {})
    write(second, {"a": {"c": None, "d": [1, 2.0]}, "b": 0.12350000001}, {})
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text().endswith('"b": 0.1235\n}\n')


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    """A result that JSON cannot hold raises an error and writes no file."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path / "one.json", {"auroc": float("nan")}, {})


def test_all_fits_are_loaded_with_their_timings(tmp_path: Path) -> None:
    """Fits of every effort and variant are found, in order; baselines and timings are no fits."""
    for effort, variant in (("quick", None), ("quick", "no MMD"), ("standard", None)):
        name = f"{effort} {variant}"
        write(place(tmp_path, effort, "tiles", 0, variant), {"name": name}, {"fit_seconds": 1.5})
    write(tmp_path / BASELINES / "tiles.json", {"name": "baseline"}, {})
    found = load_all(tmp_path)
    assert [stored.result["name"] for stored in found] == ["quick no MMD", "quick None", "standard None"]
    assert all(stored.timing == {"fit_seconds": 1.5} for stored in found)


def test_a_missing_timing_is_empty(tmp_path: Path) -> None:
    """A result whose timing was not kept is still a result."""
    path = place(tmp_path, "quick", "tiles", 0)
    write(path, {"steps": 1}, {"fit_seconds": 1.5})
    timing_place(path).unlink()
    assert [(stored.result, stored.timing) for stored in load_all(tmp_path)] == [({"steps": 1}, {})]
