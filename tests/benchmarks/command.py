"""The command line that the benchmarks share: arguments, requests, and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from inspector.commands import exits
from inspector.commands.options import seconds
from inspector.errors import InspectorError, UsageError
from models.inspection.options import InspectionOptions
from tests.benchmarks.provenance import ROOT
from tests.benchmarks.request import Effort, Request, sets

RESULTS = ROOT / "docs" / "results"


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all measurements of sets take."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder of sets: train/good, test/good, test/KIND")
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME", help="measure only these sets")
    parser.add_argument("--preset", choices=tuple(InspectionOptions.PRESET_SECONDS), default="standard")
    parser.add_argument("--budget", metavar="TIME", help="such as 90s or 5m, instead of a preset")
    parser.add_argument("--steps", type=int, metavar="N", help="train exactly N steps")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="default: 1 with --steps, else chosen by timing"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="a folder (default: docs/results)")
    parser.add_argument("--again", action="store_true", help="measure again, even if a result is up to date")
    return parser


def requests(options: argparse.Namespace) -> list[Request]:
    """Return the requests of a command line: every set with the first seed, then with the next seed.

    With `--steps`, one thread is the default: a number of threads that is chosen by timing would change the
    last digits of the outcome.

    Raises
    ------
    UsageError
        The folder holds no set with one of the names.
    """
    budget = None if options.budget is None else seconds(options.budget)
    effort = Effort(options.preset, budget, options.steps)
    threads = options.threads if options.threads is not None else int(options.steps is not None)
    found = sets(options.data, options.sets)
    if not found:
        named = f" of the names {', '.join(options.sets)}" if options.sets else ""
        raise UsageError(f"no set{named} in {options.data}", hint="a set has train/good and test/good")
    return [Request(folder, effort, seed, threads) for seed in options.seeds for folder in found]


def exit_code(body: Callable[[], int]) -> int:
    """Run a command and return its exit code; an error or Ctrl-C gives the exit code of `inspector`."""
    try:
        return body()
    except InspectorError as error:
        hint = f"hint: {error.hint}\n" if error.hint else ""
        sys.stderr.write(f"error: {error.message}\n{hint}")
        return exits.exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: results that were written are kept, and not measured again\n")
        return exits.INTERRUPTED
