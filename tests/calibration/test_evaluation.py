"""The figures of an evaluation: by hand, and on a real small model."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from calibration.evaluation import Evaluation, LabelledScore, measure
from calibration.labelled import labelled_folder
from calibration.masks import read_masks
from calibration.recalibration import recalibrate
from calibration.report.evaluation_page import render_evaluation
from inspector.bundle.folder import write_bundle
from inspector.bundle.reference import content_digest
from inspector.errors import TooFewImagesError
from inspector.scoring.detector import Detector
from inspector.types import ModelId, Verdict
from tests.calibration.test_labelled import write_labelled
from tests.inspector.tiny_bundle import good_picture, tiny_bundle, tiny_fill, write_picture

Floats = NDArray[np.float64]
MODEL = ModelId(name="tiny", version=1, digest="sha256:0")


def scored(kind: str, verdict: Verdict, score: float, **components: float) -> LabelledScore:
    """One scored picture."""
    return LabelledScore(Path(f"{kind}.png"), kind, verdict, score, components)


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
    """Without defects, false rejects are counted, and figures that need defects are null."""
    evaluation = Evaluation(MODEL, 3.0, [scored("good", "pass", 1.0, head=1.0)])
    image = evaluation.figures()["image"]
    assert image["false_reject_rate"] == 0.0
    assert [image[name] for name in ("auroc", "auroc_interval", "ap", "f1", "miss_rate")] == [None] * 5


# --- a real small model -------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A test folder with good pictures, dents with masks, and scratches without."""
    return write_labelled(tmp_path)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """The small but real model."""
    return Detector(tiny_bundle(tmp_path_factory.mktemp("model") / "tiny"))


def test_evaluate_a_real_model(detector: Detector, folder: Path) -> None:
    """The figures equal those computed from the single inspections with other code."""
    (folder / "dent" / "broken.png").write_bytes(b"not a picture")
    calls: list[tuple[int, int]] = []
    measured = measure(detector, folder, progress=lambda done, total: calls.append((done, total)))
    figures = measured.figures()
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
    labels = np.repeat([0, 1], [scores["good"].size, defective.size])
    expected = roc_auc_score(labels, np.concatenate([scores["good"], defective]))
    assert figures["image"]["auroc"] == pytest.approx(expected)
    assert figures["image"]["miss_rate"] == np.mean(defective <= detector.calibration.threshold)
    assert figures["kinds"]["dent"]["images"] == 7
    assert list(figures["components"]) == ["reconstruction", "latent_mmd", "head"]
    assert figures["milliseconds_per_image"] > 0
    assert calls == [(done, 16) for done in range(1, 17)]
    json.dumps(figures, allow_nan=False)


def test_pixel_figures_of_a_real_model(detector: Detector, folder: Path) -> None:
    """Pixels count from good pictures and from defects that have a mask, at the picture's own size."""
    figures = measure(detector, folder).figures()
    maps, truths = [], []
    for picture in labelled_folder(folder).pictures:
        anomaly_map = detector.score(picture.path).anomaly_map
        assert anomaly_map is not None
        if picture.kind == "good" or picture.masks:
            maps.append(anomaly_map.ravel())
            truths.append(
                read_masks(picture.masks, anomaly_map.shape).defect.ravel()
                if picture.masks
                else np.zeros(anomaly_map.size, bool)
            )
    expected = roc_auc_score(np.concatenate(truths), np.concatenate(maps))
    assert figures["pixel"]["auroc"] == pytest.approx(expected, abs=1e-4)
    assert figures["pixel"]["masks"] == 6
    assert 0 < figures["pixel"]["aupro"] <= 1


def test_the_masks_are_reported(detector: Detector, folder: Path) -> None:
    """The figures say which pictures have no mask, and which masks are empty, inverted or stored lossily."""
    truth = folder.parent / "ground_truth" / "dent"
    mask = np.zeros((64, 96), np.uint8)
    mask[20:40, 30:50] = 255
    write_picture(truth / "1_mask.png", 255 - mask)
    (truth / "2_mask.png").unlink()
    Image.fromarray(mask).save(truth / "2_mask.jpg", quality=80)
    (truth / "3_mask.png").rename(truth / "9_mask.png")
    measured = measure(detector, folder)
    assert measured.figures()["masks"] == {
        "defective_images": 9,
        "counted": 5,
        "missing": ["dent/3.png", *(f"scratch/{number}.jpg.png" for number in range(3))],
        "ambiguous": [],
        "invalid": [],
        "unused": ["ground_truth/dent/9_mask.png"],
        "unusable": {},
        "empty": ["dent/5.png"],
        "lossy": ["dent/2.png"],
        "mostly_defect": ["dent/1.png"],
    }


