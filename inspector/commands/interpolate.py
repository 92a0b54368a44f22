"""`inspector interpolate`: show the way from one picture to another through a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inspector.commands.options import ModelOption, RowsFormatOption, ThreadsOption

if TYPE_CHECKING:
    from inspector.generation.interpolation import Transition
    from inspector.scoring.autoencoder import AutoEncoder, Pixels

EXAMPLE = """
inspector interpolate a.png b.png --model tiles --steps 9 --output way.png
inspector interpolate a.png b.png --model tiles --steps 30 --output way.gif
inspector interpolate a.png b.png --model tiles --course line --output way.webp
"""

STILL = ".png"
ANIMATED: dict[str, Literal["GIF", "PNG", "WEBP"]] = {".gif": "GIF", ".webp": "WEBP", ".apng": "PNG"}
LEAST_LENGTH = 0.5  # of the difference of A and B: a model that keeps less of it hardly tells them apart
_WAY_MILLISECONDS, _END_MILLISECONDS = 2400, 700  # of an animation: the whole way, and each end


def interpolate(
    first: Annotated[Path, typer.Argument(metavar="A", help="The first picture.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The last picture.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .png shows all steps, the model's above the cross-fade's; .gif, .webp and .apng are "
            "animations.",
        ),
    ],
    model: ModelOption = None,
    steps: Annotated[int, typer.Option(metavar="N", min=2, help="Number of pictures, with A and B.")] = 9,
    course: Annotated[
        Literal["arc", "line"],
        typer.Option(help="arc keeps the length that the prior gives latents; line is straight."),
    ] = "arc",
    format_: RowsFormatOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Show the transition from one picture to another through the latents of a model.

    The latents of A and B are mixed in equal steps and decoded, beside a plain cross-fade of the pictures.
    The sharpness of each step shows whether the model draws one part or only mixes two pictures.
    """
    from inspector.bundle.atomic import write_bytes
    from inspector.commands.output import print_result
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
    latents = latent.interpolate(
        autoencoder.encode(a), autoencoder.encode(b), steps, straight=course == "line"
    )
    through = Transition.of([autoencoder.decode(one) for one in latents])
    fade = Transition.of(cross_fade(a, b, steps))
    write_bytes(output, _encode(through, fade, output.suffix.lower()))
    figures = {
        "model": autoencoder.model.model_dump(),
        "a": str(first),
        "b": str(second),
        "course": course,
        "output": str(output),
        **_comparison(through, fade),
        "caution": _caution(autoencoder),
        "steps": _rows(through, fade),
    }
    print_result(figures, _table(figures), format_, rows="steps", remarks=_sentences(figures))


