"""The kernel two-sample test keeps its false-alarm rate, sees what changed, and says when it cannot."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from calibration.recalibration import recalibrate
from inspector.bundle.folder import Bundle
from inspector.bundle.records import Manifest
from inspector.bundle.reference import content_digest
from inspector.bundle.store import Store
from inspector.drift import IMQ_SCALES, compare, fewest, latents, mmd_test
from inspector.errors import TooFewImagesError
from inspector.scoring.detector import Detector
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import good_picture, tiny_bundle, tiny_fill, write_picture


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the statistic with loops, from its definition."""
    pooled = np.concatenate([x, y])
    distances = np.square(pooled[:, None] - pooled[None]).sum(2)
    c = np.median([distances[i, j] for i in range(len(pooled)) for j in range(i)])

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(sum(s * c / (s * c + np.square(a - b).sum()) for s in IMQ_SCALES))

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(part) for j, b in enumerate(part) if i != j])
        for part in (x, y)
    ]
    return float(within[0] + within[1] - 2 * np.mean([kernel(a, b) for a in x for b in y]))


@pytest.mark.parametrize(("n", "m", "shift"), [(7, 5, 0.0), (4, 9, 0.7), (2, 2, 3.0)])
def test_statistic_is_the_definition(n: int, m: int, shift: float) -> None:
    """The statistic equals a loop over pairs for all sizes, and far from the origin."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 3)) + 1000, rng.normal(size=(m, 3)) + 1000 + shift
    assert mmd_test(x, y).statistic == pytest.approx(by_hand(x, y), abs=1e-9)


def test_p_value_is_that_of_all_permutations() -> None:
    """With few rows every split can be computed; the sampled p-value is close to the exact one."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(3, 2)) + 1
    pooled, seen = np.concatenate([x, y]), by_hand(x, y)
    splits = {frozenset(order[:4]) for order in permutations(range(7))}
    reached = sum(
        by_hand(pooled[sorted(split)], pooled[[i for i in range(7) if i not in split]]) >= seen - 1e-9
        for split in splits
    )
    found = mmd_test(x, y, n_permutations=20_000).p_value
    assert found == pytest.approx(reached / len(splits), abs=0.015)


def test_false_alarms_are_as_rare_as_promised() -> None:
    """For two samples of one distribution, the share of p-values below u is about u, and not more."""
    rng = np.random.default_rng(1)
    values = np.array(
        [
            mmd_test(rng.normal(size=(20, 4)), rng.normal(size=(15, 4)), n_permutations=199, seed=i).p_value
            for i in range(400)
        ]
    )
    for level in (0.05, 0.2, 0.5):
        assert binom.ppf(0.0005, 400, level) <= (values <= level).sum() <= binom.ppf(0.9995, 400, level)


@pytest.mark.parametrize("change", ["mean", "spread", "shape"])
def test_changes_are_found(change: str) -> None:
    """A different mean, a different spread, and clusters with the same mean and spread are found."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(150, 2)), rng.normal(size=(150, 2))
    if change == "mean":
        y = y + 0.8
    elif change == "spread":
        y = y * 2
    else:
        y = np.sign(y) + 0.05 * rng.normal(size=y.shape)
    assert mmd_test(x, y).drifted


def test_same_seed_same_answer() -> None:
    """The same call gives the same p-value in any chunks, and identical rows give the largest."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    assert mmd_test(x, y, seed=5) == mmd_test(x, y, seed=5)
    assert mmd_test(np.ones((5, 2)), np.ones((4, 2))).p_value == 1.0


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.zeros(5), np.zeros((5, 1)), "x has shape"),
        (np.zeros((5, 1)), np.zeros((1, 1)), "y has shape"),
        (np.zeros((5, 2)), np.zeros((5, 3)), "must agree"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), "not finite"),
    ],
)
def test_wrong_samples_are_refused(x: np.ndarray, y: np.ndarray, said: str) -> None:
    """Wrong shapes and numbers are named."""
    with pytest.raises(ValueError, match=said):
        mmd_test(x, y)
    with pytest.raises(ValueError, match="n_permutations"):
        mmd_test(np.zeros((3, 1)), np.zeros((3, 1)), n_permutations=0)


def test_fewest() -> None:
    """The smallest number gives at least 200 splits; against one normal no number suffices."""
    assert fewest(19) == 2  # 21 choose 2 is 210
    assert fewest(5) == 5  # 10 choose 5 is 252, 9 choose 4 is 126
    assert fewest(1) is None


