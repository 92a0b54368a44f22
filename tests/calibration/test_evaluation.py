"""The figures of an evaluation: against second implementations, by hand, and on a real small model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from calibration.evaluation import (
    Evaluation,
    LabelledScore,
    auroc,
    auroc_interval,
    average_precision,
    evaluate,
    measure,
    proportion_interval,
)
from calibration.labelled import labelled_pictures, read_mask
from inspector.errors import DatasetError
from inspector.scoring.detector import Detector
from inspector.types import ModelId, Verdict
from tests.calibration.test_labelled import labelled_folder
from tests.inspector.tiny_bundle import tiny_bundle, write_picture

Floats = NDArray[np.float64]
MODEL = ModelId(name="tiny", version=1, digest="sha256:0")


def pairs_auroc(good: Floats, defective: Floats) -> float:
    """AUROC by looking at every pair."""
    wins = [1.0 if d > g else 0.5 if d == g else 0.0 for g in good for d in defective]
    return sum(wins) / len(wins)


def scored(kind: str, verdict: Verdict, score: float, **components: float) -> LabelledScore:
    """One scored picture."""
    return LabelledScore(Path(f"{kind}.png"), kind, verdict, score, components)


# --- figures of scores alone --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_auroc_and_precision_against_pairs(seed: int) -> None:
    """AUROC equals the share of pairs in the right order, ties half; precision that of the raw scores."""
    rng = np.random.default_rng(seed)
    good, defective = rng.integers(0, 8, 30).astype(float), rng.integers(3, 12, 20).astype(float)
    assert auroc(good, defective) == pytest.approx(pairs_auroc(good, defective))
    labels, values = np.repeat([0, 1], [30, 20]), np.concatenate([good, defective])
    assert average_precision(good, defective) == pytest.approx(average_precision_score(labels, values))


def test_infinite_scores_are_the_highest() -> None:
    """Scores of invalid pictures, infinite, rank above all others and equal to each other."""
    good, defective = np.array([1.0, 2.0, np.inf]), np.array([3.0, np.inf])
    assert auroc(good, defective) == pytest.approx((2 + 2.5) / 6)
    assert average_precision(good, defective) is not None
    low, high = auroc_interval(good, defective) or (0.0, 0.0)
    assert 0 <= low < high <= 1


def test_without_one_class_there_is_no_figure() -> None:
    """With good or defective pictures alone AUROC, precision and interval are None."""
    some, none = np.array([1.0, 2.0]), np.array([])
    for good, defective in ((some, none), (none, some)):
        assert auroc(good, defective) is None
        assert average_precision(good, defective) is None
        assert auroc_interval(good, defective) is None


def test_bootstrap_against_a_loop() -> None:
    """The interval equals that of a plain loop over resamples, up to the noise of both."""
    rng = np.random.default_rng(0)
    good, defective = np.round(rng.normal(0, 1, 60), 1), np.round(rng.normal(1, 1, 40), 1)
    values = [
        roc_auc_score(
            np.repeat([0, 1], [60, 40]), np.concatenate([rng.choice(good, 60), rng.choice(defective, 40)])
        )
        for _ in range(1500)
    ]
    assert auroc_interval(good, defective, resamples=6000) == pytest.approx(
        np.quantile(values, [0.025, 0.975]), abs=0.01
    )


def test_bootstrap_is_seeded_and_does_not_depend_on_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same interval, another one another; small chunks give a close one."""
    rng = np.random.default_rng(1)
    good, defective = rng.normal(0, 1, 80), rng.normal(1, 1, 50)
    whole = auroc_interval(good, defective)
    assert whole == auroc_interval(good, defective)
    assert whole != auroc_interval(good, defective, seed=1)
    monkeypatch.setattr("calibration.evaluation.WEIGHTS_AT_ONCE", 7 * 130)
    assert auroc_interval(good, defective) == pytest.approx(whole, abs=0.02)


