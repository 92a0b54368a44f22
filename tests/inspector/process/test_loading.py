"""What is loaded stays, and is not searched for garbage."""

from __future__ import annotations

import gc

import pytest

from inspector.process.loading import loading


def test_nothing_is_searched_while_it_loads() -> None:
    """Garbage collection pauses in the block, and goes on behind it without what was loaded."""
    frozen = gc.get_freeze_count()
    try:
        with loading():
            assert not gc.isenabled()
            loaded: list[list[int]] = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= frozen + len(loaded)
    finally:
        gc.unfreeze()


def test_an_error_does_not_end_garbage_collection() -> None:
    """Garbage is collected again after an error in the block."""
    with pytest.raises(KeyError), loading():
        raise KeyError
    assert gc.isenabled()
