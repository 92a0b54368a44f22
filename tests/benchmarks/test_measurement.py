"""A measurement gives the same result each time, and is not repeated."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import models
from calibration.conformal import beta_binomial_interval
from inspector.errors import DatasetError
from models.defects import corruption
from tests.benchmarks.measurement import code, measure, measured
from tests.benchmarks.request import Request
from tests.benchmarks.result import Stored, timing_place


@pytest.fixture
def own(results: Path, tmp_path: Path) -> Path:
    """A copy of the shared results that a test may change."""
    return shutil.copytree(results, tmp_path / "results")


def test_a_fit_made_again_gives_the_same_bytes(request_: Request, results: Path, own: Path) -> None:
    """A result of other code is replaced; the same seed and steps write the same bytes.

    The timing differs, and holds the figure and the commit of the replaced result.
    """
    path, was = request_.place(own), request_.place(results).read_bytes()
    other = json.loads(was)
    other["request"]["source"], other["commit"]["id"], other["image"]["auroc"] = "other", "c0ffee", 0.1234
    path.write_text(json.dumps(other))
    found = measured(request_, code(), own)
    assert path.read_bytes() == was
    assert found.timing["previous"] == {"auroc": 0.1234, "commit": "c0ffee"}
    assert timing_place(path).read_bytes() != timing_place(request_.place(results)).read_bytes()


def test_what_was_measured_is_not_measured_again(request_: Request, own: Path) -> None:
    """The same request reads its result and leaves the timing unchanged."""
    before = timing_place(request_.place(own)).read_bytes()
    measured(request_, code(), own)
    assert timing_place(request_.place(own)).read_bytes() == before


def test_what_is_asked_for_names_all_that_decides(request_: Request) -> None:
    """Another seed, effort, option, number of threads, code or picture is another request."""
    asked = request_.asked("code")
    picture = request_.folder / "test" / "good" / "000.png"
    before = picture.read_bytes()
    others = [
        replace(request_, seed=1).asked("code"),
        replace(request_, threads=2).asked("code"),
        replace(request_, changes={}).asked("code"),
        replace(request_, effort=replace(request_.effort, steps=3)).asked("code"),
        request_.asked("other code"),
    ]
    picture.write_bytes(before + b" ")
    others.append(request_.asked("code"))
    picture.write_bytes(before)
    assert all(other != asked for other in others)
    assert request_.asked("code") == asked


def test_a_result_holds_the_figures(stored: Stored) -> None:
    """A result holds counts, image and pixel figures, figures of components, and the promise."""
    result = stored.result
    assert (result["images"], result["good"], result["steps"]) == (16, 6, 2)
    assert (result["options"]["image_size"], result["options"]["width"]) == (64, 4)
    assert result["training_images"] == result["threshold_images"] == 40
    assert 0 <= result["image"]["auroc"] <= 1
    assert set(result["pixel"]) == {"auroc", "aupro", "masks"}
    assert {"latent_mmd", "reconstruction"} <= set(result["components"])
    rejects = result["false_rejects"]
    limits = beta_binomial_interval(result["threshold_images"], 6, rejects["promised_rate"], 0.99)
    assert (rejects["of"], rejects["at_most"]) == (6, limits[1])
    assert rejects["count"] == round(6 * result["image"]["false_reject_rate"])


def test_a_timing_holds_what_differs(stored: Stored) -> None:
    """Durations, threads, machine and date are in the timing and nowhere else."""
    timing = stored.timing
    assert timing["fit_seconds"] > 0
    assert timing["milliseconds_per_image"] > 0
    assert timing["threads"] == 1
    assert timing["machine"]["cores"] > 0
    assert not {"fit_seconds", "milliseconds_per_image", "machine", "date"} & set(stored.result)


def test_constants_are_changed_for_the_time_of_a_fit(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit sees the other value, which the constant loses again, even where the fit fails."""
    before = corruption.CORRUPTED_SHARE
    seen = []

    def fit(*_arguments: object, **_options: object) -> Path:
        seen.append(corruption.CORRUPTED_SHARE)
        raise DatasetError("no picture", hint="none")

    monkeypatch.setattr(models, "fit", fit)
    changed = replace(request_, constants={"models.defects.corruption.CORRUPTED_SHARE": 0.0})
    assert changed.asked("code") != request_.asked("code")
    with pytest.raises(DatasetError):
        measure(changed, tmp_path)
    assert seen == [0.0]
    assert before == corruption.CORRUPTED_SHARE
    same = replace(request_, constants={"models.defects.corruption.CORRUPTED_SHARE": before})
    with pytest.raises(AssertionError, match=r"is 0\.8 already"):
        measure(same, tmp_path / "again")
