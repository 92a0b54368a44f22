"""The choice of weights on all sets but one, by hand and against second implementations."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import comb
from pathlib import Path

import numpy as np
import pytest

from calibration.conformal import ConformalThreshold
from calibration.image_metrics import auroc
from inspector.bundle.records import Fusion
from tests.benchmarks.leave_one_out import choose, figures, grouped, main, rules, table
from tests.benchmarks.scores import ComponentScores, write_scores

Output = pytest.CaptureFixture[str]
NAMES = ("form", "colour")
ONLY = [{"form": 1.0}, {"form": 0.5, "colour": 0.5}, {"colour": 1.0}]
USEFUL, USELESS = (0.0, 1.0, 2.0, 3.0), (1.0, 0.0, 1.0, 0.0)  # scores of two good, two defective pictures


def scores(name: str, form: tuple[float, ...], colour: tuple[float, ...], seed: int = 0) -> ComponentScores:
    """A fit with two components; its normal pictures score 0 to 1.9."""
    normal = np.linspace(0, 1.9, 20)
    return ComponentScores(
        components=NAMES,
        pictures=("good/0.png", "good/1.png", "dent/0.png", "dent/1.png"),
        test=np.array([form, colour]).T,
        normal=np.column_stack([normal, normal]),
        fusion=Fusion(center=(), scale=(), fused=NAMES, weights=(0.5, 0.5)),
        rate=0.05,
        request={"set": name, "effort": "quick", "seed": seed, "source": "code"},
    )


@pytest.fixture
def by_set() -> dict[str, list[ComponentScores]]:
    """Three sets, on each of which one component is useful and the other is not."""
    return {
        "bolts": [scores("bolts", USEFUL, USELESS)],
        "nuts": [scores("nuts", USEFUL, USELESS)],
        "paint": [scores("paint", USELESS, USEFUL)],
    }


def test_rules_are_the_grid_of_all_weights_that_sum_to_one() -> None:
    """There are as many as products of the steps that sum to 1, and no two are equal."""
    found = rules(("a", "b", "c", "d"), 0.2)
    expected = [parts for parts in product(range(6), repeat=4) if sum(parts) == 5]
    assert len(found) == comb(8, 3) == len(expected)
    made = {tuple(round(5 * rule.get(name, 0)) for name in "abcd") for rule in found}
    assert made == set(expected)
    assert all(weight > 0 for rule in found for weight in rule.values())


def test_each_set_is_left_out_of_its_own_choice(by_set: dict[str, list[ComponentScores]]) -> None:
    """By hand: without paint the form alone is best, which is useless on paint."""
    found = figures(by_set, ONLY).auroc
    np.testing.assert_allclose(found, [[1, 1, 0.5], [1, 1, 0.5], [0.5, 1, 1]])
    assert [choose(ONLY, np.delete(found, i, axis=0)) for i in range(3)] == [1, 1, 0]
    assert choose(ONLY, found) == 1
    lines = [line.split() for line in table(by_set, ONLY).splitlines()]
    assert lines[1][:4] == ["bolts", "1.000", "1.000", "1.000"]
    assert lines[3][:4] == ["paint", "1.000", "1.000", "0.500"]
    assert lines[3][-2:] == ["form", "1"]
    assert lines[4][:4] == ["mean", "1.000", "1.000", "0.833"]
    assert "chosen on all sets: form 0.5, colour 0.5" in table(by_set, ONLY)
    assert "0.833: −.167 from the choice on all sets, −.167 from the shipped weights" in table(by_set, ONLY)


def test_a_near_rule_with_fewer_components_may_win() -> None:
    """Within a tolerance the number of components decides, then the mean."""
    worth = np.array([[0.90, 0.91, 0.89]])
    assert [choose(ONLY, worth, within) for within in (0.0, 0.01, 0.02)] == [1, 0, 0]


def test_the_choice_may_be_by_what_is_missed(by_set: dict[str, list[ComponentScores]]) -> None:
    """The form alone passes no defect of bolts and nuts, which mixed with colour it does."""
    found = figures(by_set, ONLY).missed
    np.testing.assert_allclose(found, [[0, 1, 1], [0, 1, 1], [1, 1, 0]])
    assert "chosen on all sets: form 1\n" in table(by_set, ONLY, by="missed")


def test_figures_agree_with_those_of_an_evaluation() -> None:
    """AUROC with ties and infinite scores, and the threshold, are those of `calibration`."""
    rng = np.random.default_rng(0)
    one = scores("bolts", USEFUL, USELESS)
    test, normal = rng.normal(size=(200, 2)).round(1), rng.normal(size=(70, 2))
    test[:3] = np.inf
    one = ComponentScores(
        NAMES,
        tuple(f"{'dent' if i % 3 else 'good'}/{i}.png" for i in range(200)),
        test,
        normal,
        one.fusion.model_copy(update={"floor": -0.5}),
        0.05,
        one.request,
    )
    rule = {"form": 0.25, "colour": 0.75}
    fused, of_normal = one.fused(rule)
    limit = ConformalThreshold(0.05).fit(of_normal[:, np.newaxis]).threshold_
    found = figures({"bolts": [one]}, [rule])
    assert found.auroc[0, 0] == pytest.approx(auroc(fused[~one.defective], fused[one.defective]))
    assert found.missed[0, 0] == (fused[one.defective] <= limit).mean()


def test_seeds_of_a_set_count_as_one_set(by_set: dict[str, list[ComponentScores]]) -> None:
    """A set's figure is the mean over its seeds."""
    by_set["paint"].append(scores("paint", USEFUL, USEFUL, seed=1))
    np.testing.assert_allclose(figures(by_set, ONLY).auroc[2], [0.75, 1, 1])


