"""`inspector fit`: learn a model from a folder of good pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inspector.commands.options import (
    FormatOption,
    RecursiveAnywayOption,
    StrictOption,
    colour,
    good_images,
    read_rates,
    seconds,
)

if TYPE_CHECKING:
    from inspector.bundle.folder import Bundle

EXAMPLE = """
inspector fit good-parts/
inspector fit good-parts/ --name gears --time-budget 30m
inspector fit good-parts/ --max-false-reject 0.01 --output models/gears
inspector fit good-parts/ --resume
inspector fit characters/ --preset article --latent-dim 2
"""

NAMED_FILES = 10  # of those that were left out; the others are counted
SIGNIFICANCE = 0.01


def fit(
    normal_dir: Annotated[
        Path,
        typer.Argument(
            metavar="NORMAL_DIR", help="Folder with pictures of good parts only; folders below are searched."
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the model.  [default: the name of the folder]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the bundle to this folder instead of the store.")
    ] = None,
    preset: Annotated[
        Literal["quick", "standard", "thorough", "article"],
        typer.Option(
            help="Time for the whole fit on two cores: quick 2 minutes, standard 10, thorough 60; "
            "article is the 64 px auto-encoder of the article, 15 minutes."
        ),
    ] = "standard",
    time_budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time for the whole fit, 1s to 168h, such as 90s, 5m or 1h.  [default: as --preset]",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Train exactly this many steps, 1 to 10000000, whatever time they take.  "
            "[default: as many as the time allows]",
        ),
    ] = None,
    max_false_reject: Annotated[
        str,
        typer.Option(
            metavar="RATE", help="Share of good parts that may fail, 0.0001 to 0.5, such as 0.05 or 5%."
        ),
    ] = "0.05",
    max_review: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Share of good parts that may be sent to review, 0.0001 to 0.5.  [default: no review]",
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Side in pixels that pictures are resized to: a multiple of 32, 64 to 1024; "
            "article: 64.  [default: 256, article 64]",
        ),
    ] = None,
    background: Annotated[
        str,
        typer.Option(
            metavar="COLOUR",
            help="Colour behind transparent pixels: #rrggbb, #rgb, white, grey or black.",
        ),
    ] = "white",
    latent_dim: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Dimensions of the latent: of each patch, 2 to 256; article: of the whole picture, 2 to "
            "512.  [default: 32, article 64]",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Channels of the decoder, 4 to 128.  Article: channels of the deepest layer, a multiple "
            "of 8 up to 2048.  "
            "[default: 32, article 1024, or 256 for a small folder without a GPU]",
        ),
    ] = None,
    split: Annotated[
        bool | None,
        typer.Option(
            "--split",
            help="Hold pictures out of everything, and set the threshold with them alone.  Without it all "
            "pictures set the threshold, each scored without itself.  article always holds out.",
        ),
    ] = None,
    regularizer: Annotated[
        Literal["mmd", "gan", "kl", "none"],
        typer.Option(help="Regularizer that keeps latents near N(0, I); gan and kl: article only."),
    ] = "mmd",
    kernel: Annotated[
        Literal["imq", "rbf"] | None,
        typer.Option(help="Kernel of the MMD; article only.  [default: imq]"),
    ] = None,
    regularizer_weight: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            metavar="NUMBER",
            help="Weight of the regularizer, 0 to 1000000; article only.  "
            "[default: mmd 100, gan 10, kl 0.03]",
        ),
    ] = None,
    cost: Annotated[
        Literal["l2sq", "l2", "l1"] | None,
        typer.Option(help="Reconstruction cost; article only.  [default: l2sq]"),
    ] = None,
    decoder: Annotated[
        Literal["dcgan", "dcgan_mod"] | None,
        typer.Option(help="Decoder network; article only.  [default: dcgan]"),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Device to train on; auto takes CUDA where torch finds it."),
    ] = "auto",
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", help="Seed, 0 to 2147483647. The same seed, steps and machine give the same model."
        ),
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted fit stopped.")] = False,
    strict: StrictOption = False,
    recursive_anyway: RecursiveAnywayOption = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the training to this folder of TensorBoard runs."),
    ] = None,
    format_: FormatOption = None,
) -> None:
    """Learn a model from pictures of good parts alone.

    Trains, exports and calibrates, then makes the model the current one of the store.  Ctrl-C stops the
    fit and keeps a checkpoint; the same command with --resume continues from it.
    """
    from inspector import extras
    from inspector.bundle.folder import Bundle
    from inspector.commands.current import current_name, now_current
    from inspector.commands.output import print_result
    from inspector.commands.progress import shown_progress
    from inspector.imaging.subfolders import count_folders, folders_in_words

    budget = None if time_budget is None else seconds(time_budget)
    behind = colour(background, "--background")
    reject, review = read_rates(max_false_reject, max_review)
    files = good_images(normal_dir, anyway=recursive_anyway)  # before torch is loaded
    folders = count_folders(path.relative_to(normal_dir).as_posix() for path in files)
    models = extras.models()
    before = current_name() if output is None else None
    notes: list[str] = []
    try:
        with shown_progress() as progress:
            path = models.fit(
                normal_dir,
                name=name,
                output=output,
                preset=preset,
                time_budget_seconds=budget,
                steps=steps,
                max_false_reject=reject,
                max_review=review,
                image_size=image_size,
                latent_dim=latent_dim,
                width=width,
                split=split,
                background=behind,
                regularizer=regularizer,
                kernel=kernel,
                regularizer_weight=regularizer_weight,
                cost=cost,
                decoder=decoder,
                device=device,
                seed=seed,
                resume=resume,
                recursive_anyway=recursive_anyway,
                tensorboard=tensorboard,
                strict=strict,
                progress=progress,
                note=notes.append,
            )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command with --resume goes on from here", err=True)
        raise
    _print_notes(notes)
    bundle = Bundle.open(path, verify=False)
    promise = extras.thresholds().promise(bundle.calibration)
    remarks = [now_current(bundle.model.reference, before)] if output is None else []
    remarks += [*folders_in_words(folders), *suspicion_lines(bundle, normal_dir)]
    result = _result(bundle, normal_dir) | {"folders": folders}
    print_result(result, _table(bundle, promise), format_, remarks=remarks)
    if sys.stdout.isatty() and sys.stderr.isatty():
        typer.echo("next: inspector score PICTURE", err=True)


def _print_notes(notes: list[str]) -> None:
    """Name the first files that were left out, and count the others."""
    for line in notes[:NAMED_FILES]:
        typer.echo(line, err=True)
    if len(notes) > NAMED_FILES:
        typer.echo(f"left out: {len(notes) - NAMED_FILES} more, all named in the report", err=True)


def _result(bundle: Bundle, folder: Path) -> dict[str, Any]:
    calibration, training = bundle.calibration, bundle.manifest.training
    return {
        "model": bundle.model.model_dump(),
        "path": str(bundle.path),
        "report": str(bundle.path / "report.html"),
        "threshold": calibration.threshold,
        "promised_false_reject_rate": calibration.promised_false_reject_rate,
        "promise_kept": calibration.promise_kept,
        "images_missing": calibration.images_missing,
        "images": training.images,
        "heldout_images": training.heldout_images,
        "skipped_images": training.skipped_images,
        "full_scale": bundle.manifest.image.full_scale,
        "bits": bundle.manifest.image.bits,
        "smallest_picture": training.smallest_picture,
        "largest_picture": training.largest_picture,
        "steps": training.steps,
        "seconds": training.seconds,
        "figures": training.figures,
        "suspicious_images": training.suspicious_images,
        "most_unusual": [
            {"path": str(folder / one.name), **one.model_dump(exclude={"name"})}
            for one in training.most_unusual
        ],
    }


def _table(bundle: Bundle, promise: str) -> str:
    from inspector.commands.output import pairs
    from inspector.imaging.files import printable

    training = bundle.manifest.training
    skipped = f", {training.skipped_images} left out (see the report)" if training.skipped_images else ""
    return pairs(
        {
            "model": bundle.model.reference,
            "learned": f"{training.pictures_in_words()}{skipped}; {training.steps_in_words()}",
            **_picture_lines(bundle),
            **figure_lines(training.figures),
            "threshold": f"{bundle.calibration.threshold:.3f}",
            "promise": promise,
            "report": printable(bundle.path / "report.html"),
        }
    )


def _picture_lines(bundle: Bundle) -> dict[str, str]:
    """Return lines about the pictures: their brightness scale, and how much one pixel of the model covers."""
    lines = {
        "depth": bundle.manifest.image.depth_in_words(),
        "detail": bundle.manifest.coverage_in_words(),
    }
    return {name: line for name, line in lines.items() if line}


def suspicion_lines(bundle: Bundle, folder: Path) -> list[str]:
    """Say how many of the good pictures look suspicious, and name the three most unusual ones."""
    from inspector.imaging.files import printable

    training = bundle.manifest.training
    if not training.most_unusual:
        return []
    number, pictures = training.suspicious_images, training.images + training.heldout_images
    looks = "look" if number and number > 1 else "looks"
    said = f"{number or 'none'} of {pictures} pictures {looks} suspicious"
    lines = [f"{said}; the most unusual ones, to be checked by eye (see the report):"]
    for one in training.most_unusual:
        kind = f", {'held out' if one.held_out else 'learned from'}" if training.heldout_images else ""
        mark = ", suspicious" if one.suspicious else ""
        lines.append(f"  {printable(folder / one.name)}  score {one.score:.2f}{kind}{mark}")
    return lines


def figure_lines(figures: dict[str, float]) -> dict[str, str]:
    """Put the measurements on held-out pictures into words, one line each."""
    lines = {}
    if "error_reduction" in figures:
        error, mean_error = figures["heldout_squared_error"], figures["mean_picture_squared_error"]
        reduction = figures["error_reduction"]
        than = f"{abs(reduction):.0%} {'below' if reduction >= 0 else 'above'}"
        lines["held out"] = f"squared error {error:.1f}, {than} the mean picture's {mean_error:.1f}"
    if "prior_match_p_value" in figures:
        p_value, number = figures["prior_match_p_value"], figures["prior_match_pictures"]
        said = "rejected" if p_value < SIGNIFICANCE else "not rejected"
        lines["prior"] = f"match of {number:.0f} held-out latents {said} at 1 % (p = {p_value:.3g})"
    return lines