def _read(autoencoder: AutoEncoder, first: Path, second: Path) -> tuple[Pixels, Pixels]:
    """Read both pictures at the size of the model, and refuse them if they are the same."""
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
    """Encode all steps: as one picture of two rows, or as an animation of two pictures side by side."""
    from inspector.imaging import montage
    from inspector.imaging.encode import encode_animation, encode_png

    steps = len(through.pictures)
    if suffix == STILL:
        return encode_png(montage.lay_out([*through.pictures, *fade.pictures], steps))
    frames = [montage.lay_out(pair, 2) for pair in zip(through.pictures, fade.pictures, strict=True)]
    moving = [max(20, _WAY_MILLISECONDS // steps)] * (steps - 2)
    return encode_animation(frames, [_END_MILLISECONDS, *moving, _END_MILLISECONDS], ANIMATED[suffix])


# --- the result ------------------------------------------------------------------------------


def _comparison(through: Transition, fade: Transition) -> dict[str, Any]:
    """Compare the sharpness of both.

    There is nothing to compare if the model does not know the pictures, or makes nearly one picture of both.
    There is no winner if the difference varies along the way by as much as its own size.
    """
    from inspector.generation.interpolation import lead, ratio

    is_known = through.end_difference(fade) < fade.length and through.length >= LEAST_LENGTH * fade.length
    kept = ratio(through.kept, fade.kept) if is_known else None
    if kept == 0:  # every picture between the ends is flat
        kept = None
    ahead, spread = lead(through, fade) or (0.0, None)
    steady = kept is not None and spread is not None and abs(ahead) > spread and (ahead > 0) == (kept > 1)
    return {
        "model_kept": through.kept,
        "crossfade_kept": fade.kept,
        "kept_ratio": kept,
        "kept_spread": spread,
        "sharpness_ratio": ratio(through.inner_sharpness, fade.inner_sharpness),
        "stays_sharper": None if not steady else "model" if ahead > 0 else "crossfade",
        "ends_distance": through.end_difference(fade),
        "model_distance": through.length,
        "pictures_distance": fade.length,
    }


def _caution(autoencoder: AutoEncoder) -> str | None:
    """Return why pictures between latents may look wrong; None if the latents describe whole parts."""
    from inspector.drift import SIGNIFICANCE

    training = autoencoder.bundle.manifest.training
    if len(autoencoder.latent_shape) > 1:
        return (
            "has a latent for each patch, so details that lie apart in A and B fade out and in; the preset "
            "article learns one latent for the whole picture"
        )
    if training.options.get("regularizer") == "none":
        return "was trained without a regularizer, so nothing shapes the pictures between two latents"
    if training.figures.get("error_reduction", 1.0) <= 0:
        return "reproduces held-out pictures no better than their mean picture does; train it longer"
    if training.figures.get("prior_match_p_value", 1.0) < SIGNIFICANCE:
        return "has latents that do not match the prior, so pictures between them may look like no part"
    return None


def _rows(through: Transition, fade: Transition) -> list[dict[str, Any]]:
    last = len(through.pictures) - 1
    return [
        {"step": step, "position": step / last, "model": round(one, 3), "crossfade": round(other, 3)}
        for step, (one, other) in enumerate(zip(through.sharpness, fade.sharpness, strict=True))
    ]


def _sentences(figures: dict[str, Any]) -> list[str]:
    """Put into words which of the two stays sharper."""
    from inspector.imaging.files import printable

    model = f"{figures['model']['name']}@{figures['model']['version']}"
    return [
        *_comparison_in_words(figures),
        *([f"{model} {figures['caution']}"] if figures["caution"] else []),
        f"wrote {printable(figures['output'])} with {model}",
    ]


def _comparison_in_words(figures: dict[str, Any]) -> list[str]:
    through, fade, kept = (figures[name] for name in ("model_kept", "crossfade_kept", "kept_ratio"))
    ends_apart, pictures_apart = figures["ends_distance"], figures["pictures_distance"]
    model_apart, spread = figures["model_distance"], figures["kept_spread"]
    if len(figures["steps"]) == 2:
        return ["two steps are A and B alone; take --steps 3 or more to compare the pictures between them"]
    if ends_apart >= pictures_apart:
        return [
            f"no comparison: A or B comes out {ends_apart:.1f} levels off, and A and B differ by "
            f"{pictures_apart:.1f}; the model has not learned such pictures, or A and B are nearly the same"
        ]
    if model_apart < LEAST_LENGTH * pictures_apart:
        return [
            f"no comparison: the model makes nearly one picture of A and B; its two differ by "
            f"{model_apart:.1f} levels, A and B by {pictures_apart:.1f}"
        ]
    if kept is None:
        return ["no comparison: the pictures, or those that the model makes of them, are flat"]
    winner, times = ("the model", kept) if kept > 1 else ("the cross-fade", 1 / kept)
    outcome = f"{winner} stays sharper, {times:.2f} times"
    if spread is None:
        outcome = "one picture does not show whether that is steady; take --steps 5 or more"
    elif figures["stays_sharper"] is None:
        outcome = f"neither stays sharper, because the difference varies by {spread:.0%} along the way"
    return [
        f"between A and B the model keeps {through:.0%} of the sharpness of its ends, the cross-fade "
        f"{fade:.0%}: {outcome}",
        f"ends aside, the model's pictures are {figures['sharpness_ratio']:.2f} times as sharp",
    ]


def _table(figures: dict[str, Any]) -> str:
    lines = [f"{'step':>4} {'position':>9} {'model':>10} {'cross-fade':>10}  sharpness"]
    lines += [
        f"{row['step']:4d} {row['position']:9.3f} {row['model']:10.1f} {row['crossfade']:10.1f}"
        for row in figures["steps"]
    ]
    return "\n".join([*lines, ""])
