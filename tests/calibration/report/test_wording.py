"""Numbers are written for a reader."""

from __future__ import annotations

from calibration.report.wording import show_duration, show_moment, show_number, show_percent, show_words


def test_scores_and_rates() -> None:
    """Usual scores have two decimals, tiny and huge ones three digits, missing ones a dash."""
    assert [show_number(x) for x in (3.2, 0.0, -0.004, 123456.0, float("nan"), None)] == [
        "3.20",
        "0.00",
        "−0.004",
        "1.23e5",
        "–",
        "–",
    ]
    assert show_percent(1 / 36) == "2.78\u202f%"


def test_times() -> None:
    """Spans have the two largest units; moments are in UTC, and text that is no moment stays."""
    assert [show_duration(s).replace("\u202f", " ") for s in (42.4, 301, 7260)] == [
        "42 s",
        "5 min 1 s",
        "2 h 1 min",
    ]
    assert show_moment("2026-03-01T09:30:12+01:00") == "2026-03-01 08:30 UTC"
    assert show_moment("2026-03-01T09:30:12") == "2026-03-01 09:30 UTC"
    assert show_moment("yesterday") == "yesterday"


def test_names_of_fields() -> None:
    """Underscores become spaces, and the first letter is large."""
    assert show_words("heldout_squared_error") == "Heldout squared error"
