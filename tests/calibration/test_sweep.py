"""The recommended fit of a sweep, and the chart of all fits."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from calibration.sweep import Trial, chart, recommend


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
