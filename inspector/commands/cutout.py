"""`inspector cutout`: remove the background of pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands import exits
from inspector.commands.options import FormatOption, colour
from inspector.commands.output import pairs, print_result
from inspector.commands.progress import shown_progress
from inspector.errors import UsageError
from inspector.imaging.files import printable
from inspector.imaging.unusable import counted
from inspector.rate import read_rate

if TYPE_CHECKING:
    from inspector.cutout.folder import Job, Outcome
    from inspector.cutout.picture import Options

EXAMPLE = """
inspector cutout photos/ --output cutouts
inspector cutout photos/ --output cutouts --remove '#00b140' --parts 1
inspector cutout photos/ --output on-white --onto white
"""

NAMED_FILES = 20  # of pictures that were skipped; the others are counted
TRANSPARENT = "transparent"


def cutout(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with pictures; folders below are searched.")
    ],
    output: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for the cut-outs: one RGBA PNG each, of the same name."),
    ],
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLOUR", help="A colour of the object, such as '#c83214'; may be repeated."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="COLOUR", help="A colour of the background; may be repeated.")
    ] = None,
    onto: Annotated[
        str, typer.Option(metavar="COLOUR", help="Colour to lay behind the object, or transparent.")
    ] = TRANSPARENT,
    margin: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Border that is certainly background, as a share of the shorter side, 0.005 to 0.45.",
        ),
    ] = "0.03",
    iterations: Annotated[int, typer.Option(metavar="N", help="Rounds of GrabCut, 1 to 50.")] = 5,
    parts: Annotated[
        int,
        typer.Option(
            metavar="N", help="Keep this many separate parts, the largest ones; 0 keeps all but tiny ones."
        ),
    ] = 0,
    holes: Annotated[
        str, typer.Option(metavar="SHARE", help="Fill holes up to this share of the object, 0 to 1.")
    ] = "0.01",
    edge: Annotated[
        float, typer.Option(metavar="PX", help="Width of the smooth edge in pixels, 0 (hard) to 20.")
    ] = 1.5,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Contact sheet of pictures and cut-outs.  [default: OUTPUT-sheet.png beside OUTPUT]",
        ),
    ] = None,
    no_sheet: Annotated[bool, typer.Option("--no-sheet", help="Write no contact sheet.")] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=1024,
            help="Cores to use, one for each picture; 0 takes every core.  "
            "[default: INSPECTOR_THREADS, or 0]",
        ),
    ] = None,
    format_: FormatOption = None,
) -> None:
    """Remove the background of pictures with GrabCut; no rectangle has to be drawn.

    The part of the picture that differs from its border in colour or sharpness is kept.  A second run
    skips pictures that were done with the same options, so it continues an interrupted run.  A picture
    that has transparent pixels keeps them.  Exits with 3 if a picture was skipped.
    """
    search_colours = (
        [colour(text, "--keep") for text in keep or ()],
        [colour(text, "--remove") for text in remove or ()],
    )
    behind = None if onto == TRANSPARENT else colour(onto, "--onto", TRANSPARENT)
    from inspector.cutout import folder
    from inspector.cutout.matte import MatteOptions
    from inspector.cutout.picture import Options
    from inspector.cutout.segmentation import SegmentationOptions
    from inspector.settings import Settings

    options = Options(
        SegmentationOptions(iterations, read_rate(margin, "--margin"), *map(tuple, search_colours)),
        MatteOptions(parts, read_rate(holes, "--holes"), edge),
        behind,
    )
    jobs = folder.plan(directory, output)
    page = None if no_sheet else _sheet_place(sheet, directory, output)
    with folder.claimed(output, jobs):
        options = replace(options, full_scale=folder.learn_full_scale(jobs, Settings.from_environment()))
        outcomes = _run(jobs, options, threads)
        page = _write_sheet(page, outcomes, options.full_scale)
    result = _result(outcomes, output, page)
    print_result(result, _table(result), format_)
    raise typer.Exit(exits.INVALID if result["skipped"] else exits.PASSED)


def _sheet_place(sheet: Path | None, directory: Path, output: Path) -> Path:
    """Choose a path for the contact sheet outside both folders, so that no run takes it for a picture."""
    from inspector.cutout.folder import check_own

    whole = output.resolve()
    place = whole.with_name(f"{whole.name}-sheet.png") if sheet is None else sheet
    if place.suffix.lower() != ".png":
        raise UsageError(
            f"--sheet is {printable(place)}, allowed is a name that ends in .png",
            hint="the contact sheet is a PNG",
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
    """Cut out all pictures, and name those that were skipped."""
    from inspector.cutout.folder import cut_all
    from inspector.process.concurrency import cores
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
    _name_skipped([outcome for outcome in outcomes if outcome.status == "skipped"], len(outcomes))
    return outcomes


def _name_skipped(skipped: list[Outcome], pictures: int) -> None:
    for outcome in skipped[:NAMED_FILES]:
        typer.echo(f"skipped: {outcome.reason}", err=True)
    if len(skipped) > NAMED_FILES:
        typer.echo(f"skipped: {len(skipped) - NAMED_FILES} more; --format json names all of them", err=True)
    if len(skipped) > 1:
        reasons = counted([(outcome.job.source.name, outcome.fault) for outcome in skipped])
        typer.echo(f"skipped {len(skipped)} of {pictures} pictures: {reasons}", err=True)


def _write_sheet(page: Path | None, outcomes: list[Outcome], full_scale: int) -> Path | None:
    from inspector.cutout.folder import write_sheet
    from inspector.settings import Settings

    written = page is not None and write_sheet(page, outcomes, Settings.from_environment(), full_scale)
    return page if written else None


def _result(outcomes: list[Outcome], output: Path, page: Path | None) -> dict[str, Any]:
    counts = Counter(outcome.status for outcome in outcomes)
    return {
        "pictures": len(outcomes),
        "cut": counts["cut"],
        "kept_alpha": counts["kept_alpha"],
        "done_before": counts["done"],
        "skipped": [
            {"path": str(outcome.job.source), "reason": outcome.reason}
            for outcome in outcomes
            if outcome.status == "skipped"
        ],
        "output": str(output),
        "sheet": None if page is None else str(page),
    }


def _table(result: dict[str, Any]) -> str:
    counts = {
        "cut out": result["cut"],
        "kept their alpha": result["kept_alpha"],
        "done before": result["done_before"],
        "skipped": len(result["skipped"]),
    }
    said = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    facts = {"pictures": f"{result['pictures']}: {said}", "cut-outs": printable(result["output"])}
    if result["sheet"] is not None:
        facts["sheet"] = printable(result["sheet"])
    return pairs(facts)
