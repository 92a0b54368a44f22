"""Rates: as people write them, and as they mean them."""

from __future__ import annotations

import pytest

from inspector.errors import UsageError
from inspector.rate import rate_error, read_rate

OPTION = "--max-false-reject"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("0.05", 0.05),
        (".05", 0.05),
        ("0,05", 0.05),
        ("5e-2", 0.05),
        ("5%", 0.05),
        (" 5 % ", 0.05),
        ("2,5%", 0.025),
        ("5", 5.0),
        ("-1", -1.0),
    ],
)
def test_a_rate_is_read(text: str, rate: float) -> None:
    """A share may have a decimal comma, and a percentage its sign; the range is not checked here."""
    assert read_rate(text, OPTION) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "%", "five", "nan", "inf", "1/20", "0.05.1", "5%%", "1,000.5", "0x1"])
def test_other_text_is_refused(text: str) -> None:
    """The message names the option and the text; the hint has a number that is allowed."""
    with pytest.raises(UsageError, match=OPTION) as refused:
        read_rate(text, OPTION)
    assert repr(text) in refused.value.message
    assert refused.value.hint == f"for example {OPTION} 0.05"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, "1 is 100 %, and 1 % is written --max-false-reject 0.01"),  # as 1, or as 100%
        (5, "5 % is written --max-false-reject 0.05"),
        (2.5, "2.5 % is written --max-false-reject 0.025"),
        (50, "50 % is written --max-false-reject 0.5"),
        (60, "for example --max-false-reject 0.05"),
        (0, "for example --max-false-reject 0.05"),
        (-5, "for example --max-false-reject 0.05"),
    ],
)
def test_a_number_that_was_meant_in_percent(value: float, hint: str) -> None:
    """The hint names the rate that was meant, if that rate is allowed."""
    error = rate_error(OPTION, value, "0.0001 to 0.5", 0.5)
    assert error.message == f"{OPTION} is {value:g}; allowed: 0.0001 to 0.5"
    assert hint in error.hint
