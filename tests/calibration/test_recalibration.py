"""New good pictures set new thresholds: a new version, shared graphs, no picture used in the fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.conformal import ConformalThreshold
from calibration.recalibration import recalibrate
from inspector.bundle.folder import INT8_GRAPH, Bundle, Fill, write_bundle
from inspector.bundle.records import CalibrationMethod
from inspector.bundle.reference import content_digest
from inspector.bundle.store import Store
from inspector.errors import BadImagesError, BundleError, NoImagesError, TooFewImagesError, UsageError
from inspector.scoring import decision
from inspector.scoring.detector import Detector
from tests.inspector.image_samples import write_twelve_bits
from tests.inspector.tiny_bundle import TWELVE_BITS, good_picture, tiny_bundle, tiny_fill, write_picture


def knowing(learned: list[Path]) -> Fill:
    """A small real model that stores the digests of its training pictures."""
    return tiny_fill(training_digests=[content_digest(path) for path in learned])


@pytest.fixture
def normals(tmp_path: Path) -> Path:
    """Twenty-five good pictures, in two folders."""
    folder = tmp_path / "normals"
    for seed in range(25):
        write_picture(
            folder / ("early" if seed < 10 else "late") / f"{seed:02}.png", good_picture(100 + seed)
        )
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with version 1 of a model that was trained on two pictures."""
    learned = [write_picture(tmp_path / "learned" / f"{seed}.png", good_picture(seed)) for seed in range(2)]
    store = Store(tmp_path / "store")
    store.publish("gears", knowing(learned))
    return store


def opened(store: Store) -> Bundle:
    """The promoted version."""
    return Bundle.open(store.path("gears"))


def test_a_new_version_with_new_thresholds(store: Store, normals: Path) -> None:
    """The next version is promoted; its threshold is conformal on the product's scores of the new normals."""
    before = opened(store)
    calls: list[tuple[int, int]] = []
    done = recalibrate(before, normals, store, progress=lambda i, n: calls.append((i, n)))
    after = opened(store)
    assert (after.manifest.version, after.digest) == (2, done.bundle.digest)
    assert (done.images, done.skipped) == (25, ())
    detector = Detector(before)
    inspections = [detector.score(path) for path in sorted(normals.rglob("*.png"))]
    scores = np.array([inspection.score for inspection in inspections], dtype=np.float64)
    expected = ConformalThreshold(0.05).fit(scores[:, None])
    assert after.calibration.threshold == expected.threshold_
    assert after.calibration.heldout_scores == tuple(expected.heldout_scores_.tolist())
    assert after.calibration.center == before.calibration.center
    assert after.calibration.scale == before.calibration.scale
    assert after.calibration.map_limit != before.calibration.map_limit
    assert after.calibration.promise_kept
    assert "25 new good pictures from normals" in after.calibration.source
    assert after.manifest.created == before.manifest.created
    assert calls[-1] == (25, 25)


def test_the_new_version_scores_by_its_thresholds(store: Store, normals: Path) -> None:
    """The new version reproduces the golden images and the held-out scores that it stores."""
    detector = Detector(recalibrate(opened(store), normals, store).bundle)
    detector.verify()
    path = normals / "late" / "20.png"
    inspection = detector.score(path)
    assert inspection.score in detector.calibration.heldout_scores
    assert inspection.verdict == decision.verdict(
        inspection.score or 0.0, detector.calibration.threshold, None
    )


def test_files_are_shared(store: Store, normals: Path) -> None:
    """Everything but thresholds, report and manifest is the same file on disk."""
    before = opened(store)
    after = recalibrate(before, normals, store).bundle
    own = {"calibration.json", "reference.npz", "report.html"}
    for name in before.manifest.files:
        assert (before.path / name).samefile(after.path / name) == (name not in own), name
    assert Bundle.open(before.path).digest == before.digest


