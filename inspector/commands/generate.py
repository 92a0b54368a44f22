"""`inspector generate`: pictures drawn from a model's prior, and whether they copy training pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.options import ModelArgument, ThreadsOption
from inspector.commands.output import RowFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inspector.generation.memorisation import Resemblance
    from inspector.generation.training_images import TrainingPictures
    from inspector.scoring.autoencoder import AutoEncoder, Pixels

EXAMPLE = """
inspector generate tiles --count 16 --seed 1 --output grid.png
inspector generate tiles --output grid.png --images good-parts/ --neighbours nearest.png
inspector generate tiles --count 10 --columns 10 --output row.png --codes row.npy
"""


@dataclass(frozen=True)
class _Comparison:
    """What samples were compared with, and the outcome."""

    training: TrainingPictures
    resemblance: Resemblance


def generate(
    model: ModelArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.png", help="Where the pictures go, as one grid.")
    ],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many pictures.")] = 16,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Same seed and model: same pictures.")] = 0,
    columns: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Pictures in a row; about as many as rows without it."),
    ] = None,
    codes: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="Write their codes there, float32.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The training pictures; the folder of the fit without it."),
    ] = None,
    neighbours: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Write each picture above its nearest training picture."),
    ] = None,
    format_: Annotated[
        RowFormat | None,
        typer.Option("--format", help="How to print; table on a terminal, jsonl when piped."),
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Draw new pictures from a model, and tell which are copies.

    Codes are drawn from the prior, and the decoder makes pictures of them. Each is compared with the
    training pictures: does the model make something new, or show what it learned from?
    """
    from inspector.bundle.atomic import write_together
    from inspector.commands.target import Target, check_extent, check_targets
    from inspector.generation import latent
    from inspector.imaging import montage
    from inspector.scoring.autoencoder import open_autoencoder

    named = (("--output", output, ".png"), ("--codes", codes, ".npy"), ("--neighbours", neighbours, ".png"))
    check_targets([Target(option, path, (suffix,)) for option, path, suffix in named if path is not None])
    autoencoder = open_autoencoder(model, threads=threads)
    columns = columns or montage.columns_for(count)
    height, width = montage.extent(count, columns, *autoencoder.size)
    check_extent(f"--count {count}", height, width, autoencoder.settings.max_pixels)
    training = _find_training(autoencoder, images, neighbours)
    drawn = latent.draw(count, autoencoder.latent_shape, seed)
    samples = _decode(autoencoder, drawn)
    compared = None if training is None else _compare(autoencoder, samples, training)
    files = {output: _png(samples, columns)}
    if codes is not None:
        files[codes] = _npy(drawn)
    if neighbours is not None and compared is not None:
        files[neighbours] = _png(_above_nearest(autoencoder, samples, compared), columns)
    write_together(files)
    figures = _figures(autoencoder, seed, output, codes, samples, compared)
    _print(figures, _sentences(autoencoder, figures), format_)


# --- the training pictures ------------------------------------------------------------------


def _find_training(
    autoencoder: AutoEncoder, folder: Path | None, neighbours: Path | None
) -> TrainingPictures | None:
    """Find what the model learned from, in the folder named or else in that of its fit."""
    from inspector.commands.counter import shown_count
    from inspector.errors import UsageError
    from inspector.generation import training_images

    with shown_count("looking for training pictures") as progress:
        if folder is not None:
            return training_images.find(autoencoder.bundle, folder, progress)
        found = training_images.find_recorded(autoencoder.bundle, progress)
    if found is None and neighbours is not None:
        raise UsageError(
            "--neighbours needs the training pictures, and the folder of the fit is not here",
            hint="--images DIR names another folder that holds them",
        )
    return found


def _compare(autoencoder: AutoEncoder, samples: list[Pixels], found: TrainingPictures) -> _Comparison:
    from inspector.commands.counter import shown_count
    from inspector.generation import memorisation

    with shown_count("comparing") as progress:
        outcome = memorisation.compare(
            samples, len(found.files), lambda number: autoencoder.prepare(found.files[number]), progress
        )
    return _Comparison(found, outcome)


# --- pictures -------------------------------------------------------------------------------


def _decode(autoencoder: AutoEncoder, drawn: NDArray[np.float32]) -> list[Pixels]:
    from inspector.commands.counter import shown_count

    samples = []
    with shown_count("generating") as progress:
        for code in drawn:
            samples.append(autoencoder.decode(code))
            if progress:
                progress(len(samples), len(drawn))
    return samples


def _above_nearest(autoencoder: AutoEncoder, samples: list[Pixels], compared: _Comparison) -> list[Pixels]:
    from inspector.imaging import montage

    nearest = (compared.training.files[number] for number in compared.resemblance.nearest)
    return [
        montage.stack(sample, autoencoder.prepare(file))
        for sample, file in zip(samples, nearest, strict=True)
    ]