# --- with a model ---------------------------------------------------------------------------


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Write pictures like the normals, brighter pictures, and a file that is no picture."""
    for seed in range(30):
        write_picture(tmp_path / "days/monday" / f"{seed}.png", good_picture(500 + seed))
        bright = np.clip(good_picture(700 + seed).astype(int) + 25, 0, 255).astype(np.uint8)
        write_picture(tmp_path / "days/tuesday" / f"{seed}.png", bright)
    (tmp_path / "days/monday/broken.png").write_bytes(b"no picture")
    return tmp_path / "days"


def test_latents_are_those_of_single_pictures(tmp_path: Path, days: Path) -> None:
    """Batches do not change the latents; unreadable files are counted."""
    detector = Detector(tiny_bundle(tmp_path / "m"))
    paths = sorted((days / "monday").iterdir())
    rows, unreadable = latents(detector, paths)
    readable = [path for path in paths if path.name != "broken.png"]
    single = [detector.raw(detector.prepare(path)[1][np.newaxis]).latent[0] for path in readable]
    np.testing.assert_allclose(rows, single, rtol=1e-5)
    assert unreadable == [("broken.png", "unknown_format")]


def test_too_few_pictures(tmp_path: Path) -> None:
    """A number of pictures that can never show drift is refused, with the number that can."""
    detector = Detector(tiny_bundle(tmp_path / "m"))
    with pytest.raises(TooFewImagesError, match="at least 2 pictures are needed"):
        compare(detector.bundle, np.zeros((1, 3)))


def test_recalibration_moves_the_reference(tmp_path: Path, days: Path) -> None:
    """After a calibration with Tuesday's pictures, Tuesday is normal and Monday has drifted."""

    def knowing(folder: Path) -> Manifest:
        manifest = tiny_fill()(folder)
        with np.load(folder / "reference.npz") as before:
            kept = {name: before[name] for name in before.files}
        digests = np.array([content_digest(folder / "detector.onnx")], np.uint64)
        np.savez(folder / "reference.npz", allow_pickle=False, **kept, training_digests=digests)
        return manifest

    store = Store(tmp_path / "store")
    first = store.publish("tiny", knowing)
    second = recalibrate(first, days / "tuesday", store).bundle
    assert _drifted(first, days) == {"monday": False, "tuesday": True}
    assert _drifted(second, days) == {"monday": True, "tuesday": False}


def _drifted(bundle: Bundle, days: Path) -> dict[str, bool]:
    detector = Detector(bundle)
    return {
        folder.name: compare(detector.bundle, latents(detector, sorted(folder.glob("*.png")))[0]).drifted
        for folder in days.iterdir()
    }


def test_command(command: Command, store: Store, days: Path) -> None:
    """The command prints JSON or a table; drift is not an error."""
    store.publish("tiny", tiny_fill())
    quiet = command("drift", days / "monday", "--model", "tiny")
    assert (quiet.code, quiet.err) == (0, "")
    found = json.loads(quiet.out)
    assert (found["drifted"], found["images"], found["invalid"], found["reference_images"]) == (
        False,
        30,
        1,
        19,
    )
    loud = command("drift", days / "tuesday", "--model", "tiny@1", "--format", "json")
    assert json.loads(loud.out)["drifted"] is True
    assert 0 < json.loads(loud.out)["p_value"] < 0.01
    table = command("drift", days / "monday", "--model", "tiny", "--format", "table").out
    assert "30 pictures against 19 normals, 1 could not be read" in table
    assert "no drift found" in table
    assert (
        "drifted: these pictures differ"
        in command("drift", days / "tuesday", "--model", "tiny", "--format", "table").out
    )


def test_command_without_pictures(command: Command, store: Store, tmp_path: Path) -> None:
    """A folder without pictures gives one line and one hint, before the model is opened."""
    (tmp_path / "empty").mkdir()
    for name, said in (("empty", "holds no picture"), ("missing", "does not exist")):
        ended = command("drift", tmp_path / name, "--model", "tiny")
        assert ended.code == 4
        assert said in ended.err
        assert "hint:" in ended.err
    one = write_picture(tmp_path / "one/0.png", good_picture(1))
    store.publish("tiny", tiny_fill())
    ended = command("drift", one.parent, "--model", "tiny")
    assert ended.code == 4
    assert "1 readable pictures against 19 held-out normals cannot show drift" in ended.err


def test_pictures_that_the_model_knows_are_counted(command: Command, store: Store, days: Path) -> None:
    """The fit used one of them, so a test that finds no drift says less."""
    known = next(path for path in sorted((days / "monday").glob("*.png")) if path.stat().st_size > 100)
    store.publish("knowing", tiny_fill(training_digests=[content_digest(known)]))
    ended = command("drift", days / "monday", "--model", "knowing")
    assert json.loads(ended.out)["used_in_fit"] == 1
    assert "1 of 31 pictures was used in the fit or its calibration: " in ended.err
