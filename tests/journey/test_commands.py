"""The commands that use a fitted model: evaluate, calibrate, and those of the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import KINDS
from tests.journey.program import SIDE, Fitted, complaint, listing, rows, run


def test_evaluate_prints_the_promised_figures(fitted: Fitted, tmp_path: Path) -> None:
    """`--format json` has the names that programs read, and `--report` writes a page."""
    page = tmp_path / "page.html"
    ended = run("evaluate", fitted.test, "--format", "json", "--report", page, store=fitted.store)
    figures: dict[str, Any] = json.loads(ended.stdout)
    assert {"model", "images", "image", "pixel", "kinds", "components", "milliseconds_per_image"} <= set(
        figures
    )
    assert figures["model"] == fitted.outcome["model"]
    assert figures["images"] == 6 + 2 * len(KINDS) + 1
    image = figures["image"]
    names = "auroc auroc_interval ap f1 threshold false_reject_rate false_reject_interval miss_rate"
    assert set(names.split()) <= set(image)
    assert image["threshold"] == fitted.outcome["threshold"]
    low, high = image["auroc_interval"]
    assert 0 <= low <= image["auroc"] <= high <= 1
    assert 0 <= figures["pixel"]["auroc"] <= 1
    assert 0 <= figures["pixel"]["aupro"] <= 1
    assert set(figures["kinds"]) == {*KINDS, "broken"}
    assert figures["kinds"]["broken"] | {"images": 1, "miss_rate": 0.0} == figures["kinds"]["broken"]
    assert {"reconstruction", "latent_mmd"} <= set(figures["components"])
    assert figures["milliseconds_per_image"] > 0
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_evaluate_agrees_with_score(fitted: Fitted) -> None:
    """The rates of `evaluate` follow from the verdicts of `score`."""
    figures = json.loads(run("evaluate", fitted.test, "--format", "json", store=fitted.store).stdout)
    scored = rows(run("score", fitted.test, "--exit-zero", store=fitted.store))
    good = [row for row in scored if "/good/" in row["path"]]
    bad = [row for row in scored if "/good/" not in row["path"]]
    rejected = sum(row["verdict"] == "fail" for row in good) / len(good)
    missed = sum(row["verdict"] == "pass" for row in bad) / len(bad)
    assert abs(figures["image"]["false_reject_rate"] - rejected) < 1e-9
    assert abs(figures["image"]["miss_rate"] - missed) < 1e-9
    table = run("evaluate", fitted.test, "--format", "table", store=fitted.store).stdout
    assert "image AUROC" in table
    assert all(kind in table for kind in KINDS)


def test_calibrate_makes_a_version_that_shares_its_graphs(own: Fitted, tmp_path: Path) -> None:
    """New good pictures give version 2, promoted and current, with the same networks."""
    write_dataset(tmp_path / "new", train=25, good=0, per_kind=0, size=SIDE, seed=5)
    folder = tmp_path / "new" / "train" / "good"
    ended = run("calibrate", folder, "--model", "flange", "--max-false-reject", "0.1", store=own.store)
    outcome = json.loads(ended.stdout)
    assert (outcome["model"]["name"], outcome["model"]["version"]) == ("flange", 2)
    store = Store(own.store)
    assert (store.promoted("flange"), store.current(), store.versions("flange")) == (2, "flange", [1, 2])
    old, new = own.bundle, own.store / "flange" / "versions" / "2"
    for name in ("detector.onnx", "encoder.onnx", "decoder.onnx"):
        assert (old / name).stat().st_ino == (new / name).stat().st_ino
    assert Bundle.open(new).calibration.asked_false_reject_rate == 0.1
    assert len(Bundle.open(new).calibration.heldout_scores) == 25
    (row,) = rows(run("score", own.good_part, "--exit-zero", store=own.store))
    assert (row["model"]["version"], row["threshold"]) == (2, outcome["threshold"])
    run("models", "verify", "flange@2", store=own.store)

    run("models", "rollback", "flange", store=own.store)
    assert store.promoted("flange") == 1
    (row,) = rows(run("score", own.good_part, "--exit-zero", store=own.store))
    assert (row["model"]["version"], row["threshold"]) == (1, own.outcome["threshold"])
    run("models", "promote", "flange@2", store=own.store)
    assert store.promoted("flange") == 2
    complaint(run("models", "remove", "flange@2", store=own.store, code=6))
    run("models", "remove", "flange@1", store=own.store)
    assert store.versions("flange") == [2]
    run("models", "verify", "flange", store=own.store)
    run("models", "remove", "flange", store=own.store)
    assert (store.names(), store.current()) == ([], None)


def test_models_list_and_show(fitted: Fitted) -> None:
    """Both show the facts of the fit, for people and as JSON."""
    (row,) = json.loads(run("models", "list", "--format", "json", store=fitted.store).stdout)
    assert (row["name"], row["version"], row["promoted"], row["current"]) == ("flange", 1, True, True)
    assert "flange@1" in run("models", "list", "--format", "table", store=fitted.store).stdout
    facts = json.loads(run("models", "show", "flange", "--format", "json", store=fitted.store).stdout)
    assert facts["threshold"] == fitted.outcome["threshold"]
    assert facts["digest"] == fitted.outcome["model"]["digest"]
    assert Path(facts["report"]).is_file()
    shown = run("models", "show", store=fitted.store).stdout
    assert fitted.outcome["model"]["digest"] in shown


def test_verify_reproduces_the_golden_images(own: Fitted) -> None:
    """`verify` reproduces the recorded scores."""
    ended = run("models", "verify", "flange", "--format", "table", store=own.store)
    assert "golden pictures reproduced" in ended.stdout
    assert not ended.stderr


def test_a_model_travels_as_one_file(fitted: Fitted, store: Path, tmp_path: Path) -> None:
    """`import` adds the file of `export` to another store: same digest, same scores, current there."""
    packed = tmp_path / "flange.inspector"
    ended = run("models", "export", "flange", "--output", packed, store=fitted.store)
    assert Path(ended.stdout.strip()) == packed
    run("models", "import", packed, store=store)
    there = Store(store)
    assert (there.names(), there.current(), there.promoted("flange")) == (["flange"], "flange", 1)
    (here_row,) = rows(run("score", fitted.good_part, "--exit-zero", store=fitted.store))
    (there_row,) = rows(run("score", fitted.good_part, "--exit-zero", store=store))
    assert there_row["model"] == here_row["model"]
    assert there_row["score"] == here_row["score"]
    run("models", "import", packed, store=store)
    assert there.versions("flange") == [1]
    assert not [name for name in listing(store) if ".tmp" in name]


def test_a_store_can_be_moved(own: Fitted, tmp_path: Path) -> None:
    """Pointers are relative: a store under another path is the same store."""
    moved = own.store.rename(tmp_path / "moved")
    (row,) = rows(run("score", own.good_part, "--exit-zero", store=moved))
    assert row["model"] == own.outcome["model"]


def test_help_and_version_are_there_for_every_command(store: Path) -> None:
    """The help of every command has an example, and `--version` prints the version."""
    for command in ("fit", "score", "evaluate", "calibrate", "models", "demo"):
        shown = run(command, "--help", store=store).stdout
        assert "Example" in shown
        assert f"inspector {command}" in shown
    assert run("--version", store=store).stdout.startswith("inspector ")
