"""`inspector cutout`: pictures without their background."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inspector.commands import exits
from inspector.commands.progress import shown_progress
from inspector.errors import UsageError
from inspector.imaging.files import printable

if TYPE_CHECKING:
    from inspector.cutout.folder import Job, Outcome
    from inspector.cutout.frame import Colour
    from inspector.cutout.picture import Options

EXAMPLE = """
inspector cutout photos/ --output cutouts
inspector cutout photos/ --output cutouts --remove '#00b140' --parts 1
inspector cutout photos/ --output on-white --onto white
"""

NAMED_FILES = 20  # of pictures that were skipped; the others are counted
COLOURS = {"black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255)}
TRANSPARENT = "transparent"


def cutout(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with pictures; searched below, too.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the cut-outs go: one RGBA PNG each, of the same name.")
    ],
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLOUR", help="A colour of the object, such as '#c83214'; may be repeated."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="COLOUR", help="A colour of the background; may be repeated.")
    ] = None,
    onto: Annotated[
        str, typer.Option(metavar="COLOUR", help="What is laid behind the object: a colour, or transparent.")
    ] = TRANSPARENT,
    margin: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Border that is background for sure, as a share of the shorter side."
        ),
    ] = 0.03,
    iterations: Annotated[int, typer.Option(metavar="N", help="Rounds of GrabCut.")] = 5,
    parts: Annotated[
        int,
        typer.Option(metavar="N", help="Keep so many separate parts, the largest; 0 keeps all but crumbs."),
    ] = 0,
    holes: Annotated[
        float, typer.Option(metavar="SHARE", help="Fill holes up to this share of the object.")
    ] = 0.01,
    edge: Annotated[
        float, typer.Option(metavar="PX", help="Width of the smooth edge; 0 is a hard one.")
    ] = 1.5,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Contact sheet of pictures and cut-outs; OUTPUT-sheet.png without it."
        ),
    ] = None,
    no_sheet: Annotated[bool, typer.Option("--no-sheet", help="Write no contact sheet.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=0, max=1024, help="Cores to use, a picture on each; 0 is all of them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Remove the background of pictures: GrabCut without a hand that draws the rectangle.

    What differs from the picture's border in colour or sharpness is kept.  Run again, it skips pictures
    that were done with the same options, so an interrupted run goes on.  A picture that already has
    transparent pixels keeps them.  Exits with 3 if a picture was skipped.
    """
    colours = (
        [_colour(text, "--keep") for text in keep or ()],
        [_colour(text, "--remove") for text in remove or ()],
    )
    behind = None if onto == TRANSPARENT else _colour(onto, "--onto")
    from inspector.cutout import folder
    from inspector.cutout.matte import Finish
    from inspector.cutout.picture import Options
    from inspector.cutout.segmentation import Search

    options = Options(
        Search(iterations, margin, tuple(colours[0]), tuple(colours[1])), Finish(parts, holes, edge), behind
    )
    jobs = folder.plan(directory, output)
    page = None if no_sheet else _sheet_place(sheet, directory, output)
    with folder.claimed(output, jobs):
        outcomes = _run(jobs, options, threads)
        page = _write_sheet(page, outcomes)
    _report(outcomes, output, page, as_json=as_json)
    skipped = any(outcome.what == "skipped" for outcome in outcomes)
    raise typer.Exit(exits.INVALID if skipped else exits.PASSED)


def _colour(text: str, option: str) -> Colour:
    """Read a colour: `#rrggbb`, `#rgb` or one of three names.

    Examples
    --------
    >>> _colour("#0f8", "--keep"), _colour("white", "--onto")
    ((0, 255, 136), (255, 255, 255))
    """
    if text.lower() in COLOURS:
        return COLOURS[text.lower()]
    match = re.fullmatch(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", text.strip())
    if match is None:
        names = ", ".join([*COLOURS, *([TRANSPARENT] if option == "--onto" else [])])
        raise UsageError(
            f"{option} is {text!r}; allowed is a colour such as '#c83214', or one of {names}",
            hint="quote it: a shell takes what follows # for a comment",
        )
    digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _sheet_place(sheet: Path | None, directory: Path, output: Path) -> Path:
    """Choose a place for the contact sheet where no run takes it for a picture."""
    from inspector.cutout.folder import check_own

    whole = output.resolve()
    place = whole.with_name(f"{whole.name}-sheet.png") if sheet is None else sheet
    if place.suffix.lower() != ".png":
        raise UsageError(
            f"--sheet is {printable(place)}, allowed is a name that ends in .png", hint="it is a PNG"
        )
    for folder in (directory.resolve(), whole):
        if folder in place.resolve().parents:
            raise UsageError(
                f"the contact sheet {printable(place)} lies inside {printable(folder)}, "
                "where it would be taken for a picture",
                hint="name another place with --sheet, or use --no-sheet",
            )
    check_own(place)
    near = output.with_name(place.name) if output.name else place  # shorter, unless a link leads elsewhere
    return near if sheet is None and near.resolve() == place else place


def _run(jobs: list[Job], options: Options, threads: int | None) -> list[Outcome]:
    """Cut out, name what was skipped, and say after Ctrl-C how to go on."""
    from inspector.concurrency import cores
    from inspector.cutout.folder import cut_all
    from inspector.settings import Settings

    settings = Settings.from_environment()
    at_once = (settings.threads if threads is None else threads) or cores()
    outcomes: list[Outcome] = []
    try:
        with shown_progress() as progress:
            progress("cutting out", 0, len(jobs))
            for outcome in cut_all(jobs, options, settings, at_once):
                outcomes.append(outcome)
                progress("cutting out", len(outcomes), len(jobs))
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise
    _name_skipped([outcome.reason for outcome in outcomes if outcome.what == "skipped"])
    return outcomes


def _name_skipped(reasons: list[str]) -> None:
    for reason in reasons[:NAMED_FILES]:
        typer.echo(f"skipped: {reason}", err=True)
    if len(reasons) > NAMED_FILES:
        typer.echo(f"skipped: {len(reasons) - NAMED_FILES} more; --json names all of them", err=True)


def _write_sheet(page: Path | None, outcomes: list[Outcome]) -> Path | None:
    from inspector.cutout.folder import write_sheet
    from inspector.settings import Settings

    written = page is not None and write_sheet(page, outcomes, Settings.from_environment())
    return page if written else None


def _report(outcomes: list[Outcome], output: Path, page: Path | None, *, as_json: bool) -> None:
    counts: Counter[str] = Counter(outcome.what for outcome in outcomes)
    if as_json:
        skipped = [
            {"path": str(outcome.job.source), "reason": outcome.reason}
            for outcome in outcomes
            if outcome.what == "skipped"
        ]
        result = {
            "pictures": len(outcomes),
            "cut": counts["cut"],
            "kept_alpha": counts["kept_alpha"],
            "done_before": counts["done"],
            "skipped": skipped,
            "output": str(output),
            "sheet": None if page is None else str(page),
        }
        typer.echo(json.dumps(result))
        return
    words = {"cut": "cut out", "kept_alpha": "kept their alpha", "done": "done before", "skipped": "skipped"}
    said = ", ".join(f"{counts[what]} {text}" for what, text in words.items() if counts[what])
    typer.echo(f"pictures  {len(outcomes)}: {said}")
    typer.echo(f"cut-outs  {printable(output)}")
    if page is not None:
        typer.echo(f"sheet     {printable(page)}")