def test_bootstrap_covers_the_truth() -> None:
    """About 95 of 100 intervals hold the true AUROC of two normal distributions."""
    rng = np.random.default_rng(2)
    truth = stats.norm.cdf(1 / np.sqrt(2))
    intervals = [
        auroc_interval(rng.normal(0, 1, 60), rng.normal(1, 1, 60), resamples=300) or (0.0, 0.0)
        for _ in range(300)
    ]
    assert np.mean([low <= truth <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(("count", "total"), [(0, 20), (8, 200), (20, 20)])
def test_proportion_interval_is_exact(count: int, total: int) -> None:
    """The interval ends where the binomial law gives what was seen, or more extreme, 2.5 %."""
    low, high = proportion_interval(count, total) or (0.0, 0.0)
    assert (low == 0.0) if count == 0 else stats.binom.sf(count - 1, total, low) == pytest.approx(0.025)
    assert (high == 1.0) if count == total else stats.binom.cdf(count, total, high) == pytest.approx(0.025)
    assert proportion_interval(0, 0) is None


def test_figures_by_hand() -> None:
    """Rates, F1 and the figures of each kind and component are those counted by hand."""
    evaluation = Evaluation(MODEL, 3.0)
    evaluation.scores = [
        scored("good", "pass", 1.0, head=1.0, latent_mmd=0.0),
        scored("good", "review", 2.0, head=2.0, latent_mmd=0.0),
        scored("good", "fail", 4.0, head=4.0, latent_mmd=0.0),
        scored("good", "invalid", np.inf),
        scored("dent", "fail", 5.0, head=0.0, latent_mmd=5.0),
        scored("dent", "review", 2.5, head=2.5, latent_mmd=0.0),
        scored("crack", "invalid", np.inf),
    ]
    figures = evaluation.figures()
    image = figures["image"]
    assert image["false_reject_rate"] == 0.5
    assert image["miss_rate"] == pytest.approx(1 / 3)
    assert image["f1"] == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert image["auroc"] == pytest.approx((3 + 2 + 3.5) / 12)
    assert image["threshold"] == 3.0
    assert figures["kinds"] == {
        "crack": {"images": 1, "auroc": pytest.approx(3.5 / 4), "miss_rate": 0.0},
        "dent": {"images": 2, "auroc": pytest.approx(5 / 8), "miss_rate": 0.5},
    }
    assert list(figures["kinds"]) == ["crack", "dent"]
    # latent_mmd: good 0, 0, 0 and the highest; dent 5 and 0, crack the highest.
    assert figures["components"]["latent_mmd"]["auroc"] == pytest.approx((3 + 1.5 + 3.5) / 12)
    assert figures["images"] == 7
    assert figures["pixel"] is None
    assert figures["model"] == MODEL.model_dump()
    assert "Infinity" not in json.dumps(figures)


def test_good_pictures_alone() -> None:
    """Without defects the false rejects are counted, and what needs defects is null."""
    evaluation = Evaluation(MODEL, 3.0, [scored("good", "pass", 1.0, head=1.0)])
    image = evaluation.figures()["image"]
    assert image["false_reject_rate"] == 0.0
    assert [image[name] for name in ("auroc", "auroc_interval", "ap", "f1", "miss_rate")] == [None] * 5


# --- a real small model -------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A test folder with good pictures, dents with masks, and scratches without."""
    return labelled_folder(tmp_path)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """The small but real model."""
    return Detector(tiny_bundle(tmp_path_factory.mktemp("model") / "tiny"))


def test_evaluate_a_real_model(detector: Detector, folder: Path) -> None:
    """The figures equal those computed from the single inspections by other means."""
    (folder / "dent" / "broken.png").write_bytes(b"not a picture")
    calls: list[tuple[int, int]] = []
    figures = evaluate(detector, folder, progress=lambda done, total: calls.append((done, total)))
    one_by_one = {
        kind: [detector.score(path) for path in sorted((folder / kind).iterdir())]
        for kind in ("good", "dent", "scratch")
    }
    highest = 1e9
    scores: dict[str, Floats] = {
        kind: np.array([highest if each.score is None else each.score for each in inspections])
        for kind, inspections in one_by_one.items()
    }
    defective = np.concatenate([scores["dent"], scores["scratch"]])
    assert figures["images"] == 16
    assert figures["image"]["auroc"] == pytest.approx(pairs_auroc(scores["good"], defective))
    assert figures["image"]["miss_rate"] == np.mean(defective <= detector.calibration.threshold)
    assert figures["kinds"]["dent"]["images"] == 7
    assert list(figures["components"]) == ["reconstruction", "latent_mmd", "head"]
    assert figures["milliseconds_per_image"] > 0
    assert calls == [(done, 16) for done in range(1, 17)]
    json.dumps(figures, allow_nan=False)


def test_pixel_figures_of_a_real_model(detector: Detector, folder: Path) -> None:
    """Pixels count from good pictures and from defects that have a mask, at the picture's own size."""
    figures = evaluate(detector, folder)
    maps, truths = [], []
    for picture in labelled_pictures(folder):
        anomaly_map = detector.score(picture.path).anomaly_map
        assert anomaly_map is not None
        if picture.kind == "good" or picture.mask:
            maps.append(anomaly_map.ravel())
            truths.append(
                np.zeros(anomaly_map.size, bool)
                if picture.mask is None
                else read_mask(picture.mask, anomaly_map.shape).ravel()
            )
    expected = roc_auc_score(np.concatenate(truths), np.concatenate(maps))
    assert figures["pixel"]["auroc"] == pytest.approx(expected, abs=1e-4)
    assert figures["pixel"]["masks"] == 6
    assert 0 < figures["pixel"]["aupro"] <= 1


def test_no_masks_no_pixel_figures(detector: Detector, folder: Path) -> None:
    """Without any mask `pixel` is null; with empty masks alone it is null as well."""
    truth = folder.parent / "ground_truth" / "dent"
    for seed in range(5):
        (truth / f"{seed}_mask.png").unlink()
    assert evaluate(detector, folder)["pixel"] is None
    (truth / "5_mask.png").unlink()
    assert evaluate(detector, folder)["pixel"] is None


def test_an_invalid_picture_spoils_no_pixel_figure(detector: Detector, folder: Path) -> None:
    """A defect that cannot be decoded counts as flagged, and its mask is left aside."""
    (folder / "dent" / "0.png").write_bytes(b"")
    measured = measure(detector, folder)
    assert measured.masks == 5
    assert [score.flagged for score in measured.scores if score.path.name == "0.png"][-1]


def test_a_mask_of_another_size_stops_the_evaluation(detector: Detector, folder: Path) -> None:
    """A mask that does not fit its picture is an error that names it, not a wrong figure."""
    write_picture(folder.parent / "ground_truth" / "dent" / "2_mask.png", np.zeros((64, 64), np.uint8))
    with pytest.raises(DatasetError, match=r"2_mask.png has 64 x 64 pixels, its picture 96 x 64"):
        evaluate(detector, folder)


def test_shape_of_the_contract(detector: Detector, folder: Path) -> None:
    """The object has the keys that scripts rely on."""
    figures: dict[str, Any] = evaluate(detector, folder)
    assert list(figures) == [
        "model",
        "images",
        "image",
        "pixel",
        "kinds",
        "components",
        "milliseconds_per_image",
    ]
    assert set(figures["image"]) == {
        "auroc",
        "auroc_interval",
        "ap",
        "f1",
        "threshold",
        "false_reject_rate",
        "false_reject_interval",
        "miss_rate",
    }
    assert set(figures["kinds"]["dent"]) == {"images", "auroc", "miss_rate"}
    assert figures["model"] == {"name": "tiny", "version": 1, "digest": detector.bundle.digest}
