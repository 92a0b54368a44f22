"""`inspector interpolate`: the way from one picture to another through a model, beside a cross-fade."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inspector.commands.options import ModelArgument, ThreadsOption
from inspector.commands.output import RowFormat

if TYPE_CHECKING:
    from inspector.generation.interpolation import Transition
    from inspector.scoring.autoencoder import AutoEncoder, Pixels

EXAMPLE = """
inspector interpolate tiles a.png b.png --steps 9 --output way.png
inspector interpolate tiles a.png b.png --steps 30 --output way.gif
inspector interpolate tiles a.png b.png --course line --output way.webp
"""

STILL = ".png"
ANIMATED: dict[str, Literal["GIF", "PNG", "WEBP"]] = {".gif": "GIF", ".webp": "WEBP", ".apng": "PNG"}
_WAY_MILLISECONDS, _END_MILLISECONDS = 2400, 700  # of an animation: the whole way, and each end


class Course(StrEnum):
    """How the codes get from A to B."""

    ARC = "arc"
    LINE = "line"


def interpolate(
    model: ModelArgument,
    first: Annotated[Path, typer.Argument(metavar="A", help="The picture that the way begins with.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The picture that it ends with.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .png shows all steps, the model's above the cross-fade's; .gif, .webp and .apng move.",
        ),
    ],
    steps: Annotated[int, typer.Option(metavar="N", min=2, help="Pictures, A and B among them.")] = 9,
    course: Annotated[
        Course, typer.Option(help="arc keeps codes as long as the prior makes them; line is straight.")
    ] = Course.ARC,
    format_: Annotated[
        RowFormat | None,
        typer.Option("--format", help="How to print; table on a terminal, jsonl when piped."),
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Show the way from one picture to another through a model.

    Its codes are encoded, moved in equal steps and decoded, beside a plain cross-fade of the two pictures.
    Prints how sharp each step is: does the model make parts, or does it only mix two pictures?
    """
    from inspector.bundle.atomic import write_bytes
    from inspector.commands.target import Target, check_extent, check_targets
    from inspector.generation import latent
    from inspector.generation.interpolation import Transition, cross_fade
    from inspector.imaging import montage
    from inspector.scoring.autoencoder import open_autoencoder

    check_targets([Target("--output", output, (STILL, *ANIMATED))], sources=(first, second))
    autoencoder = open_autoencoder(model, threads=threads)
    height, width = montage.extent(2 * steps, steps, *autoencoder.size)
    check_extent(f"--steps {steps}", height, width, autoencoder.settings.max_pixels)
    a, b = _read(autoencoder, first, second)
    codes = latent.between(autoencoder.encode(a), autoencoder.encode(b), steps, latent.Course(course))
    through = Transition.of([autoencoder.decode(code) for code in codes])
    fade = Transition.of(cross_fade(a, b, steps))
    write_bytes(output, _encode(through, fade, output.suffix.lower()))
    figures = {
        "model": autoencoder.model.model_dump(),
        "a": str(first),
        "b": str(second),
        "course": course.value,
        "output": str(output),
        **_comparison(through, fade),
        "steps": _rows(through, fade),
    }
    _print(figures, format_)


def _read(autoencoder: AutoEncoder, first: Path, second: Path) -> tuple[Pixels, Pixels]:
    """Both pictures at the model's size, where they have to differ."""
    from inspector.errors import UsageError
    from inspector.imaging.files import printable

    a, b = autoencoder.prepare(first), autoencoder.prepare(second)
    if (a == b).all():
        height, width = autoencoder.size
        raise UsageError(
            f"A and B are the same picture at {width} x {height} pixels: "
            f"{printable(first)} and {printable(second)}",
            hint="name two pictures that differ",
        )
    return a, b


# --- the file -------------------------------------------------------------------------------


