"""`inspector fit`: from a folder of good pictures to a model."""

from __future__ import annotations

import json
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from inspector.commands.progress import shown_progress
from inspector.errors import UsageError
from inspector.files import printable

EXAMPLE = """
inspector fit good-parts/
inspector fit good-parts/ --name gears --time-budget 30m
inspector fit good-parts/ --max-false-reject 0.01 --output models/gears
inspector fit good-parts/ --resume
"""

NAMED_FILES = 10

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Preset(StrEnum):
    """Budgets by name."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


class Regularizer(StrEnum):
    """What keeps the codes near the prior."""

    MMD = "mmd"
    NONE = "none"


class Device(StrEnum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def seconds(text: str) -> float:
    """Read a duration: a number with s, m or h.

    Examples
    --------
    >>> seconds("1.5m"), seconds("2h"), seconds("90s")
    (90.0, 7200.0, 90.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or not float(match[1]):
        raise UsageError(
            f"--time-budget is {text!r}; allowed is a number above 0 with s, m or h",
            hint="for example --time-budget 5m",
        )
    return float(match[1]) * _UNITS[match[2]]


def fit(
    normal_dir: Annotated[
        Path, typer.Argument(metavar="NORMAL_DIR", help="Folder with pictures of good parts only.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the model; the folder's name without it.")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the bundle there instead of into the store.")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="About 2, 10 or 60 minutes on two cores.")] = Preset.STANDARD,
    time_budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Bounds the whole command, such as 90s, 5m or 1h.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Train exactly so many steps, whatever time they take.")
    ] = None,
    max_false_reject: Annotated[
        float, typer.Option(metavar="RATE", help="Share of good parts that may be rejected.")
    ] = 0.05,
    max_review: Annotated[
        float | None, typer.Option(metavar="RATE", help="Share of good parts that may be sent to review.")
    ] = None,
    image_size: Annotated[
        int, typer.Option(metavar="PX", help="Side that pictures are brought to; a multiple of 32.")
    ] = 256,
    latent_dim: Annotated[int, typer.Option(metavar="N", help="Numbers in the code of one place.")] = 32,
    width: Annotated[
        int,
        typer.Option(
            metavar="N", help="Channels of the trunk; another number than 40 starts without the prior."
        ),
    ] = 40,
    prior: Annotated[
        bool, typer.Option("--prior/--no-prior", help="Start with the trunk that knows invented pictures.")
    ] = True,
    regularizer: Annotated[
        Regularizer, typer.Option(help="What keeps the codes near the prior.")
    ] = Regularizer.MMD,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    seed: Annotated[int, typer.Option(metavar="N", help="Same seed, steps and machine: same model.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted fit stopped.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse the folder if a picture in it is damaged.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Learn a model from pictures of good parts alone.

    Trains, exports and calibrates, then makes the model the current one of the store.  Ctrl-C keeps
    what was learned so far; the same command with --resume goes on from there.
    """
    budget = None if time_budget is None else seconds(time_budget)
    from inspector import workshop

    models = workshop.models("inspector fit")
    notes: list[str] = []
    try:
        with shown_progress() as progress:
            path = models.fit(
                normal_dir,
                name=name,
                output=output,
                preset=preset.value,
                time_budget_seconds=budget,
                steps=steps,
                max_false_reject=max_false_reject,
                max_review=max_review,
                image_size=image_size,
                latent_dim=latent_dim,
                width=width,
                prior=prior,
                regularizer=regularizer.value,
                device=device.value,
                seed=seed,
                resume=resume,
                strict=strict,
                progress=progress,
                note=notes.append,
            )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command with --resume goes on from here", err=True)
        raise
    _print_notes(notes)
    _print_outcome(path, as_json=as_json)


def _print_notes(notes: list[str]) -> None:
    """Name the files that were left out, and count those that there is no room for."""
    for line in notes[:NAMED_FILES]:
        typer.echo(line, err=True)
    if len(notes) > NAMED_FILES:
        typer.echo(f"left out: {len(notes) - NAMED_FILES} more, all named in the report", err=True)


def _print_outcome(path: Path, *, as_json: bool) -> None:
    from inspector.bundle import Bundle

    opened = Bundle.open(path, verify=False)
    manifest, calibration = opened.manifest, opened.calibration
    training = manifest.training
    if as_json:
        outcome = {
            "model": {"name": manifest.name, "version": manifest.version, "digest": opened.digest},
            "path": str(path),
            "report": str(path / "report.html"),
            "threshold": calibration.threshold,
            "promised_false_reject_rate": calibration.promised_false_reject_rate,
            "promise_kept": calibration.promise_kept,
            "images_missing": calibration.images_missing,
            "images": training.images,
            "heldout_images": training.heldout_images,
            "skipped_images": training.skipped_images,
            "steps": training.steps,
            "seconds": training.seconds,
        }
        typer.echo(json.dumps(outcome))
        return
    from inspector import workshop

    promise = workshop.room("calibration.calibrate").promise(calibration)
    skipped = f", {training.skipped_images} left out (see the report)" if training.skipped_images else ""
    typer.echo(f"model      {manifest.name}@{manifest.version}")
    typer.echo(
        f"learned    {training.images} pictures in {training.steps} steps, "
        f"calibrated on {training.heldout_images}{skipped}"
    )
    typer.echo(f"threshold  {calibration.threshold:.3f}")
    typer.echo(f"promise    {promise}")
    typer.echo(f"report     {printable(path / 'report.html')}")
    if sys.stderr.isatty():
        typer.echo("next       inspector score PICTURE", err=True)
