"""Results on stdout: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from inspector.imaging.files import printable

if TYPE_CHECKING:
    from inspector.scoring.records import ScoredImage
    from inspector.types import Verdict

    Writer = Callable[[ScoredImage], None]

VERDICT_COLOURS: dict[Verdict, str] = {
    "pass": "green",
    "review": "yellow",
    "fail": "red",
    "invalid": "magenta",
}
HEADER = f"{'verdict':8} {'score':>8} {'limit':>8} {'good as high':>12} {'regions':>8}  image"


def choose_format(asked: str | None, piped: str = "json") -> str:
    """Return the format that was asked for; without one a table on a terminal, `piped` in a pipe."""
    return asked or ("table" if sys.stdout.isatty() else piped)


def print_result(
    result: Any, table: str, asked: str | None, *, rows: str = "", remarks: Sequence[str] = ()
) -> None:
    """Print the result of a command.

    Parameters
    ----------
    result : dict or list
        The result as JSON.
    table : str
        The same for people; may be empty.
    asked : str, optional
        Value of `--format`.
    rows : str
        Field of `result` whose entries are the lines of `jsonl`.
    remarks : sequence of str
        The outcome in sentences.  They end the table, and go to stderr beside JSON.
    """
    chosen = choose_format(asked)
    if chosen == "json":
        typer.echo(json.dumps(result, indent=2 if sys.stdout.isatty() else None))
    elif chosen == "jsonl":
        for row in result[rows]:
            typer.echo(json.dumps(row))
    elif table:
        typer.echo(table)
    for remark in remarks:
        typer.echo(remark, err=chosen != "table")


def pairs(facts: Mapping[str, object]) -> str:
    """Lay out names and values in two columns.

    Examples
    --------
    >>> print(pairs({"model": "tiles@3", "review over": None}))
    model        tiles@3
    review over  -
    """
    width = max(map(len, facts))
    return "\n".join(f"{name:{width}}  {'-' if value is None else value}" for name, value in facts.items())


def print_line(line: str) -> None:
    """Write a line to stdout at once, so that a program that reads it does not wait."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


# --- scored pictures, one at a time -----------------------------------------------------------


@contextmanager
def writer(chosen: str, components: Sequence[str], heldout: Callable[[], int]) -> Iterator[Writer]:
    """Give the function that writes one scored picture; the output is complete when the block ends.

    Parameters
    ----------
    chosen : str
        `table`, `json`, `jsonl` or `csv`.
    components : sequence of str
        Names of the component scores, which are columns of the CSV.
    heldout : callable
        Returns how many good pictures set the threshold of the model that scored the latest picture; the
        table says how many of them score as high.
    """
    if chosen == "table":
        print_line(HEADER)
        yield lambda row: _write_table_row(row, heldout())
    elif chosen == "csv":
        yield _csv_writer(components)
    elif chosen == "jsonl":
        yield lambda row: print_line(row.to_json())
    else:
        with _json_array() as write:
            yield write


def summary(rows: Counter[Verdict], milliseconds: float) -> str:
    """Count the verdicts in words, and say how long a picture took.

    Examples
    --------
    >>> summary(Counter({"pass": 3, "fail": 1}), 40.0)
    '4 images: 3 pass, 1 fail; 10.0 ms each'
    """
    return f"{tally(rows)}; {milliseconds / max(sum(rows.values()), 1):.1f} ms each"


def tally(rows: Counter[Verdict]) -> str:
    """Count the verdicts in words.

    Examples
    --------
    >>> tally(Counter({"pass": 1}))
    '1 image: 1 pass'
    """
    total = sum(rows.values())
    counts = ", ".join(f"{rows[verdict]} {verdict}" for verdict in VERDICT_COLOURS if rows[verdict])
    images = "1 image" if total == 1 else f"{total} images"
    return f"{images}: {counts}" if counts else images


def _write_table_row(row: ScoredImage, heldout: int) -> None:
    from inspector.scoring.decision import number_as_high

    name = printable(row.path or "-")
    if row.verdict == "invalid":
        reason = printable(row.reason or "").replace(f"{name} ", "")  # the message names the picture again
        cells, name = f"{'-':>8} {'-':>8} {'-':>12} {'-':>8}", f"{name}  ({reason})"
    else:
        as_high = "-" if row.p_value is None else f"{number_as_high(row.p_value, heldout)} of {heldout}"
        cells = f"{row.score:8.2f} {row.threshold:8.2f} {as_high:>12} {len(row.regions):8d}"
        name += "".join(f"  ({remark})" for remark in row.remarks)
    print_line(f"{_coloured(row.verdict)} {cells}  {name}")


def _coloured(verdict: Verdict) -> str:
    from inspector.settings import wants_colour

    cell = f"{verdict:8}"
    if not sys.stdout.isatty() or not wants_colour():
        return cell
    return typer.style(cell, fg=VERDICT_COLOURS[verdict], bold=verdict == "fail")


def _csv_writer(components: Sequence[str]) -> Writer:
    first = ["path", "verdict", "score", "threshold", "p_value"]
    last = [
        "regions",
        "model",
        "version",
        "width",
        "height",
        "milliseconds",
        "reason",
        "remarks",
        "unfamiliar",
    ]
    table = csv.DictWriter(sys.stdout, [*first, *components, *last], lineterminator="\n")
    table.writeheader()

    def write(row: ScoredImage) -> None:
        table.writerow(row.row())
        sys.stdout.flush()

    return write


@contextmanager
def _json_array() -> Iterator[Writer]:
    """Write an array row by row; close it even after an error, so that the output stays JSON."""
    separator = ""

    def write(row: ScoredImage) -> None:
        nonlocal separator
        sys.stdout.write(f"{separator}{row.to_json()}")
        separator = ",\n "

    sys.stdout.write("[")
    try:
        yield write
    finally:
        print_line("]")
