"""`inspector demo`: the whole way on rendered parts, from good pictures to a table of the defects found."""

from __future__ import annotations

import shlex
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.options import FormatOption, seconds
from inspector.imaging.files import printable

if TYPE_CHECKING:
    from inspector.scoring.detector import Detector

EXAMPLE = """
inspector demo
inspector demo --output /tmp/demo --parts 300 --time-budget 5m
"""

NAME = "demo"
GOOD, PER_KIND = 40, 20  # unseen pictures that the table counts


def demo(
    output: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder for pictures, model and heatmaps: a new or empty one, or that of an earlier demo.",
        ),
    ] = Path("inspector-demo"),
    parts: Annotated[
        int, typer.Option(metavar="N", min=8, max=10_000, help="Number of good parts to learn from.")
    ] = 120,
    size: Annotated[
        int, typer.Option(metavar="PX", min=64, max=4096, help="Side of the rendered pictures in pixels.")
    ] = 320,
    time_budget: Annotated[
        str, typer.Option(metavar="TIME", help="Time for the fit, 1s to 168h, such as 90s or 5m.")
    ] = "4m",
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Train exactly this many steps, whatever time they take.  "
            "[default: as many as the time allows]",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=2**31 - 1, help="Seed of parts and fit; another seed renders other parts."
        ),
    ] = 0,
    format_: FormatOption = None,
) -> None:
    """Render machined parts, learn the good ones, and find the defects of others.

    All files and the model go into one folder.  Your own models stay as they are, and so does the current
    model.  A second demo replaces the pictures of the first.
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
    from inspector.commands.output import print_result
    from inspector.commands.progress import shown_count
    from inspector.demo.overview import write_heatmaps

    detector = inspector.open_model(bundle)
    with shown_count("inspecting") as progress:
        measured = evaluation.measure(detector, pictures / "test", progress=progress)
    page = output / "evaluation.html"
    extras.evaluation_page().write_evaluation(page, measured, detector)
    sheet = write_heatmaps(output / "heatmaps", pictures, detector)
    result = _result(measured, detector, page, sheet, perf_counter() - started)
    promise = extras.thresholds().promise(detector.calibration)
    lines = [
        *_learned(detector, promise),
        "",
        *kind_table(measured, evaluation.auroc),
        "",
        *_made(result),
        "",
        *_next_steps(pictures, bundle),
    ]
    print_result(result, "\n".join(lines), format_)


def _refuse_foreign(output: Path) -> None:
    """Refuse a folder that holds files but no rendered pictures: it is not ours to write to."""
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
    from inspector.commands.progress import shown_count
    from inspector.demo.dataset import write_dataset

    typer.echo(f"rendering {parts} good parts, and others to test on, into {printable(pictures)}", err=True)
    with shown_count("rendering") as progress:
        write_dataset(
            pictures, train=parts, good=GOOD, per_kind=PER_KIND, size=size, seed=seed, progress=progress
        )


def _fit(models: Any, pictures: Path, store: Path, *, budget: float, steps: int | None, seed: int) -> Path:
    from inspector.commands.progress import shown_progress

    limit = f"in {budget:g} s at most" if steps is None else f"in {steps} step{'' if steps == 1 else 's'}"
    typer.echo(f"learning the look of good parts {limit}", err=True)
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


def _result(
    measured: Any, detector: Detector, page: Path, sheet: Path, elapsed_seconds: float
) -> dict[str, Any]:
    bundle = detector.bundle.path
    return {
        **measured.figures(),
        "promised_false_reject_rate": detector.calibration.promised_false_reject_rate,
        "path": str(bundle),
        "report": str(bundle / "report.html"),
        "evaluation": str(page),
        "heatmaps": str(sheet),
        "seconds": round(elapsed_seconds, 1),
    }


def _learned(detector: Detector, promise: str) -> list[str]:
    training, limit = detector.manifest.training, detector.calibration.threshold
    return [
        f"model       {detector.model.reference}",
        f"learned     {training.pictures_in_words()}; {training.steps_in_words()}",
        f"threshold   {limit:.2f}: a part with a higher score is rejected",
        f"promise     {promise}",
    ]


def _made(result: dict[str, Any]) -> list[str]:
    return [
        f"report      {printable(result['report'])}",
        f"evaluation  {printable(result['evaluation'])}",
        f"heatmaps    {printable(result['heatmaps'])} and beside it",
        f"took        {result['seconds']:.0f} s",
    ]


def kind_table(measured: Any, auroc: Any) -> list[str]:
    """Lay out how many unseen parts of each kind the model flagged.

    Parameters
    ----------
    measured : calibration.evaluation.Evaluation
        Scores of good parts, and of at least one kind of defect.
    auroc : callable
        `calibration.image_metrics.auroc`.

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


def _next_steps(pictures: Path, bundle: Path) -> list[str]:
    """Return commands that use the files of the demo."""
    model = f"--model {shlex.quote(str(bundle))}"
    test = shlex.quote(str(pictures / "test"))
    scratched = shlex.quote(str(pictures / "test" / "scratch" / "000.png"))
    return [
        "Go on with:",
        f"  inspector score {scratched} {model}",
        f"  inspector evaluate {test} {model}",
        "  inspector fit FOLDER-OF-YOUR-GOOD-PARTS",
    ]
