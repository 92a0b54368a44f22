"""`inspector generate`: draw pictures from a model's prior, and find copies of training pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.options import ModelOption, RowsFormatOption, ThreadsOption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inspector.generation.memorisation import Neighbours
    from inspector.generation.training_images import TrainingPictures
    from inspector.scoring.autoencoder import AutoEncoder, Pixels

EXAMPLE = """
inspector generate --model tiles --count 16 --seed 1 --output grid.png
inspector generate --model tiles --output grid.png --images good-parts/ --neighbours nearest.png
inspector generate --model tiles --count 10 --columns 10 --output row.png --latents row.npy
"""


@dataclass(frozen=True)
class _Comparison:
    """Training pictures, and the nearest one of each sample."""

    training: TrainingPictures
    neighbours: Neighbours


def generate(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.png", help="PNG for the new pictures, as one grid."),
    ],
    model: ModelOption = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Number of pictures.")] = 16,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Seed. The same seed and model give the same pictures.")
    ] = 0,
    columns: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Pictures in a row.  [default: about as many as rows]"),
    ] = None,
    latents: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="Write the latents of the pictures, float32.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The training pictures.  [default: the folder of the fit]"),
    ] = None,
    neighbours: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Write each picture above its nearest training picture."),
    ] = None,
    format_: RowsFormatOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Draw new pictures from a model, and name those that are copies of training pictures.

    Latents are drawn from N(0, I), and the decoder turns them into pictures. Each picture is compared with
    the training pictures, because a model may repeat single training pictures.
    """
    from inspector.bundle.atomic import write_together
    from inspector.commands.output import print_result
    from inspector.commands.target import Target, check_extent, check_targets
    from inspector.generation import latent
    from inspector.imaging import montage
    from inspector.scoring.autoencoder import open_autoencoder

    named = (
        ("--output", output, ".png"),
        ("--latents", latents, ".npy"),
        ("--neighbours", neighbours, ".png"),
    )
    check_targets([Target(option, path, (suffix,)) for option, path, suffix in named if path is not None])
    autoencoder = open_autoencoder(model, threads=threads)
    columns = columns or montage.columns_for(count)
    height, width = montage.extent(count, columns, *autoencoder.size)
    check_extent(f"--count {count}", height, width, autoencoder.settings.max_pixels)
    training = _find_training(autoencoder, images, neighbours)
    drawn = latent.sample_prior(count, autoencoder.latent_shape, seed)
    samples = _decode(autoencoder, drawn)
    compared = None if training is None else _compare(autoencoder, samples, training)
    files = {output: _png(samples, columns)}
    if latents is not None:
        files[latents] = _npy(drawn)
    if neighbours is not None and compared is not None:
        files[neighbours] = _png(_above_nearest(autoencoder, samples, compared), columns)
    write_together(files)
    figures = _figures(autoencoder, seed, output, latents, samples, compared)
    print_result(figures, _table(figures), format_, rows="samples", remarks=_sentences(autoencoder, figures))


# --- the training pictures ------------------------------------------------------------------


def _find_training(
    autoencoder: AutoEncoder, folder: Path | None, neighbours: Path | None
) -> TrainingPictures | None:
    """Find the pictures that the model learned from: in `folder`, or else in the folder of the fit."""
    from inspector.commands.progress import shown_count
    from inspector.errors import UsageError
    from inspector.generation import training_images

    with shown_count("looking for training pictures") as progress:
        if folder is not None:
            return training_images.find(autoencoder.bundle, folder, progress)
        found = training_images.find_recorded(autoencoder.bundle, progress)
    if found is None and neighbours is not None:
        raise UsageError(
            "--neighbours needs the training pictures, and the folder of the fit is not here",
            hint="name the folder that holds them with --images DIR",
        )
    return found


def _compare(autoencoder: AutoEncoder, samples: list[Pixels], found: TrainingPictures) -> _Comparison:
    from inspector.commands.progress import shown_count
    from inspector.generation import memorisation

    with shown_count("comparing") as progress:
        outcome = memorisation.compare(
            samples, len(found.files), lambda number: autoencoder.prepare(found.files[number]), progress
        )
    return _Comparison(found, outcome)