def _png(pictures: list[Pixels], columns: int) -> bytes:
    from inspector.imaging import montage
    from inspector.imaging.encode import encode_png

    return encode_png(montage.lay_out(pictures, columns))


def _npy(drawn: NDArray[np.float32]) -> bytes:
    from io import BytesIO

    import numpy as np

    stream = BytesIO()
    np.save(stream, drawn, allow_pickle=False)
    return stream.getvalue()


# --- what is printed ------------------------------------------------------------------------


def _figures(
    autoencoder: AutoEncoder,
    seed: int,
    output: Path,
    codes: Path | None,
    samples: list[Pixels],
    compared: _Comparison | None,
) -> dict[str, Any]:
    return {
        "model": autoencoder.model.model_dump(),
        "seed": seed,
        "count": len(samples),
        "output": str(output),
        "codes": None if codes is None else str(codes),
        **_outcome(compared),
        "samples": [_row(number, compared) for number in range(len(samples))],
    }


def _outcome(compared: _Comparison | None) -> dict[str, Any]:
    """How many are copies, and by which measure; null where there is nothing to compare with."""
    if compared is None:
        return {"training": None, "copies": None, "copy_rate": None, "limits": None}
    training, copies, limits = compared.training, compared.resemblance.copies, compared.resemblance.limits
    return {
        "training": {
            "folder": str(training.folder),
            "images": len(training.files),
            "recognised": training.recognised,
            "learned": training.learned,
        },
        "copies": None if copies is None else int(copies.sum()),
        "copy_rate": None if copies is None else float(copies.mean()),
        "limits": None if limits is None else vars(limits),
    }


def _row(number: int, compared: _Comparison | None) -> dict[str, Any]:
    if compared is None:
        return {"sample": number, "nearest": None, "distance": None, "relative": None, "copy": None}
    found = compared.resemblance
    return {
        "sample": number,
        "nearest": str(compared.training.files[found.nearest[number]]),
        "distance": round(float(found.distance[number]), 3),
        "relative": round(float(found.relative[number]), 4),
        "copy": None if found.copies is None else bool(found.copies[number]),
    }


def _sentences(autoencoder: AutoEncoder, figures: dict[str, Any]) -> list[str]:
    """The outcome in words."""
    said = [f"wrote {figures['count']} pictures, drawn with seed {figures['seed']}"]
    places = autoencoder.latent_shape[1:]
    if places and places != (1, 1):
        said.append(
            f"this model draws {places[0]} x {places[1]} places, each by itself: "
            "expect its textures and colours, not whole parts"
        )
    return [*said, *_copying(figures)]


def _copying(figures: dict[str, Any]) -> list[str]:
    from inspector.imaging.files import printable

    training, limits = figures["training"], figures["limits"]
    if training is None:
        return ["not compared with training pictures, which are not here; --images DIR says where they are"]
    said = []
    if not training["recognised"]:
        folder = printable(training["folder"])
        said.append(f"the model knows no picture of {folder} by its content; all of them were compared")
    elif training["images"] < training["learned"]:
        said.append(f"of {training['learned']} training pictures {training['images']} were found")
    if limits is None:
        return [*said, "no copy rate: no training picture differs from another"]
    return [
        *said,
        f"{figures['copies']} of {figures['count']} pictures ({figures['copy_rate']:.0%}) copy one of "
        f"{training['images']} training pictures; of new pictures of the same kind at most "
        f"{limits['chance']:.0%} would seem to",
    ]


def _print(figures: dict[str, Any], sentences: list[str], format_: RowFormat | None) -> None:
    from inspector.commands.output import default_row_format

    chosen = format_ or default_row_format()
    if chosen is RowFormat.JSON:
        typer.echo(json.dumps(figures))
        return
    if chosen is RowFormat.JSONL:
        typer.echo("\n".join(map(json.dumps, figures["samples"])))
    elif figures["training"] is not None:
        typer.echo(_table(figures))
    for sentence in sentences:
        typer.echo(sentence, err=chosen is RowFormat.JSONL)


def _table(figures: dict[str, Any]) -> str:
    from inspector.imaging.files import printable

    marks = {True: "copy", False: "", None: "-"}
    lines = [f"{'sample':>6} {'distance':>9} {'relative':>9}  {'':4}  nearest training picture"]
    for row in figures["samples"]:
        name = printable(Path(row["nearest"]).name)
        numbers = f"{row['sample']:6d} {row['distance']:9.2f} {row['relative']:9.2f}"
        lines.append(f"{numbers}  {marks[row['copy']]:4}  {name}")
    if limits := figures["limits"]:
        lines.append(f"{'limits':>6} {limits['distance']:9.2f} {limits['relative']:9.2f}")
    return "\n".join([*lines, ""])
