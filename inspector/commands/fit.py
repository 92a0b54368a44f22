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
from inspector.imaging.files import printable

EXAMPLE = """
inspector fit good-parts/
inspector fit good-parts/ --name gears --time-budget 30m
inspector fit good-parts/ --max-false-reject 0.01 --output models/gears
inspector fit good-parts/ --resume
inspector fit characters/ --preset article --latent-dim 2
"""

NAMED_FILES = 10
SIGNIFICANCE = 0.01

COLOURS = {"white": "#ffffff", "grey": "#808080", "black": "#000000"}

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Preset(StrEnum):
    """Budgets by name."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"
    ARTICLE = "article"


class Regularizer(StrEnum):
    """What keeps the codes near the prior."""

    MMD = "mmd"
    GAN = "gan"
    KL = "kl"
    NONE = "none"


class Kernel(StrEnum):
    """Kernel of the MMD."""

    IMQ = "imq"
    RBF = "rbf"


class Cost(StrEnum):
    """What a copy that differs costs."""

    L2SQ = "l2sq"
    L2 = "l2"
    L1 = "l1"


class Decoder(StrEnum):
    """The article's two decoders."""

    DCGAN = "dcgan"
    DCGAN_MOD = "dcgan_mod"


class Device(StrEnum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


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
    return float(match[1]) * _UNITS[match[2]]


def colour(text: str) -> tuple[int, int, int]:
    """Read a colour.

    Examples
    --------
    >>> colour("white"), colour("#0080ff")
    ((255, 255, 255), (0, 128, 255))
    """
    code = COLOURS.get(text, text)
    match = re.fullmatch(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", code)
    if match is None:
        raise UsageError(
            f"--background is {text!r}; allowed are #rrggbb, {', '.join(COLOURS)}",
            hint="for example --background '#c0c0c0'",
        )
    red, green, blue = (int(part, 16) for part in match.groups())
    return red, green, blue


def fit(
    normal_dir: Annotated[
        Path, typer.Argument(metavar="NORMAL_DIR", help="Folder with pictures of good parts only.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the model; the folder's name without it.")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the bundle there instead of into the store.")
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(
            help="About 2, 10 or 60 minutes on two cores; article: the 64 px auto-encoder, 15 minutes."
        ),
    ] = Preset.STANDARD,
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
        int | None,
        typer.Option(
            metavar="PX", help="Side that pictures are brought to; a multiple of 32. [default: 256]"
        ),
    ] = None,
    background: Annotated[
        str,
        typer.Option(metavar="COLOUR", help="What transparency is laid over: #rrggbb, white, grey or black."),
    ] = "white",
    latent_dim: Annotated[
        int | None,
        typer.Option(metavar="N", help="Numbers in a code. [default: 32 a place, article 64 a picture]"),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Channels of the trunk; another number than 32 starts without the prior. Article: of the "
            "deepest layer, 1024, or 256 for a small folder without a GPU. [default: 32]",
        ),
    ] = None,
    prior: Annotated[
        bool | None,
        typer.Option(
            "--prior/--no-prior", help="Start with the trunk that knows invented pictures. [default: prior]"
        ),
    ] = None,
    regularizer: Annotated[
        Regularizer, typer.Option(help="What keeps the codes near the prior; gan and kl: article only.")
    ] = Regularizer.MMD,
    kernel: Annotated[
        Kernel | None, typer.Option(help="Kernel of the MMD; article only. [default: imq]")
    ] = None,
    penalty_weight: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            metavar="NUMBER",
            help="Weight of what keeps the codes near the prior; article only. "
            "[default: mmd 100, gan 10, kl 0.03]",
        ),
    ] = None,
    cost: Annotated[
        Cost | None, typer.Option(help="What a copy costs; article only. [default: l2sq]")
    ] = None,
    decoder: Annotated[
        Decoder | None, typer.Option(help="Which decoder; article only. [default: dcgan]")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    seed: Annotated[int, typer.Option(metavar="N", help="Same seed, steps and machine: same model.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted fit stopped.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse the folder if a picture in it is damaged.")
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Show the training in this folder of TensorBoard runs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Learn a model from pictures of good parts alone.

    Trains, exports and calibrates, then makes the model the current one of the store.  Ctrl-C keeps
    what was learned so far; the same command with --resume goes on from there.
    """
    budget = None if time_budget is None else seconds(time_budget)
    from inspector import extras

    models = extras.models()
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
                pretrained=prior,
                background=colour(background),
                regularizer=regularizer.value,
                kernel=kernel and kernel.value,
                regularizer_weight=penalty_weight,
                cost=cost and cost.value,
                decoder=decoder and decoder.value,
                device=device.value,
                seed=seed,
                resume=resume,
                tensorboard=tensorboard,
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


def figure_lines(figures: dict[str, float]) -> dict[str, str]:
    """Say in a line each what was measured on held-out pictures, where it was."""
    lines = {}
    if "error_reduction" in figures:
        error, mean_error = figures["heldout_squared_error"], figures["mean_picture_squared_error"]
        than = _than(figures["error_reduction"])
        lines["held out"] = f"squared error {error:.1f}, {than} the mean picture's {mean_error:.1f}"
    if "prior_match_p_value" in figures:
        p_value = figures["prior_match_p_value"]
        said = "rejected" if p_value < SIGNIFICANCE else "not rejected"
        lines["prior"] = (
            f"match of {figures['prior_match_pictures']:.0f} held-out codes {said} at 1 % (p = {p_value:.3g})"
        )
    return lines


def _than(reduction: float) -> str:
    return f"{abs(reduction):.0%} {'below' if reduction >= 0 else 'above'}"


def _print_outcome(path: Path, *, as_json: bool) -> None:
    from inspector.bundle.folder import Bundle

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
            "figures": training.figures,
        }
        typer.echo(json.dumps(outcome))
        return
    from inspector import extras

    promise = extras.thresholds().promise(calibration)
    skipped = f", {training.skipped_images} left out (see the report)" if training.skipped_images else ""
    typer.echo(f"model      {manifest.name}@{manifest.version}")
    typer.echo(
        f"learned    {training.images} pictures in {training.steps} steps, "
        f"calibrated on {training.heldout_images}{skipped}"
    )
    for name, line in figure_lines(training.figures).items():
        typer.echo(f"{name:<10} {line}")
    typer.echo(f"threshold  {calibration.threshold:.3f}")
    typer.echo(f"promise    {promise}")
    typer.echo(f"report     {printable(path / 'report.html')}")
    if sys.stderr.isatty():
        typer.echo("next       inspector score PICTURE", err=True)
