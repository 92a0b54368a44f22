"""`inspector drift`: whether a folder of pictures still looks like the normals that a model knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.options import ModelArgument, ThreadsOption
from inspector.commands.output import FigureFormat, default_figure_format

if TYPE_CHECKING:
    from inspector.drift import MmdTest
    from inspector.scoring.detector import Detector

EXAMPLE = """
inspector drift tiles monday/
inspector drift tiles@3 monday/ --format json
"""


def drift(
    model: ModelArgument,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Pictures of one period of time; searched below, too.")
    ],
    format_: Annotated[
        FigureFormat | None,
        typer.Option("--format", help="How to print; table on a terminal, json when piped."),
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Test whether pictures still come from where the model's normals came from.

    A kernel two-sample test of their codes against those of the normals that set the thresholds. A p-value
    below 0.01 counts as drift: calibrate again, or look at lamp, lens and supplier.
    """
    import inspector
    from inspector import drift as test
    from inspector.bundle.atomic import storage_errors
    from inspector.commands.counter import shown_count
    from inspector.errors import NoImagesError
    from inspector.imaging.files import list_images, printable

    with storage_errors(folder):
        pictures = list_images(folder) if folder.is_dir() else []
    if not pictures:
        found = "holds no picture" if folder.is_dir() else "is not a folder"
        raise NoImagesError(f"{printable(folder)} {found}", hint="give a folder that holds pictures")
    detector = inspector.open_model(model, threads=threads)
    with shown_count("reading") as progress:
        rows, invalid = test.latents(detector, pictures, progress)
    outcome = test.compare(detector.bundle, rows)
    figures = _figures(detector, outcome, invalid)
    chosen = format_ or default_figure_format()
    typer.echo(json.dumps(figures) if chosen is FigureFormat.JSON else _table(figures))


def _figures(detector: Detector, outcome: MmdTest, invalid: int) -> dict[str, Any]:
    return {
        "model": detector.model.model_dump(),
        "images": outcome.rows,
        "invalid": invalid,
        "reference_images": outcome.reference_rows,
        "statistic": outcome.statistic,
        "p_value": outcome.p_value,
        "drifted": outcome.drifted,
    }


def _table(figures: dict[str, Any]) -> str:
    model = f"{figures['model']['name']}@{figures['model']['version']}"
    left_out = f", {figures['invalid']} could not be read" if figures["invalid"] else ""
    verdict = (
        "drifted: these pictures differ from the normals of the model"
        if figures["drifted"]
        else "no drift found"
    )
    lines = [
        f"{model}: {figures['images']} pictures against {figures['reference_images']} normals{left_out}",
        "",
        f"{'squared MMD':16} {figures['statistic']:9.5f}",
        f"{'p-value':16} {figures['p_value']:9.4f}  drift below 0.01",
        "",
        verdict,
    ]
    return "\n".join(lines)
