"""Numbers, rates and times as a reader of a page sees them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite

THIN_SPACE = "\u202f"  # narrow and unbreakable: between a number and its unit


def show_number(number: float | None) -> str:
    """Write a score with two decimals, a tiny or huge one with three digits.

    >>> show_number(3.2), show_number(-0.004), show_number(3.2e-6), show_number(None)
    ('3.20', '−0.004', '3.2e−6', '–')
    """
    if number is None or not isfinite(number):
        return "–"
    plain = number == 0 or 0.1 <= abs(number) < 1e5
    digits = f"{number:.2f}" if plain else re.sub(r"e([+-])0", r"e\1", f"{number:.3g}")
    return digits.replace("e+", "e").replace("-", "−")


def show_share(share: float | None) -> str:
    """Write a figure between 0 and 1 with three decimals.

    >>> show_share(0.98765), show_share(None)
    ('0.988', '–')
    """
    return "–" if share is None else f"{share:.3f}"


def show_percent(rate: float | None) -> str:
    """Write a rate in percent with at most three digits.

    >>> show_percent(0.05).split(), show_percent(1 / 36).split(), show_percent(None)
    (['5', '%'], ['2.78', '%'], '–')
    """
    return "–" if rate is None else f"{100 * rate:.3g}{THIN_SPACE}%"


def show_count(number: float) -> str:
    """Write a whole number with separated thousands.

    >>> show_count(1250000)
    '1,250,000'
    """
    return f"{number:,.0f}"


def show_ordinal(number: int) -> str:
    """Write the place in an order.

    >>> show_ordinal(1), show_ordinal(12), show_ordinal(113), show_ordinal(22)
    ('1st', '12th', '113th', '22nd')
    """
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def show_words(name: str) -> str:
    """Write the name of a field as words.

    >>> show_words("prior_match_p_value")
    'Prior match p value'
    """
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def show_moment(moment: str) -> str:
    """Write an ISO 8601 time in UTC, to the minute; anything else as it is.

    >>> show_moment("2026-03-01T09:30:12+01:00"), show_moment("yesterday")
    ('2026-03-01 08:30 UTC', 'yesterday')
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return f"{parsed.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def show_duration(seconds: float) -> str:
    """Write a span of time in the two largest units.

    >>> show_duration(42.4).split(), show_duration(301).split(), show_duration(7260).split()
    (['42', 's'], ['5', 'min', '1', 's'], ['2', 'h', '1', 'min'])
    """
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}{THIN_SPACE}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}{THIN_SPACE}min {rest}{THIN_SPACE}s"
    return f"{hours}{THIN_SPACE}h {minutes}{THIN_SPACE}min"
