"""The table that turns errors into HTTP answers."""

from __future__ import annotations

import pytest

from inspector.daemon.errors import INVALID_STATUS, STATUS, code_of, status_of
from inspector.errors import ImageError, InspectorError, InvalidReason, error_classes

CLASSES = error_classes(InspectorError)[1:]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[InspectorError]) -> None:
    """Each class of the error tree, or its branch, is in the table."""
    assert any(base in STATUS for base in kind.__mro__)
    assert 200 <= status_of(kind) < 600


def test_every_error_has_a_code_of_its_own() -> None:
    """No two classes of the error tree share a code."""
    codes = [code_of(kind) for kind in CLASSES]
    assert len(set(codes)) == len(codes)


def test_every_reason_belongs_to_one_class() -> None:
    """Each reason of an invalid picture is carried by exactly one class, and has its status."""
    carried = [kind.reason for kind in error_classes(ImageError) if kind is not ImageError]
    assert sorted(carried) == sorted(InvalidReason)
    assert set(INVALID_STATUS) == set(InvalidReason)
