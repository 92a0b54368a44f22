"""Run `inspector` as a process, check conditions, and end a long test with its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROGRAM = (sys.executable, "-m", "inspector")


def environment(store: Path, threads: int = 0) -> dict[str, str]:
    """The environment of a run with a store of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("INSPECTOR_")}
    return kept | {"INSPECTOR_STORE": str(store), "INSPECTOR_THREADS": str(threads)}


def call(
    *arguments: str | Path, store: Path, program: tuple[str, ...] = PROGRAM, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `inspector` to its end, and return what it printed and its exit code."""
    return subprocess.run(
        [*program, *map(str, arguments)],
        env=environment(store),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


class FailureError(Exception):
    """A demand was not met."""


def demand(holds: bool, message: str) -> None:
    """Stop the test with `message` unless `holds` is true."""
    if not holds:
        raise FailureError(message)


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def finish(test: Callable[[], None]) -> int:
    """Run a long test; return 0 if every demand was met, 1 after the first that was not."""
    try:
        test()
    except FailureError as failure:
        say(f"FAILED: {failure}")
        return 1
    say("ok")
    return 0