def test_the_command_reads_the_files(
    by_set: dict[str, list[ComponentScores]], tmp_path: Path, capsys: Output
) -> None:
    """The table of each effort is printed, of all components or of some."""
    for name, fits in by_set.items():
        write_scores(tmp_path / "quick" / f"{name}-0.npz", fits[0])
    assert main([str(tmp_path), "--step", "0.5"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("quick: 3 sets, seeds 0\nrules: 3, of form, colour, in steps of 0.5\n")
    assert table(by_set, rules(NAMES, 0.5)) in said
    assert main([str(tmp_path), "--components", "colour"]) == 0
    assert "rules: 1, of colour" in capsys.readouterr().out
    assert main([str(tmp_path), "--components", "light"]) == 2
    assert "no component light; the fits have form, colour" in capsys.readouterr().err


def test_a_set_without_defects_takes_no_part(by_set: dict[str, list[ComponentScores]]) -> None:
    """A set with good pictures alone has no AUROC to choose by."""
    good = replace(scores("good", USEFUL, USELESS), pictures=tuple(f"good/{i}.png" for i in range(4)))
    fits = [good, *(fit for fits in by_set.values() for fit in fits)]
    assert list(grouped(fits)["quick"]) == ["bolts", "nuts", "paint"]


def test_scores_that_do_not_suffice_are_refused(tmp_path: Path, capsys: Output) -> None:
    """No scores, those of one set, and those of different code give an error with a hint."""
    assert main([str(tmp_path)]) == 2
    write_scores(tmp_path / "quick" / "bolts-0.npz", scores("bolts", USEFUL, USELESS))
    assert main([str(tmp_path)]) == 2
    other = scores("nuts", USEFUL, USELESS)
    other.request["source"] = "other code"
    write_scores(tmp_path / "quick" / "nuts-0.npz", other)
    assert main([str(tmp_path)]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert errors == [
        "error: no scores in this folder",
        "error: quick: scores of one set; at least two are needed",
        "error: quick: scores of different code",
    ]
