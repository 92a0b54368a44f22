"""Exit codes of verdicts and of each branch of the error tree."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from inspector.errors import (
    BundleError,
    DatasetError,
    ImageError,
    InspectorError,
    MissingExtraError,
    StoreError,
    TrainingError,
    UsageError,
)

if TYPE_CHECKING:
    from inspector.types import Verdict

PASSED = 0
FAILED = 1
USAGE = 2
INVALID = 3
UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as shells do
BROKEN_PIPE = 141  # 128 + SIGPIPE

BRANCHES: dict[type[InspectorError], int] = {
    UsageError: USAGE,
    ImageError: INVALID,
    DatasetError: 4,
    BundleError: 5,
    StoreError: 6,
    MissingExtraError: 7,
    TrainingError: 8,
}


def exit_code(error: InspectorError) -> int:
    """Return the exit code of the branch that an error belongs to.

    Examples
    --------
    >>> from inspector.errors import DigestMismatchError
    >>> exit_code(DigestMismatchError("a byte changed"))
    5
    """
    return next((BRANCHES[kind] for kind in type(error).__mro__ if kind in BRANCHES), UNEXPECTED)


def verdict_code(verdicts: Counter[Verdict], *, exit_zero: bool = False) -> int:
    """Return the exit code for these verdicts; with `exit_zero`, failed pictures do not count.

    Examples
    --------
    >>> verdict_code(Counter({"pass": 3, "fail": 1, "invalid": 1}))
    1
    """
    if verdicts["fail"]:
        return PASSED if exit_zero else FAILED
    return INVALID if verdicts["invalid"] else PASSED
