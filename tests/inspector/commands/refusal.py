"""How a command refuses: an exit code, nothing on stdout, one error and one hint on stderr."""

from __future__ import annotations

from tests.inspector.conftest import Ended


def refused(ended: Ended, code: int, expected: str) -> None:
    """Check that a command ended with this code, and that its one error holds these words."""
    assert (ended.code, ended.out) == (code, ""), ended
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert expected in error
    assert hint.startswith("hint: ")
