"""Reads rates and shares, such as the share of good parts that may fail, and refuses those out of range."""

from __future__ import annotations

import re

from inspector.errors import UsageError

_NUMBER = re.compile(r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(%?)")


def read_rate(text: str, option: str) -> float:
    """Read a rate: a number such as `0.05` or `0,05`, or a percentage such as `5%`.

    Raises
    ------
    UsageError
        The text is not a number.

    Examples
    --------
    >>> read_rate("0.05", "--max-review"), read_rate("0,05", "--max-review"), read_rate("5 %", "--max-review")
    (0.05, 0.05, 0.05)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{option} is {text!r}; allowed is a share, such as 0.05, or a percentage, such as 5%",
            hint=f"for example {option} 0.05",
        )
    return float(match[1].replace(",", ".")) / (100 if match[2] else 1)


def show_rate(rate: float) -> str:
    """Write a rate in percent, with at most three digits.

    Examples
    --------
    >>> show_rate(0.05), show_rate(1 / 15)
    ('5 %', '6.67 %')
    """
    return f"{100 * rate:.3g} %"


def rate_error(option: str, value: float, allowed: str, most: float) -> UsageError:
    """Return the error for a rate out of its range; the hint names the rate that was probably meant.

    Parameters
    ----------
    option : str
        As a person wrote it, such as `--max-review`.
    value : float
        Not allowed.
    allowed : str
        The range, in words.
    most : float
        The largest rate that is allowed.

    Examples
    --------
    >>> rate_error("--max-review", 5, "0.0001 to 0.5", 0.5).hint
    'a rate is a share: 5 is 500 %, and 5 % is written --max-review 0.05'
    """
    hint = f"a rate is a share: 0.05 is 5 of 100, for example {option} 0.05"
    if 1 <= value <= 100 * most:  # a percentage without its sign
        as_share = f"{value:g} is {100 * value:g} %"
        hint = f"a rate is a share: {as_share}, and {value:g} % is written {option} {value / 100:g}"
    return UsageError(f"{option} is {value:g}; allowed: {allowed}", hint=hint)