def test_a_folder_of_masks_is_no_kind(detector: Detector, folder: Path) -> None:
    """Masks in the test folder give the figures that masks beside it give, and add no picture."""
    beside = measure(detector, folder).figures()
    (folder.parent / "ground_truth").rename(folder / "ground_truth")
    inside = measure(detector, folder).figures()
    for figures in (beside, inside):
        figures.pop("milliseconds_per_image")
    assert inside == beside


def test_no_masks_no_pixel_figures(detector: Detector, folder: Path) -> None:
    """Without any mask `pixel` is null; with empty masks alone it is null as well."""
    truth = folder.parent / "ground_truth" / "dent"
    for seed in range(5):
        (truth / f"{seed}_mask.png").unlink()
    assert measure(detector, folder).figures()["pixel"] is None
    (truth / "5_mask.png").unlink()
    assert measure(detector, folder).figures()["pixel"] is None


def test_an_invalid_picture_spoils_no_pixel_figure(detector: Detector, folder: Path) -> None:
    """A defect that cannot be decoded counts as flagged, and its mask is not counted."""
    (folder / "dent" / "0.png").write_bytes(b"")
    measured = measure(detector, folder)
    assert (measured.masks.counted, measured.masks.invalid) == (5, ["dent/0.png"])
    assert [score.flagged for score in measured.scores if score.path.name == "0.png"][-1]


def test_masks_that_cannot_be_used_are_left_out(detector: Detector, folder: Path) -> None:
    """A mask of another size and a damaged one are named; the other masks give the pixel figures."""
    (folder.parent / "ground_truth" / "dent" / "1_mask.png").write_bytes(b"no picture")
    write_picture(folder.parent / "ground_truth" / "dent" / "2_mask.png", np.zeros((64, 64), np.uint8))
    measured = measure(detector, folder)
    assert list(measured.masks.unusable) == ["dent/1.png", "dent/2.png"]
    assert measured.masks.counted == 4
    assert measured.figures()["pixel"]["masks"] == 4
    (said,) = (sentence for sentence in measured.masks.sentences() if "cannot be used" in sentence)
    assert said.startswith("2 masks cannot be used, and the pixel figures leave their pictures out: mask ")
    assert "2_mask.png has 64 x 64 pixels, its picture 96 x 64" in said
    assert said in html.unescape(render_evaluation(measured, detector))


def test_shape_of_the_contract(detector: Detector, folder: Path) -> None:
    """The object has the keys that scripts rely on."""
    figures: dict[str, Any] = measure(detector, folder).figures()
    assert list(figures) == [
        "model",
        "images",
        "image",
        "pixel",
        "masks",
        "kinds",
        "components",
        "milliseconds_per_image",
        "clipped_images",
        "used_in_fit",
        "remarks",
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


def test_good_pictures_that_cannot_be_read(detector: Detector, tmp_path: Path) -> None:
    """Without a good picture that can be read there is no figure, and the error counts the reasons."""
    for name in ("good/0.png", "good/1.png", "dent/0.png"):
        (tmp_path / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "test" / name).write_bytes(b"no picture")
    with pytest.raises(TooFewImagesError, match=r"none usable: 2 of unknown format, such as 0\.png"):
        measure(detector, tmp_path / "test")


def test_pictures_that_the_model_knows_are_counted(folder: Path, tmp_path: Path) -> None:
    """A remark, the object and the page say how many pictures the fit or its calibration used."""
    learned, bank = (content_digest(folder / "good" / f"{number}.png") for number in range(2))
    fill = tiny_fill(training_digests=[learned], memory_bank_digests=[bank])
    detector = Detector(write_bundle(tmp_path / "knowing", fill))
    measured = measure(detector, folder)
    figures = measured.figures()
    assert figures["used_in_fit"] == 2
    assert figures["remarks"][0].startswith(f"2 of {figures['images']} pictures were used in the fit")
    assert figures["remarks"][0] in render_evaluation(measured, detector)


def test_pictures_of_the_calibration_are_known(folder: Path, tmp_path: Path) -> None:
    """New thresholds are too good for the pictures that set them."""
    before = write_bundle(tmp_path / "before", tiny_fill(training_digests=[]))
    for seed in range(9):
        write_picture(tmp_path / "new" / f"{seed}.png", good_picture(50 + seed))
    assert measure(Detector(before), folder).figures()["used_in_fit"] == 0
    shutil.copy(folder / "good" / "0.png", tmp_path / "new" / "known.png")
    after = recalibrate(before, tmp_path / "new", tmp_path / "after").bundle
    assert measure(Detector(after), folder).figures()["used_in_fit"] == 1
    again = recalibrate(after, tmp_path / "new", tmp_path / "again")
    assert (again.images, again.skipped) == (10, ())