# --- pictures -------------------------------------------------------------------------------


def _decode(autoencoder: AutoEncoder, drawn: NDArray[np.float32]) -> list[Pixels]:
    from inspector.commands.progress import shown_count

    samples = []
    with shown_count("generating") as progress:
        for each in drawn:
            samples.append(autoencoder.decode(each))
            progress(len(samples), len(drawn))
    return samples


def _above_nearest(autoencoder: AutoEncoder, samples: list[Pixels], compared: _Comparison) -> list[Pixels]:
    from inspector.imaging import montage

    nearest = (compared.training.files[number] for number in compared.neighbours.nearest)
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


# --- the result ------------------------------------------------------------------------------


def _figures(
    autoencoder: AutoEncoder,
    seed: int,
    output: Path,
    latents: Path | None,
    samples: list[Pixels],
    compared: _Comparison | None,
) -> dict[str, Any]:
    return {
        "model": autoencoder.model.model_dump(),
        "seed": seed,
        "count": len(samples),
        "output": str(output),
        "latents": None if latents is None else str(latents),
        **_outcome(compared),
        "samples": [_row(number, compared) for number in range(len(samples))],
    }


def _outcome(compared: _Comparison | None) -> dict[str, Any]:
    """Count the copies and state the limits; all is null without training pictures."""
    if compared is None:
        return {"training": None, "copies": None, "copy_rate": None, "limits": None}
    training, copies, limits = compared.training, compared.neighbours.memorised, compared.neighbours.limits
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
    found = compared.neighbours
    return {
        "sample": number,
        "nearest": str(compared.training.files[found.nearest[number]]),
        "distance": round(float(found.distance[number]), 3),
        "relative": round(float(found.relative[number]), 4),
        "copy": None if found.memorised is None else bool(found.memorised[number]),
    }


def _sentences(autoencoder: AutoEncoder, figures: dict[str, Any]) -> list[str]:
    """Put the outcome into words."""
    model = autoencoder.model.reference
    said = [f"wrote {figures['count']} pictures, drawn from {model} with seed {figures['seed']}"]
    grid = autoencoder.latent_shape[1:]
    if grid and grid != (1, 1):
        said.append(
            f"this model draws {grid[0]} x {grid[1]} patches independently of each other: "
            "expect textures and colours, not whole parts"
        )
    return [*said, *_copying(figures)]


def _copying(figures: dict[str, Any]) -> list[str]:
    from inspector.imaging.files import printable

    training, limits = figures["training"], figures["limits"]
    if training is None:
        return ["not compared: the training pictures are not here; name their folder with --images DIR"]
    said = []
    if not training["recognised"]:
        folder = printable(training["folder"])
        said.append(f"the model learned from no picture in {folder}, told by its content; all were compared")
    elif training["images"] < training["learned"]:
        said.append(f"of {training['learned']} training pictures {training['images']} were found")
    if limits is None:
        return [*said, "no copy rate: no training picture differs from another"]
    return [
        *said,
        f"{figures['copies']} of {figures['count']} pictures ({figures['copy_rate']:.0%}) copy one of "
        f"{training['images']} training pictures; at most {limits['chance']:.0%} of new "
        "pictures of the same kind would count as copies",
    ]


def _table(figures: dict[str, Any]) -> str:
    """Lay out the samples; empty without training pictures to compare them with."""
    from inspector.imaging.files import printable

    if figures["training"] is None:
        return ""
    marks = {True: "copy", False: "", None: "-"}
    lines = [f"{'sample':>6} {'distance':>9} {'relative':>9}  {'':4}  nearest training picture"]
    for row in figures["samples"]:
        name = printable(Path(row["nearest"]).name)
        numbers = f"{row['sample']:6d} {row['distance']:9.2f} {row['relative']:9.2f}"
        lines.append(f"{numbers}  {marks[row['copy']]:4}  {name}")
    if limits := figures["limits"]:
        lines.append(f"{'limits':>6} {limits['distance']:9.2f} {limits['relative']:9.2f}")
    return "\n".join([*lines, ""])
