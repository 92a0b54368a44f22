"""`inspector demo`: the whole way on rendered parts, from good pictures to a table of what was found."""

from __future__ import annotations

import shlex
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.fit import seconds
from inspector.imaging.files import printable

if TYPE_CHECKING:
    from inspector.demo.dataset import Mask, Pixels
    from inspector.scoring.detector import Detector

EXAMPLE = """
inspector demo
inspector demo --output /tmp/demo --parts 300 --time-budget 5m
"""

NAME = "demo"
GOOD, PER_KIND = 40, 20  # unseen pictures that the table counts
SHOWN_GOOD, SHOWN_PER_KIND = 2, 4  # of which heatmaps are written
GAP_PIXELS = 6
GAP_GREY, OUTLINE = 255, (255, 64, 160)


def demo(
    output: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where pictures, model and heatmaps go; new, empty or a demo's."),
    ] = Path("inspector-demo"),
    parts: Annotated[
        int, typer.Option(metavar="N", min=8, max=10_000, help="How many good parts to learn from.")
    ] = 120,
    size: Annotated[
        int, typer.Option(metavar="PX", min=64, max=4096, help="Side of the rendered pictures.")
    ] = 320,
    time_budget: Annotated[
        str, typer.Option(metavar="TIME", help="Bounds the learning, such as 90s or 5m.")
    ] = "4m",
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Train exactly so many steps, whatever time they take."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="Another seed gives other parts.")
    ] = 0,
) -> None:
    """Render machined parts, learn the good ones, and find the defects of others.

    Everything goes into one folder, the model too: your own models and the current one stay as they are.
    A demo that is run again replaces its pictures.
    """
    budget = seconds(time_budget)
    started = perf_counter()
    from inspector import extras

    models = extras.models()
    evaluation = extras.evaluation()
    pictures = output / "pictures"
    _refuse_foreign(output)
    _render(pictures, parts, size, seed)
    bundle = _fit(models, pictures, output / "store", budget=budget, steps=steps, seed=seed)

    import inspector
    from inspector.commands.counter import shown_count

    detector = inspector.open_model(bundle)
    with shown_count("inspecting") as progress:
        measured = evaluation.measure(detector, pictures / "test", progress=progress)
    page = output / "evaluation.html"
    extras.evaluation_page().write_evaluation(page, measured, detector)
    heatmaps = write_heatmaps(output / "heatmaps", pictures, detector)
    lines = [
        *_learned(extras.thresholds(), detector),
        "",
        *kind_table(measured, evaluation.auroc),
        "",
        f"report      {printable(bundle / 'report.html')}",
        f"evaluation  {printable(page)}",
        f"heatmaps    {printable(heatmaps)} and beside it",
        f"took        {perf_counter() - started:.0f} s",
        "",
        *_next_steps(pictures, bundle),
    ]
    typer.echo("\n".join(lines))


def _refuse_foreign(output: Path) -> None:
    """A folder that has something in it, but no rendered pictures, belongs to somebody else."""
    from inspector.bundle.atomic import storage_errors
    from inspector.demo.dataset import NOTE
    from inspector.errors import UsageError

    with storage_errors(output):
        foreign = output.exists() and any(output.iterdir()) and not (output / "pictures" / NOTE).is_file()
    if foreign:
        raise UsageError(
            f"--output {printable(output)} holds files that are not of a demo",
            hint="name a new or an empty folder",
        )


def _render(pictures: Path, parts: int, size: int, seed: int) -> None:
    from inspector.commands.counter import shown_count
    from inspector.demo.dataset import write_dataset

    typer.echo(f"rendering {parts} good parts, and others to test on, into {printable(pictures)}", err=True)
    with shown_count("rendering") as progress:
        write_dataset(
            pictures, train=parts, good=GOOD, per_kind=PER_KIND, size=size, seed=seed, progress=progress
        )


def _fit(models: Any, pictures: Path, store: Path, *, budget: float, steps: int | None, seed: int) -> Path:
    from inspector.commands.progress import shown_progress

    limit = f"in {budget:g} s at most" if steps is None else f"in {steps} steps"
    typer.echo(f"learning what good parts look like {limit}", err=True)
    with shown_progress() as progress:
        bundle: Path = models.fit(
            pictures / "train" / "good",
            name=NAME,
            store=store,
            preset="quick",
            time_budget_seconds=budget,
            steps=steps,
            seed=seed,
            progress=progress,
        )
    return bundle


def _learned(calibrate: Any, detector: Detector) -> list[str]:
    training, limit = detector.manifest.training, detector.calibration.threshold
    return [
        f"model       {detector.model.name}@{detector.model.version}, {training.steps} steps on "
        f"{training.images} good parts, calibrated on {training.heldout_images}",
        f"threshold   {limit:.2f}: a part with a higher score is rejected",
        f"promise     {calibrate.promise(detector.calibration)}",
    ]