def _encode(through: Transition, fade: Transition, suffix: str) -> bytes:
    """All steps as one picture, the model's above the cross-fade's; or one after the other, side by side."""
    from inspector.imaging import montage
    from inspector.imaging.encode import encode_animation, encode_png

    steps = len(through.pictures)
    if suffix == STILL:
        return encode_png(montage.lay_out([*through.pictures, *fade.pictures], steps))
    frames = [montage.lay_out(pair, 2) for pair in zip(through.pictures, fade.pictures, strict=True)]
    moving = [max(20, _WAY_MILLISECONDS // steps)] * (steps - 2)
    return encode_animation(frames, [_END_MILLISECONDS, *moving, _END_MILLISECONDS], ANIMATED[suffix])


# --- what is printed ------------------------------------------------------------------------


def _comparison(through: Transition, fade: Transition) -> dict[str, Any]:
    """Which of the two stays sharper; neither, where the model does not know the pictures."""
    from inspector.generation.interpolation import apart, ratio

    ends_apart, pictures_apart = through.ends_from(fade), apart(fade.pictures[0], fade.pictures[-1])
    kept = ratio(through.kept, fade.kept) if ends_apart < pictures_apart else None
    if kept == 0:  # between the ends all is flat
        kept = None
    return {
        "model_kept": through.kept,
        "crossfade_kept": fade.kept,
        "kept_ratio": kept,
        "sharpness_ratio": ratio(through.between, fade.between),
        "stays_sharper": None if kept is None or kept == 1 else "model" if kept > 1 else "crossfade",
        "ends_distance": ends_apart,
        "pictures_distance": pictures_apart,
    }


def _rows(through: Transition, fade: Transition) -> list[dict[str, Any]]:
    last = len(through.pictures) - 1
    return [
        {"step": step, "position": step / last, "model": round(one, 3), "crossfade": round(other, 3)}
        for step, (one, other) in enumerate(zip(through.sharpness, fade.sharpness, strict=True))
    ]


def _sentences(figures: dict[str, Any]) -> list[str]:
    """Which of the two stays sharper, in words."""
    through, fade, kept = (figures[name] for name in ("model_kept", "crossfade_kept", "kept_ratio"))
    ends_apart, pictures_apart = figures["ends_distance"], figures["pictures_distance"]
    if len(figures["steps"]) == 2:
        return ["two steps are the ends alone; with --steps 3 or more, what lies between is compared"]
    if ends_apart >= pictures_apart:
        return [
            f"no comparison: what the model makes of A or B is {ends_apart:.1f} levels away from it, and B "
            f"is {pictures_apart:.1f} away from A; it has not learned such pictures"
        ]
    if kept is None:
        return ["no comparison: the pictures, or what the model makes of them, are flat"]
    winner, times = ("the model", kept) if kept > 1 else ("the cross-fade", 1 / kept)
    return [
        f"between A and B the model keeps {through:.0%} of the sharpness of its ends, the cross-fade "
        f"{fade:.0%}: {winner} stays sharper, {times:.2f} times",
        f"as they are, the model's pictures there are {figures['sharpness_ratio']:.2f} times as sharp",
    ]


def _print(figures: dict[str, Any], format_: RowFormat | None) -> None:
    from inspector.commands.output import default_row_format

    chosen = format_ or default_row_format()
    if chosen is RowFormat.JSON:
        typer.echo(json.dumps(figures))
        return
    if chosen is RowFormat.JSONL:
        typer.echo("\n".join(map(json.dumps, figures["steps"])))
    else:
        typer.echo(_table(figures))
    for sentence in _sentences(figures):
        typer.echo(sentence, err=chosen is RowFormat.JSONL)


def _table(figures: dict[str, Any]) -> str:
    lines = [f"{'step':>4} {'position':>9} {'model':>10} {'cross-fade':>10}  sharpness"]
    lines += [
        f"{row['step']:4d} {row['position']:9.3f} {row['model']:10.1f} {row['crossfade']:10.1f}"
        for row in figures["steps"]
    ]
    return "\n".join([*lines, ""])
