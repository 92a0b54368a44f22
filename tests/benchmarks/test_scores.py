"""The kept component scores give the figures of the fit that they come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.conformal import ConformalThreshold
from calibration.image_metrics import auroc
from inspector.bundle.records import Calibration
from inspector.errors import InspectorError
from tests.benchmarks.measurement import code, measured
from tests.benchmarks.request import Request
from tests.benchmarks.result import Stored
from tests.benchmarks.scores import ComponentScores, normal_scores, read_all, read_scores, write_scores


@pytest.fixture
def scores(results: Path) -> ComponentScores:
    """Those of the shared fit."""
    (found,) = read_all(results / "scores")
    return found


def test_the_models_own_weights_give_its_figures(scores: ComponentScores, stored: Stored) -> None:
    """AUROC and share missed, with a threshold from the normal pictures, are those of the result."""
    test, normal = scores.fused(scores.weights)
    assert len(normal) == stored.result["threshold_images"]
    assert len(test) == stored.result["images"]
    good, defective = test[~scores.defective], test[scores.defective]
    assert stored.result["image"]["auroc"] == pytest.approx(auroc(good, defective), rel=1e-3)
    limit = ConformalThreshold(scores.rate)
    if len(normal) < 1 / scores.rate - 1:
        with pytest.warns(match="cannot promise"):
            limit.fit(normal[:, np.newaxis])
    else:
        limit.fit(normal[:, np.newaxis])
    assert stored.result["image"]["threshold"] == pytest.approx(limit.threshold_, rel=1e-3)
    assert stored.result["image"]["miss_rate"] == pytest.approx(
        (defective <= limit.threshold_).mean(), rel=1e-3
    )


def test_each_component_alone_gives_its_auroc(scores: ComponentScores, stored: Stored) -> None:
    """The columns are the components of the result, with its figures, and the pictures have their kinds."""
    assert set(scores.components) == set(stored.result["components"])
    for name, values in zip(scores.components, scores.test.T, strict=True):
        found = auroc(values[~scores.defective], values[scores.defective])
        assert stored.result["components"][name]["auroc"] == pytest.approx(found, rel=1e-3)
    kinds = {name.partition("/")[0] for name in scores.pictures}
    assert kinds == {"good", *stored.result["kinds"]}


def test_a_file_gives_back_what_was_written(scores: ComponentScores, results: Path, tmp_path: Path) -> None:
    """Every value is read as it was written, and equal scores give equal bytes."""
    path = tmp_path / "effort" / "tiles-0.npz"
    write_scores(path, scores)
    again = read_scores(path)
    assert again is not None
    np.testing.assert_array_equal(again.test, scores.test)
    np.testing.assert_array_equal(again.normal, scores.normal)
    assert (again.fusion, again.request) == (scores.fusion, scores.request)
    assert path.read_bytes() == (results / "scores" / "steps-2" / "flange-0.npz").read_bytes()


def test_a_result_without_its_scores_is_measured_again(
    request_: Request, results: Path, scores: ComponentScores, tmp_path: Path
) -> None:
    """Where the scores are asked for and missing, the fit is made again, with the same result."""
    before = request_.place(results).read_bytes()
    place = request_.place(tmp_path)
    place.parent.mkdir(parents=True)
    place.write_bytes(before)
    measured(request_, code(), tmp_path, scores=tmp_path / "scores")
    assert place.read_bytes() == before
    again = read_scores(request_.place(tmp_path / "scores").with_suffix(".npz"))
    assert again is not None
    np.testing.assert_array_equal(again.test, scores.test)


def test_an_invalid_picture_scores_highest_by_every_rule(scores: ComponentScores) -> None:
    """Its score is infinite, also where a component has no weight."""
    test = scores.test.copy()
    test[3] = np.inf
    changed = replace(scores, test=test)
    for weights in ({scores.components[0]: 1.0}, dict.fromkeys(scores.components, 0.5)):
        assert np.isposinf(changed.fused(weights)[0]).nonzero()[0].tolist() == [3]


def test_scores_of_other_pictures_are_refused(scores: ComponentScores) -> None:
    """Records whose fused scores the calibration does not hold are not those of its pictures."""
    parts = dict(zip(scores.components, scores.normal.T, strict=True))
    _, normal = scores.fused(scores.weights)
    calibration = Calibration.model_construct(
        **scores.fusion.model_dump(), heldout_scores=tuple(sorted(normal.tolist()))
    )
    other = {name: values[1:] for name, values in parts.items()}
    assert normal_scores([other, parts, other], calibration) is parts
    with pytest.raises(InspectorError, match="did not score"):
        normal_scores([other], calibration)
