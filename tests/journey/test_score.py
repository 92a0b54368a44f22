"""`inspector score` on a fitted model: sources, forms of output, and exit codes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import inspector
from inspector.bundle.golden import TOLERANCE
from inspector.demo.photograph import KINDS
from inspector.scoring.records import ScoredImage
from tests.journey.program import SIDE, Fitted, listing, rows, run


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without its times."""
    return {key: value for key, value in row.items() if key != "milliseconds"}


def pixels_of(path: Path) -> NDArray[np.uint8]:
    """Read a picture the way OpenCV does: uint8 (H, W, 3), BGR."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def test_a_broken_part_fails_with_its_components_and_regions(fitted: Fitted) -> None:
    """Exit code 1; the components are there, and the strongest region lies where the damage is."""
    (row,) = rows(run("score", fitted.broken_part, store=fitted.store, code=1))
    assert set(row) == set(ScoredImage.model_fields)
    assert (row["verdict"], row["reason"]) == ("fail", None)
    assert row["score"] > row["threshold"] == fitted.outcome["threshold"]
    assert row["p_value"] == pytest.approx(1 / (fitted.outcome["images"] + 1))
    assert {"reconstruction", "latent_mmd"} <= set(row["components"])
    assert row["model"] == fitted.outcome["model"]
    assert row["image"] == {
        "width": SIDE,
        "height": SIDE,
        "bits": 8,
        "full_scale": 255,
        "clipped_pixels": 0,
        "model_pixel": {"width": 2.0, "height": 2.0},
    }
    assert set(row["milliseconds"]) == {"decode", "infer", "decide"}
    first = row["regions"][0]
    assert set(first) == {"x", "y", "width", "height", "area_pixels", "peak", "above_limit"}
    assert first["x"] < 104
    assert first["x"] + first["width"] > 24
    assert first["y"] < 104
    assert first["y"] + first["height"] > 24
    assert first["peak"] == max(region["peak"] for region in row["regions"])


def test_exit_codes(fitted: Fitted, tmp_path: Path) -> None:
    """The exit code is 0 if all passed, 1 if any failed, 3 if one is invalid and none failed."""
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    passed = [
        row["path"]
        for row in rows(run("score", fitted.test / "good", "--exit-zero", store=fitted.store))
        if row["verdict"] == "pass"
    ]
    good, broken, store = passed[0], fitted.broken_part, fitted.store
    run("score", good, store=store, code=0)
    run("score", good, broken, text, store=store, code=1)
    run("score", good, broken, "--exit-zero", store=store, code=0)
    run("score", good, text, store=store, code=3)
    run("score", text, "--exit-zero", store=store, code=3)


def test_file_folder_glob_and_stdin_agree(fitted: Fitted) -> None:
    """A file, a folder, a glob and stdin give the same score to a picture; a folder is read in order."""
    store, part = fitted.store, fitted.good_part
    (by_name,) = rows(run("score", part, "--exit-zero", store=store))
    in_folder = rows(run("score", fitted.test, "--exit-zero", store=store))
    by_glob = rows(run("score", f"{fitted.test}/*/*.png", "--exit-zero", store=store))
    (by_stdin,) = rows(run("score", "-", "--exit-zero", store=store, stdin=part.read_bytes()))
    paths = sorted(str(path) for path in fitted.test.rglob("*.png"))
    assert [row["path"] for row in in_folder] == paths
    assert [without_times(row) for row in by_glob] == [without_times(row) for row in in_folder]
    found = next(row for row in in_folder if row["path"] == str(part))
    assert without_times(found) == without_times(by_name)
    assert without_times(by_stdin | {"path": str(part)}) == without_times(by_name)


def test_pictures_of_something_else_say_so(fitted: Fitted) -> None:
    """A lens cap, an empty belt and stripes look unlike every good part; parts with defects do not."""
    detector = inspector.open_model(fitted.bundle, threads=1)
    stripes = np.zeros((SIDE, SIDE, 3), np.uint8)
    stripes[:, ::4] = (250, 40, 200)
    for other in (np.zeros_like(stripes), np.full_like(stripes, 255), stripes):
        assert detector.score(other).unfamiliar
    for kind in ("good", *KINDS):
        found = [detector.score(path) for path in sorted((fitted.test / kind).glob("*.png"))]
        assert found
        assert not any(inspection.unfamiliar for inspection in found), kind


def test_threads_change_no_score(fitted: Fitted) -> None:
    """Two threads that score a folder give exactly the scores of one thread.

    One picture on two cores has them within the tolerance of the golden images.
    """
    together = rows(run("score", fitted.test, "--threads", "2", "--exit-zero", store=fitted.store))
    for row in together:
        (alone,) = rows(run("score", row["path"], "--threads", "1", "--exit-zero", store=fitted.store))
        assert without_times(row) == without_times(alone)
    (shared,) = rows(run("score", row["path"], "--threads", "2", "--exit-zero", store=fitted.store))
    assert shared["score"] == pytest.approx(row["score"], rel=TOLERANCE, abs=TOLERANCE)


def test_every_format_tells_the_same(fitted: Fitted) -> None:
    """A pipe gets jsonl; json is an array, csv has a header, and a table is for people."""
    words = ("score", fitted.good_part, fitted.broken_part, "--exit-zero")
    printed = {
        name: run(*words, "--format", name, store=fitted.store).stdout
        for name in ("json", "jsonl", "csv", "table")
    }
    lines = [without_times(row) for row in rows(run(*words, store=fitted.store))]
    assert [without_times(row) for row in json.loads(printed["json"])] == lines
    assert [without_times(json.loads(line)) for line in printed["jsonl"].splitlines()] == lines
    table = list(csv.DictReader(io.StringIO(printed["csv"])))
    assert [(row["path"], row["verdict"], float(row["score"])) for row in table] == [
        (row["path"], row["verdict"], row["score"]) for row in lines
    ]
    assert [int(row["regions"]) for row in table] == [len(row["regions"]) for row in lines]
    head, *body = printed["table"].splitlines()
    assert head.split()[:2] == ["verdict", "score"]
    for shown, row in zip(body, lines, strict=True):
        assert shown.startswith(row["verdict"])
        assert shown.endswith(row["path"] + "".join(f"  ({remark})" for remark in row["remarks"]))
        assert f"{row['score']:.2f}" in shown


def test_json_of_one_picture_is_an_array(fitted: Fitted) -> None:
    """A program that reads json needs no special case for one picture."""
    ended = run("score", fitted.good_part, "--format", "json", "--exit-zero", store=fitted.store)
    assert len(json.loads(ended.stdout)) == 1


def test_python_gives_the_same_as_the_command(fitted: Fitted) -> None:
    """`inspector.open_model(...).score` and the command line agree in everything but the time."""
    detector = inspector.open_model(fitted.bundle, threads=1)
    for path in (fitted.good_part, fitted.broken_part):
        (row,) = rows(run("score", path, "--exit-zero", store=fitted.store))
        inspection = detector.score(path)
        record = json.loads(inspection.record().model_dump_json())
        assert without_times(record) == without_times(row)
        assert inspection.anomaly_map is not None
        assert inspection.anomaly_map.shape == (SIDE, SIDE)
        assert inspection.anomaly_map.dtype == np.float32
        again = detector.score(path.read_bytes())
        pixels = cv2.cvtColor(pixels_of(path), cv2.COLOR_BGR2RGB)
        assert again.score == detector.score(pixels).score == inspection.score


def test_heatmaps_have_the_size_of_their_pictures(fitted: Fitted, tmp_path: Path) -> None:
    """One heatmap for each picture, in the picture's own size, and different from the picture."""
    maps = tmp_path / "maps" / "of today"
    run("score", fitted.test, "--heatmaps", maps, "--exit-zero", store=fitted.store)
    pictures = list(fitted.test.rglob("*.png"))
    assert len(listing(maps)) == len(pictures)
    assert all(name.endswith("_heatmap.png") for name in listing(maps))
    for path in maps.iterdir():
        assert pixels_of(path).shape == (SIDE, SIDE, 3)


