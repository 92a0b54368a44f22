"""States the options that several commands take, each once, and reads their values."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inspector.errors import UsageError
from inspector.rate import read_rate

if TYPE_CHECKING:
    from pathlib import Path

    from inspector.imaging.good_images import Half
    from inspector.settings import Settings

ModelOption = Annotated[
    str | None,
    typer.Option(metavar="NAME[@VERSION]|PATH", help="The model.  [default: the current model of the store]"),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        max=1024,
        help="Threads to compute with; 0 takes every core.  [default: INSPECTOR_THREADS, or 0]",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse the folder if a picture in it is damaged.")
]

RecursiveAnywayOption = Annotated[
    bool,
    typer.Option(
        "--recursive-anyway", help="Take every picture in and below the folder, even from a labelled set."
    ),
]

# The forms of output.  Without --format every command prints a table on a terminal; in a pipe it prints JSON.
FormatOption = Annotated[
    Literal["table", "json"] | None,
    typer.Option("--format", help="Form of the output.  [default: table on a terminal, json in a pipe]"),
]
RowsFormatOption = Annotated[
    Literal["table", "json", "jsonl"] | None,
    typer.Option(
        "--format",
        help="Form of the output; jsonl is one line for each row.  "
        "[default: table on a terminal, json in a pipe]",
    ),
]
ImagesFormatOption = Annotated[
    Literal["table", "json", "jsonl", "csv"] | None,
    typer.Option("--format", help="Form of the output.  [default: table on a terminal, jsonl in a pipe]"),
]

COLOURS = {"white": (255, 255, 255), "grey": (128, 128, 128), "black": (0, 0, 0)}
UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def settings_for(threads: int | None) -> Settings:
    """Read the settings from the environment; `--threads` overrides theirs."""
    from inspector.settings import Settings

    settings = Settings.from_environment()
    return settings if threads is None else settings.model_copy(update={"threads": threads})


def good_images(folder: Path, *, anyway: bool, half: Half = "train", sorted_too: bool = False) -> list[Path]:
    """List the pictures of a folder of good parts, or refuse a labelled set with a hint to its good ones."""
    from inspector.bundle.atomic import storage_errors
    from inspector.imaging.good_images import list_good_images

    with storage_errors(folder):
        return list_good_images(
            folder,
            anyway=anyway,
            sorted_too=sorted_too,
            half=half,
            command=("inspector", *sys.argv[1:]),
        )


def seconds(text: str, option: str = "--time-budget") -> float:
    """Read a duration: a number with s, m or h.

    Examples
    --------
    >>> seconds("1.5m"), seconds("2h"), seconds("90s")
    (90.0, 7200.0, 90.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or not float(match[1]):
        raise UsageError(
            f"{option} is {text!r}; allowed is a number above 0 with s, m or h",
            hint=f"for example {option} 5m",
        )
    return float(match[1]) * UNIT_SECONDS[match[2]]


def read_rates(max_false_reject: str | None, max_review: str | None) -> tuple[float | None, float | None]:
    """Read the rates of good parts that may fail, and that may be sent to review."""
    return (
        None if max_false_reject is None else read_rate(max_false_reject, "--max-false-reject"),
        None if max_review is None else read_rate(max_review, "--max-review"),
    )


def colour(text: str, option: str, *others: str) -> tuple[int, int, int]:
    """Read a colour: `#rrggbb`, `#rgb`, white, grey or black; a refusal lists other words of the option, too.

    Examples
    --------
    >>> colour("#0f8", "--keep"), colour("white", "--onto")
    ((0, 255, 136), (255, 255, 255))
    """
    if text.lower() in COLOURS:
        return COLOURS[text.lower()]
    match = re.fullmatch(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", text.strip())
    if match is None:
        raise UsageError(
            f"{option} is {text!r}; allowed are #rrggbb, #rgb, {', '.join((*COLOURS, *others))}",
            hint=f"quote the colour, because a shell reads # as a comment: {option} '#c0c0c0'",
        )
    digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue
