"""What the commands that measure share: a fit that fails ends no others, and an error is one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from inspector.commands import exits
from inspector.errors import InspectorError
from tests.benchmarks.measurement import Measurement, code, measure, measured
from tests.benchmarks.request import Request
from tests.benchmarks.result import Stored


def measured_each(
    asked: Sequence[Request],
    results: Path,
    show: Callable[[Stored], str],
    *,
    again: bool = False,
    by: Callable[[Request], Measurement] = lambda _: measure,
) -> tuple[list[Stored], int]:
    """Measure each request, unless it was before, and print its row.

    Parameters
    ----------
    asked : sequence of Request
    results : Path
        The folder of their results.
    show : callable
        Writes a result as a row.
    again : bool
        Measure also what is there and up to date.
    by : callable, optional
        What measures a request.

    Returns
    -------
    found : list of Stored
    failed : int
        Number of requests that could not be measured.
    """
    found, failed, now = [], 0, code()
    for request in asked:
        try:
            stored = measured(request, now, results, again=again, by=by(request))
        except InspectorError as error:
            failed += 1
            print(f"{request.folder.name}: error: {error.message}", flush=True)
            continue
        found.append(stored)
        print(show(stored), flush=True)
    return found, failed


def ended(body: Callable[[], int]) -> int:
    """Run a command, and return its exit code: that of `inspector` where an error or Ctrl-C ends it."""
    try:
        return body()
    except InspectorError as error:
        hint = f"hint: {error.hint}\n" if error.hint else ""
        sys.stderr.write(f"error: {error.message}\n{hint}")
        return exits.exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: results that were written are kept, and not measured again\n")
        return exits.INTERRUPTED