def test_model_can_be_named_in_four_ways(fitted: Fitted) -> None:
    """The current model, its name, its version and its path are the same model."""
    words = ("score", fitted.good_part, "--exit-zero")
    answers = [
        rows(run(*words, *model, store=fitted.store))[0]["model"]
        for model in ([], ["--model", "flange"], ["--model", "flange@1"], ["--model", fitted.bundle])
    ]
    assert answers == [fitted.outcome["model"]] * 4


def test_other_sizes_and_formats_are_normal_input(fitted: Fitted, tmp_path: Path) -> None:
    """Grey, RGBA, JPEG, WebP, BMP, TIFF, 16 bit and other sizes are scored, not refused."""
    picture = pixels_of(fitted.good_part)
    variants: dict[str, NDArray[Any]] = {
        "grey.png": cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
        "alpha.png": cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA),
        "deep.png": picture.astype(np.uint16) * 257,
        "large.jpg": cv2.resize(picture, (700, 500)),
        "plain.webp": picture,
        "plain.bmp": picture,
        "plain.tiff": picture,
    }
    for name, pixels in variants.items():
        assert cv2.imwrite(str(tmp_path / name), pixels)
    scored = {
        Path(row["path"]).name: row for row in rows(run("score", tmp_path, "--exit-zero", store=fitted.store))
    }
    assert set(scored) == set(variants)
    assert "invalid" not in {row["verdict"] for row in scored.values()}
    large = scored["large.jpg"]["image"]
    assert (large["width"], large["height"]) == (700, 500)
    assert large["model_pixel"] == {"width": 10.938, "height": 7.812}
    assert [scored[name]["image"]["bits"] for name in ("grey.png", "deep.png")] == [8, 16]
    (original,) = rows(run("score", fitted.good_part, "--exit-zero", store=fitted.store))
    (said,) = scored["deep.png"]["remarks"]
    assert said.startswith("16 bits, but the model learned 8-bit pictures; white is 65535")
    for name in ("alpha.png", "deep.png", "plain.bmp", "plain.tiff"):
        assert scored[name]["score"] == pytest.approx(original["score"], abs=1e-4)