def kind_table(measured: Any, auroc: Any) -> list[str]:
    """Lay out how many unseen parts of each kind were flagged.

    Parameters
    ----------
    measured : calibration.evaluation.Evaluation
        Scores of good parts, and of at least one kind of defect.
    auroc : callable
        `calibration.evaluation.auroc`.

    Returns
    -------
    list of str
        Lines of at most 80 columns.
    """
    import numpy as np

    def row(label: str, scores: list[Any], *, against_good: bool) -> str:
        flagged = sum(score.flagged for score in scores)
        share = f"{flagged / len(scores):.0%}" if scores else "-"
        area = auroc(good, np.array([score.score for score in scores])) if against_good else None
        shown = "-" if area is None else f"{area:.3f}"
        return f"{label:16}{len(scores):>9}{flagged:>9}{share:>9}{shown:>9}"

    good = np.array([score.score for score in measured.good])
    rows = [
        row(kind, [score for score in measured.defective if score.kind == kind], against_good=True)
        for kind in measured.kinds
    ]
    header = f"{'unseen parts':16}{'pictures':>9}{'flagged':>9}{'share':>9}{'AUROC':>9}"
    rule = "-" * len(header)
    return [
        header,
        rule,
        *rows,
        rule,
        row("all defects", measured.defective, against_good=True),
        row("good parts", measured.good, against_good=False),
    ]


def write_heatmaps(folder: Path, pictures: Path, detector: Detector) -> Path:
    """Write pictures beside their heatmaps and their true defects, and one sheet with one of each kind.

    Parameters
    ----------
    folder : Path
        Made where it does not exist; files of the same names are replaced.
    pictures : Path
        What `inspector.demo.dataset.write_dataset` wrote.
    detector : Detector
        The model.

    Returns
    -------
    Path
        Of the sheet.
    """
    import numpy as np

    from inspector.bundle.atomic import storage_errors, write_bytes
    from inspector.demo.dataset import KINDS
    from inspector.imaging.encode import encode_png

    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sheet = []
    for kind in ("good", *KINDS):
        shown = SHOWN_GOOD if kind == "good" else SHOWN_PER_KIND
        paths = sorted((pictures / "test" / kind).glob("*.png"))[:shown]
        strips = [_strip(path, pictures / "ground_truth" / kind, detector) for path in paths]
        for path, strip in zip(paths, strips, strict=True):
            write_bytes(folder / f"{kind}_{path.stem}.png", encode_png(strip), durable=False)
        sheet += strips[:1]
    gap = np.full((GAP_PIXELS, *sheet[0].shape[1:]), GAP_GREY, np.uint8)
    stacked = np.concatenate([piece for strip in sheet for piece in (gap, strip)][1:])
    write_bytes(folder / "overview.png", encode_png(stacked), durable=False)
    return folder / "overview.png"


def _strip(path: Path, truth: Path, detector: Detector) -> Pixels:
    """The picture, what the model found in it, and what is really there, side by side."""
    import numpy as np

    from inspector.imaging.decode import decode

    picture = decode(path).pixels
    drawn = detector.draw(detector.score(path), picture)
    found = picture if drawn is None else drawn
    mask_file = truth / f"{path.stem}_mask.png"
    real = picture
    if mask_file.is_file():
        real = _outlined(picture, decode(mask_file).pixels[..., 0] > 0)
    gap = np.full((picture.shape[0], GAP_PIXELS, 3), GAP_GREY, np.uint8)
    return np.concatenate([picture, gap, found, gap, real], axis=1)


def _outlined(picture: Pixels, mask: Mask) -> Pixels:
    """Draw a line around a mask, two pixels off it."""
    drawn = picture.copy()
    near = _grown(_grown(mask))
    drawn[_grown(near) & ~near] = OUTLINE
    return drawn


def _grown(mask: Mask) -> Mask:
    """The mask and its eight neighbours."""
    import numpy as np

    rows = np.pad(mask, 1)
    rows = rows[:-2] | rows[1:-1] | rows[2:]
    grown: Mask = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return grown


def _next_steps(pictures: Path, bundle: Path) -> list[str]:
    """Commands that use what the demo made."""
    model = f"--model {shlex.quote(str(bundle))}"
    test = shlex.quote(str(pictures / "test"))
    scratched = shlex.quote(str(pictures / "test" / "scratch" / "000.png"))
    return [
        "Go on with:",
        f"  inspector score {scratched} {model}",
        f"  inspector evaluate {test} {model}",
        "  inspector fit FOLDER-OF-YOUR-GOOD-PARTS",
    ]
