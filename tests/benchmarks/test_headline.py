"""The headline says what is told apart, what is missed, and if the promise is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks.headline import HEADER, in_short, in_words, rows
from tests.benchmarks.result import Stored
from tests.benchmarks.summary import SetSummary, image_auroc, over_sets


def fit(seed: int, auroc: float | None, missed: float | None, count: int = 0) -> Stored:
    """A result with the figures of the headline; two of ten rejected good pictures are allowed."""
    image: dict[str, Any] = {"auroc": auroc, "miss_rate": missed}
    rejects = {"count": count, "of": 10, "promised_rate": 0.05, "at_most": 2}
    return Stored({"request": {"seed": seed}, "image": image, "pixel": None, "false_rejects": rejects}, {})


TILES = SetSummary("tiles", (fit(0, 0.7, 0.2), fit(1, 0.8, 0.4, 2)))
CUBES = SetSummary("cubes", (fit(0, 0.9, 0.6), fit(1, 0.9, 0.5, 1)))


def test_means_and_spreads_by_hand() -> None:
    """A set has the spread over its seeds; the last row that of each seed's mean over the sets."""
    assert rows([CUBES, TILES]) == [
        ["cubes", "0.900", "55 % (50 to 60)", "5 % (0 to 10)", "5 %", "20 %", "-", "-"],
        ["tiles", "0.750 (0.700 to 0.800)", "30 % (20 to 40)", "10 % (0 to 20)", "5 %", "20 %", "-", "-"],
        ["mean", "0.825 (0.800 to 0.850)", "42.5 % (40 to 45)", "7.5 % (0 to 15)", "-", "-", "-", "-"],
    ]
    assert len(HEADER) == 8


def test_the_worst_sets_are_named() -> None:
    """The set with the lowest AUROC and the one with most defects missed may be different sets."""
    assert in_words([CUBES, TILES]) == (
        "Worst: tiles by image AUROC (0.750), cubes by defects missed (55 %). "
        "The promise is kept on every set."
    )
    assert in_short("quick", [CUBES, TILES])[-3:] == ["tiles 0.750", "cubes 55 %", "kept"]


@pytest.mark.parametrize(("count", "said"), [(2, "kept on this set"), (3, "broken on screw")])
def test_one_fit_beyond_the_bound_breaks_the_promise(count: int, said: str) -> None:
    """As many rejects as allowed keep the promise; one more, with one of the seeds, breaks it."""
    screw = SetSummary("screw", (fit(0, 0.9, 0.5), fit(1, 0.9, 0.5, count)))
    assert in_words([screw]).endswith(f"The promise is {said}.")
    assert rows([screw], strong=lambda cell: f"*{cell}*")[0][3].startswith("*") == (count == 3)


def test_a_set_without_defects_has_dashes() -> None:
    """Without defective pictures there is no AUROC and nothing to miss; the mean leaves the set out."""
    good_only = SetSummary("good-only", (fit(0, None, None), fit(1, None, None)))
    table = rows([good_only, TILES])
    assert table[0][1:3] == ["-", "-"]
    assert table[2][1] == table[1][1]
    assert in_words([good_only]) == "The promise is kept on this set."


def test_sets_with_different_seeds_have_one_mean() -> None:
    """Seeds that not all sets have give no mean over the sets of their own."""
    more = SetSummary("screw", (*TILES.fits, fit(2, 0.9, 0.1)))
    found = over_sets([CUBES, more], image_auroc)
    assert found is not None
    assert (found.mean, found.lowest, found.highest) == pytest.approx((0.85, 0.85, 0.85))
