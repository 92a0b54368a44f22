"""`inspector drift`: test whether a folder of pictures still looks like the good pictures of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.options import (
    FormatOption,
    ModelOption,
    RecursiveAnywayOption,
    ThreadsOption,
    good_images,
)

if TYPE_CHECKING:
    from inspector.drift import MmdTest
    from inspector.scoring.detector import Detector
    from inspector.scoring.preparation import ScaleTally

EXAMPLE = """
inspector drift monday/ --model tiles
inspector drift monday/ --model tiles@3 --format json
"""


def drift(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Pictures of one period, such as a day; folders below are searched."
        ),
    ],
    model: ModelOption = None,
    recursive_anyway: RecursiveAnywayOption = False,
    format_: FormatOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Test whether pictures still look like the good pictures of a model.

    A kernel two-sample test compares the latents of the pictures with those of the held-out good pictures.
    A p-value below 0.01 counts as drift: calibrate again, or check lamp, lens and supplier.
    """
    import inspector
    from inspector import drift as test
    from inspector.bundle.reference import count_used
    from inspector.commands.output import print_result
    from inspector.commands.progress import shown_count
    from inspector.scoring.preparation import ScaleTally

    pictures = good_images(folder, anyway=recursive_anyway, half="test", sorted_too=True)
    detector = inspector.open_model(model, threads=threads)
    with shown_count("reading") as progress:
        scale = ScaleTally(detector.manifest.image)
        rows, unreadable = test.latents(detector, pictures, progress, scale)
    outcome = test.compare(detector.bundle, rows, unreadable)
    used = count_used(detector.bundle, pictures)
    figures = _figures(detector, outcome, len(unreadable), scale, used)
    print_result(figures, _table(figures), format_, remarks=figures["remarks"])


def _figures(
    detector: Detector, outcome: MmdTest, invalid: int, scale: ScaleTally, used: int
) -> dict[str, Any]:
    from inspector.bundle.reference import used_in_words

    return {
        "model": detector.model.model_dump(),
        "images": outcome.rows,
        "invalid": invalid,
        "reference_images": outcome.reference_rows,
        "statistic": outcome.statistic,
        "p_value": outcome.p_value,
        "drifted": outcome.drifted,
        "clipped_images": scale.clipped,
        "used_in_fit": used,
        "remarks": [*used_in_words(used, outcome.rows + invalid), *scale.in_words()],
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
