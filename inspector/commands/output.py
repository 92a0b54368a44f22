"""How scored images are written to stdout: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from inspector.imaging.files import printable

if TYPE_CHECKING:
    from inspector.scoring.records import ScoredImage
    from inspector.types import Verdict

COLOURS: dict[Verdict, str] = {"pass": "green", "review": "yellow", "fail": "red", "invalid": "magenta"}


class Format(StrEnum):
    """Values of `--format`."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class FigureFormat(StrEnum):
    """Values of `--format` where one result is printed."""

    TABLE = "table"
    JSON = "json"


class RowFormat(StrEnum):
    """Values of `--format` where rows are printed that belong to one result."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


class Writer(Protocol):
    """Takes one scored image after the other."""

    def __call__(self, row: ScoredImage) -> None:
        """Write one of them."""


def default_format() -> Format:
    """A table for a person at a terminal, one JSON object on each line for a program."""
    return Format.TABLE if sys.stdout.isatty() else Format.JSONL


def default_figure_format() -> FigureFormat:
    """A table for a person at a terminal, one JSON object for a program."""
    return FigureFormat.TABLE if sys.stdout.isatty() else FigureFormat.JSON


def default_row_format() -> RowFormat:
    """A table for a person at a terminal, one JSON object on each line for a program."""
    return RowFormat.TABLE if sys.stdout.isatty() else RowFormat.JSONL


@contextmanager
def writer(format_: Format, components: Sequence[str]) -> Iterator[Writer]:
    """Give the function that writes one row; what it began is complete when the block ends.

    Parameters
    ----------
    format_ : Format
        How to write.
    components : sequence of str
        Names of the component scores, which are columns of the CSV.
    """
    if format_ is Format.TABLE:
        print_line(_HEADER)
        yield _write_table_row
    elif format_ is Format.CSV:
        yield _csv_writer(components)
    elif format_ is Format.JSONL:
        yield lambda row: print_line(row.to_json())
    else:
        with _json_array() as write:
            yield write


def print_line(line: str) -> None:
    """Write a line to stdout at once, so that a program that reads us needs not wait."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def summary(rows: Counter[Verdict], milliseconds: float) -> str:
    """Count the verdicts in words.

    Examples
    --------
    >>> summary(Counter({"pass": 3, "fail": 1}), 40.0)
    '4 images: 3 pass, 1 fail; 10.0 ms each'
    """
    return f"{tally(rows)}; {milliseconds / max(sum(rows.values()), 1):.1f} ms each"


def tally(rows: Counter[Verdict]) -> str:
    """Count the verdicts in words, without the time.

    Examples
    --------
    >>> tally(Counter({"pass": 1}))
    '1 image: 1 pass'
    """
    total = sum(rows.values())
    counts = ", ".join(f"{rows[verdict]} {verdict}" for verdict in COLOURS if rows[verdict])
    images = "1 image" if total == 1 else f"{total} images"
    return f"{images}: {counts}" if counts else images


# --- the four forms -------------------------------------------------------------------------

_HEADER = f"{'verdict':8} {'score':>8} {'limit':>8} {'p-value':>8} {'regions':>8}  image"


def _write_table_row(row: ScoredImage) -> None:
    name = printable(row.path or "-")
    if row.verdict == "invalid":
        reason = printable(row.reason or "").replace(f"{name} ", "")
        cells, name = f"{'-':>8} {'-':>8} {'-':>8} {'-':>8}", f"{name}  ({reason})"
    else:
        cells = f"{row.score:8.2f} {row.threshold:8.2f} {row.p_value:8.4f} {len(row.regions):8d}"
    print_line(f"{_coloured(row.verdict)} {cells}  {name}")


def _coloured(verdict: Verdict) -> str:
    from inspector.settings import wants_colour

    cell = f"{verdict:8}"
    if not sys.stdout.isatty() or not wants_colour():
        return cell
    import typer

    return typer.style(cell, fg=COLOURS[verdict], bold=verdict == "fail")


def _csv_writer(components: Sequence[str]) -> Writer:
    first = ["path", "verdict", "score", "threshold", "p_value"]
    last = ["regions", "model", "version", "width", "height", "milliseconds", "reason"]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow([*first, *components, *last])

    def write(row: ScoredImage) -> None:
        time = row.milliseconds
        size: list[Any] = [None, None] if row.image is None else [row.image.width, row.image.height]
        table.writerow(
            [
                *(getattr(row, name) for name in first),
                *((row.components or {}).get(name) for name in components),
                len(row.regions),
                row.model.name,
                row.model.version,
                *size,
                round(time.decode + time.infer + time.decide, 3),
                row.reason,
            ]
        )
        sys.stdout.flush()

    return write


@contextmanager
def _json_array() -> Iterator[Writer]:
    """Write an array as its rows come; it is closed whatever happens, so that it stays JSON."""
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
