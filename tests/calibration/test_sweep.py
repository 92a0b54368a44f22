"""The recommended fit of a sweep, and the chart of all fits."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.image_metrics import auroc
from calibration.sweep import Trial, chart, doubts, is_told_apart, recommend


def trial(
    latent_dim: int, error: float, p_value: float = 0.5, *, auroc: float | None = None, width: int = 64
) -> Trial:
    """One fit."""
    figures = {"heldout_squared_error": error, "prior_match_p_value": p_value}
    return Trial(latent_dim, width, 100.0, "folder", figures, auroc)


def test_detection_decides_where_it_was_measured() -> None:
    """The smallest fit with an AUROC within 0.01 of the best is taken, whatever its held-out error."""
    trials = [trial(2, 9, auroc=0.7), trial(8, 8, auroc=0.895), trial(64, 1, auroc=0.9)]
    chosen, reason = recommend(trials)
    assert chosen.latent_dim == 8
    assert "0.895" in reason
    assert "0.900" in reason


def test_a_prior_match_comes_before_a_lower_error() -> None:
    """Without labels, the lowest error wins among the fits whose latents match the prior."""
    chosen, reason = recommend([trial(2, 90), trial(8, 50), trial(64, 10, 0.001)])
    assert chosen.latent_dim == 8
    assert "match the prior" in reason


def test_what_is_close_is_as_good_and_the_smaller_is_taken() -> None:
    """Among errors within 5 % of the lowest, fewer dimensions win, then fewer channels."""
    trials = [trial(64, 50), trial(8, 52), trial(8, 51, width=256), trial(2, 60)]
    assert recommend(trials)[0] == trials[1]


def test_without_any_match_the_error_decides_and_the_reason_says_so() -> None:
    """If no fit matches the prior, the lowest error of all fits wins, and the reason says so."""
    chosen, reason = recommend([trial(2, 90, 0.001), trial(8, 50, 0.002)])
    assert chosen.latent_dim == 8
    assert "no fit's held-out latents match the prior" in reason


# --- how much the recommendation means ----------------------------------------------------------


def reconstructing(name: str, errors: NDArray[np.float64]) -> Trial:
    """A fit with these errors on held-out pictures."""
    figures = {"heldout_squared_error": float(errors.mean()), "prior_match_p_value": 0.5}
    return Trial(2, 64, 100.0, f"sweep/{name}", figures, errors=tuple(errors))


def detecting(name: str, good: NDArray[np.float64], defect: NDArray[np.float64]) -> Trial:
    """A fit with these scores of labelled pictures."""
    return Trial(
        2,
        64,
        100.0,
        f"sweep/{name}",
        {"heldout_squared_error": 1.0},
        auroc(good, defect),
        good_scores=tuple(good),
        defect_scores=tuple(defect),
    )


def test_one_fit_needs_no_doubt() -> None:
    """Without a choice there is nothing to doubt."""
    assert doubts([reconstructing("d2", np.ones(4))], seed=0) == []


def test_errors_that_chance_explains() -> None:
    """A difference far smaller than its spread is chance; a small one that every picture shows is none."""
    difficulty = np.random.default_rng(0).gamma(4, 10, size=19)  # pictures differ much more than fits
    best = reconstructing("best", difficulty)
    chance = reconstructing("chance", difficulty + np.resize([5.0, -4.0], 19))
    worse = reconstructing("worse", difficulty + np.resize([2.5, 1.5], 19))
    assert chance.error > best.error
    said = doubts([best, chance, worse], seed=3)
    assert said[0].startswith("19 held-out pictures cannot tell chance from the best fit, best: ")
    assert "--seed 4 and another --output" in said[1]
    assert len(doubts([best, worse], seed=3)) == 1


def test_detection_that_chance_explains() -> None:
    """The same for the AUROC: fits that rank nearly all pictures alike are told apart by fewer pictures."""
    rng = np.random.default_rng(1)
    good, defect = rng.normal(0, 1, 40), rng.normal(2, 1, 30)
    best = detecting("best", good, defect)
    chance = detecting("chance", good + rng.normal(0, 0.3, 40), defect + rng.normal(0, 0.3, 30))
    blind = detecting("blind", good, rng.normal(0, 1, 30))
    assert blind.auroc is not None
    said = doubts([best, chance, blind], seed=0)
    assert said[0].startswith("40 good and 30 defective pictures cannot tell ")
    assert "blind" not in said[0]
    assert len(doubts([best, blind], seed=0)) == 1


def test_two_perfect_fits_are_not_told_apart() -> None:
    """Without any mistake there is no difference, and no spread either; an invalid picture counts highest."""
    good, defect = np.arange(5.0), np.arange(10.0, 15.0)
    one, other = detecting("one", good, defect), detecting("other", 2 * good, 2 * defect)
    assert is_told_apart(one, other) is False
    invalid = Trial(2, 64, 1.0, "x", {}, 1.0, good_scores=tuple(good), defect_scores=(None,) * 5)
    assert is_told_apart(one, invalid) is False


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_the_interval_errs_in_one_of_twenty(chance: float) -> None:
    """Of fits that differ by chance alone, about 5 % are told apart; a real difference is found."""
    rng = np.random.default_rng(2)
    told = []
    for _ in range(400):
        errors = rng.gamma(4, 10, size=19)
        noise = rng.normal(0 if chance else 3, 3, size=19)
        told.append(is_told_apart(reconstructing("a", errors), reconstructing("b", errors + noise)))
    share = sum(map(bool, told)) / 400
    assert 0.02 < share < 0.09 if chance else share > 0.95


def test_too_little_is_known() -> None:
    """One picture tells nothing apart; fits without recorded errors are not judged."""
    assert is_told_apart(reconstructing("a", np.array([1.0])), reconstructing("b", np.array([9.0]))) is False
    old = Trial(2, 64, 1.0, "x", {"heldout_squared_error": 1.0})
    assert is_told_apart(old, old) is None


def test_fits_that_learned_nothing() -> None:
    """If no fit beats the mean picture, the first sentence says so."""
    blank = [
        Trial(dims, 8, 1.0, f"d{dims}", {"heldout_squared_error": 9.0, "error_reduction": -0.1})
        for dims in (2, 4)
    ]
    assert doubts(blank, seed=0)[0].startswith("No fit reproduces held-out pictures better than the mean")


def test_many_equal_fits_are_counted() -> None:
    """A sentence names five fits, and counts the others."""
    errors = np.random.default_rng(5).gamma(4, 10, size=8)
    trials = [reconstructing(f"fit{i}", errors + np.roll(errors, i) / 9) for i in range(8)]
    assert " and 2 more from the best fit" in doubts(trials, seed=0)[0]


# --- the chart ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_the_chart_shows_every_fit(count: int) -> None:
    """It has a line for each width and a mark for each fit, filled where the latents match the prior."""
    trials = [
        trial(2**i, 10.0 * i + 1, 0.5 if i else 0.001, width=w) for i in range(count) for w in (64, 256)
    ]
    svg = ET.fromstring(chart(trials))  # noqa: S314 - our own text
    marks = [one.attrib["class"] for one in svg if len(one)]  # with the words that a pointer shows
    assert len(marks) == 2 * count
    assert sum("filled" not in mark for mark in marks) == 2
    assert sum(one.attrib.get("class", "").startswith("line ") for one in svg) == 2
    names = [one.text for one in svg if (one.text or "").startswith("width ")]
    assert names == ["width 64, λ 100", "width 256, λ 100"]


def test_a_chart_of_perfect_fits_has_an_axis() -> None:
    """Errors of 0 give a chart without NaN."""
    assert "nan" not in chart([trial(2, 0.0)]).lower()