def test_the_graph_with_8_bits_goes_along(tmp_path: Path, normals: Path) -> None:
    """A model with an 8-bit graph keeps the graph, and gets thresholds from its 8-bit scores."""
    learned = [content_digest(write_picture(tmp_path / "learned.png", good_picture(0)))]
    fill = tiny_fill(training_digests=learned, int8=True)
    before = write_bundle(tmp_path / "before", fill)
    after = recalibrate(before, normals, tmp_path / "after").bundle
    assert (before.path / INT8_GRAPH).samefile(after.path / INT8_GRAPH)
    detector = Detector(after)
    detector.verify()
    assert detector.precision == "int8"
    scores = [detector.score(path).score for path in normals.rglob("*.png")]
    assert sorted(score or 0.0 for score in scores) == sorted(after.calibration.heldout_scores)


def test_a_report_of_its_own(store: Store, normals: Path) -> None:
    """The report of the new version names its version, the new promise and the pictures behind it."""
    after = recalibrate(opened(store), normals, store, max_false_reject=0.1).bundle
    page = (after.path / "report.html").read_text(encoding="utf-8")
    assert "version 2" in page
    assert "At most 10 % of good parts" in page
    assert "Recalibrated with 25 new good pictures; the networks are those of version 1." in page
    assert "The threshold of version 1 was 20.00. Different now: other pictures: 25 new good pictures" in page
    assert "another rate: at most 10 % of good parts may fail instead of 5 %" in page
    assert "good pictures: " in page
    assert "threshold from 25 new good pictures" in page
    assert "25 scores of new good pictures that the model has not learned from" in page
    assert after.calibration.method == CalibrationMethod.NEW


def test_pictures_in_the_memory_bank_do_not_count(normals: Path, tmp_path: Path) -> None:
    """Pictures in the memory bank are left out, also at the next recalibration."""
    stored = content_digest(write_picture(normals / "heldout.png", good_picture(7)))
    before = write_bundle(tmp_path / "before", tiny_fill(training_digests=[], memory_bank_digests=[stored]))
    after = recalibrate(before, normals, tmp_path / "after")
    assert (after.images, after.skipped) == (25, (("heldout.png", "used in the fit"),))
    assert recalibrate(after.bundle, normals, tmp_path / "again").skipped == after.skipped


def test_what_it_learned_from_does_not_count(store: Store, normals: Path, tmp_path: Path) -> None:
    """Training pictures are left out under any name, and exact copies count once."""
    write_picture(normals / "renamed.png", good_picture(0))
    write_picture(normals / "zz-again.png", good_picture(101))
    done = recalibrate(opened(store), normals, store)
    assert done.images == 25
    assert done.skipped == (("renamed.png", "used in the fit"), ("zz-again.png", "exact copy"))


def test_rates(store: Store, normals: Path) -> None:
    """The rate asked for at the fit stays unless another is given; review is off unless asked for."""
    first = recalibrate(opened(store), normals, store).bundle.calibration
    assert (first.asked_false_reject_rate, first.review_threshold) == (0.05, None)
    second = recalibrate(
        opened(store), normals, store, max_false_reject=0.1, max_review=0.2
    ).bundle.calibration
    assert second.asked_false_reject_rate == 0.1
    assert second.review_threshold is not None
    assert second.review_threshold < second.threshold < first.threshold
    third = recalibrate(opened(store), normals, store).bundle
    assert (third.manifest.version, third.calibration.asked_false_reject_rate) == (4, 0.1)


def test_too_few_for_the_rate(store: Store, normals: Path) -> None:
    """With too few pictures, the calibration promises a larger rate and says how many more are needed."""
    calibration = recalibrate(opened(store), normals / "early", store).bundle.calibration
    assert not calibration.promise_kept
    assert calibration.promised_false_reject_rate == pytest.approx(1 / 11)
    assert calibration.images_missing == 9


