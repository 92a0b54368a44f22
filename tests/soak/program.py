"""What the long proofs share: the program as a process, and the way in which they end."""

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
    """Run `inspector` to its end, whatever that is."""
    return subprocess.run(
        [*program, *map(str, arguments)],
        env=environment(store),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


class FailureError(Exception):
    """What was to be shown does not hold."""


def demand(holds: bool, message: str) -> None:
    """Stop with `message` unless something holds."""
    if not holds:
        raise FailureError(message)


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def finish(proof: Callable[[], None]) -> int:
    """Run a proof; 0 where it holds, 1 where it does not."""
    try:
        proof()
    except FailureError as failure:
        say(f"FAILED: {failure}")
        return 1
    say("ok")
    return 0
