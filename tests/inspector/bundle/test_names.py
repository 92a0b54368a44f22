"""Any name becomes a name of the store, or is refused."""

from __future__ import annotations

import pytest

from inspector.bundle.names import slug
from inspector.errors import UsageError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiles", "tiles"),
        ("Gear Wheels", "gear-wheels"),
        ("Größe_2.1", "groe_2.1"),
        ("..hidden..", "hidden"),
        ("a" * 100, "a" * 64),
        ("a/b\\c\nd", "a-b-c-d"),
    ],
)
def test_any_name_becomes_one_that_the_store_takes(name: str, expected: str) -> None:
    """A folder's name is turned into plain letters, and turning it twice changes nothing."""
    assert slug(name) == expected
    assert slug(slug(name)) == slug(name)


@pytest.mark.parametrize("name", ["", "...", "日本", "current", "CURRENT"])
def test_a_name_without_letters_is_refused(name: str) -> None:
    """A name without letters, and a name that the store uses itself, are refused."""
    with pytest.raises(UsageError, match="cannot name a model"):
        slug(name)