def test_to_a_path(normals: Path, tmp_path: Path) -> None:
    """A path receives the bundle, one version higher; an existing path is never overwritten."""
    source = tiny_bundle(tmp_path / "source")
    with pytest.raises(BundleError, match="does not name the pictures"):
        recalibrate(source, normals, tmp_path / "copy")
    store = Store(tmp_path / "other")
    before = store.publish("gears", knowing([]))
    after = recalibrate(before, normals, tmp_path / "new" / "bundle").bundle
    assert (after.path, after.manifest.version) == (tmp_path / "new" / "bundle", 2)
    assert store.versions("gears") == [1]
    with pytest.raises(UsageError, match="already exists"):
        recalibrate(before, normals, after.path)


def test_damaged_pictures(store: Store, normals: Path) -> None:
    """Damaged pictures are left out and named; with `strict` the folder is refused and nothing written."""
    (normals / "late" / "empty.png").write_bytes(b"")
    (normals / "late" / "text.png").write_text("not a picture")
    with pytest.raises(BadImagesError, match=r"2 pictures .* late/empty.png \(empty\), late/text.png"):
        recalibrate(opened(store), normals, store, strict=True)
    assert store.versions("gears") == [1]
    done = recalibrate(opened(store), normals, store)
    assert [name for name, _ in done.skipped] == ["late/empty.png", "late/text.png"]


def test_a_long_list_of_skipped_files_is_cut_in_the_report(store: Store, normals: Path) -> None:
    """The report names the first twenty files that were left out, and counts the others."""
    for number in range(23):
        (normals / f"zero-{number:02}.png").write_bytes(b"")
    page = (recalibrate(opened(store), normals, store).bundle.path / "report.html").read_text(
        encoding="utf-8"
    )
    assert "zero-19.png was left out: empty." in page
    assert "zero-20.png" not in page
    assert "3 more were left out." in page


def test_too_few_pictures(store: Store, normals: Path, tmp_path: Path) -> None:
    """Fewer than five usable pictures, or none, are refused with counts, and nothing is written."""
    few = tmp_path / "few"
    for seed in range(6):
        write_picture(few / f"{seed}.png", good_picture(seed))
    with pytest.raises(
        TooFewImagesError, match=r"6 pictures in '.*few', 4 usable: 2 used in the fit, such as .*; at least 5"
    ):
        recalibrate(opened(store), few, store)
    (tmp_path / "none").mkdir()
    with pytest.raises(NoImagesError, match="holds no picture"):
        recalibrate(opened(store), tmp_path / "none", store)
    assert store.versions("gears") == [1]


def test_wrong_rates_are_refused_before_any_work(store: Store, tmp_path: Path) -> None:
    """A rate out of range is refused before the folder is read."""
    with pytest.raises(UsageError, match="--max-false-reject is 2"):
        recalibrate(opened(store), tmp_path / "nothing", store, max_false_reject=2)


def test_the_models_full_scale(tmp_path: Path) -> None:
    """New pictures of 12 bits set the threshold of their 8 bits; the new version keeps the scale."""
    store = Store(tmp_path / "store")
    eight, deep = tmp_path / "eight", tmp_path / "deep"
    for seed in range(9):
        grey = np.repeat(good_picture(100 + seed)[..., :1], 3, axis=2)
        write_picture(eight / f"{seed}.png", grey)
        write_twelve_bits(deep / f"{seed}.png", grey)
    store.publish("gears", tiny_fill(training_digests=[1], contract=TWELVE_BITS))
    before = opened(store)
    expected = recalibrate(before, eight, store)
    done = recalibrate(before, deep, store)
    assert done.bundle.calibration.threshold == expected.bundle.calibration.threshold
    assert done.bundle.manifest.image == TWELVE_BITS
    assert (expected.scale.other_bits, done.scale.in_words()) == (9, [])
    write_twelve_bits(deep / "bright.png", good_picture(300), brighter=3)
    again = recalibrate(before, deep, store)
    assert again.scale.clipped == 1
    said = "1 of 10 pictures: pixels brighter than the model's full scale 4095 were clipped"
    assert again.scale.in_words() == [said]
    assert said.replace("'", "&#39;") in (again.bundle.path / "report.html").read_text()
