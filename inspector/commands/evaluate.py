"""`inspector evaluate`: measure how well a model tells good from defective pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from inspector.commands.options import FormatOption, ModelOption, ThreadsOption

EXAMPLE = """
inspector evaluate tiles/test --model tiles
inspector evaluate tiles/test --format json > figures.json
inspector evaluate tiles/test --report tiles.html
"""


def evaluate(
    test_dir: Annotated[
        Path,
        typer.Argument(
            metavar="TEST_DIR",
            help="Folder with good/ and one folder for each kind of defect. Masks are read from "
            "TEST_DIR/../ground_truth/KIND/NAME_mask.png; other names are matched where they are clear.",
        ),
    ],
    model: ModelOption = None,
    format_: FormatOption = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an HTML page with the figures and the worst mistakes."),
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure a model on labelled pictures: AUROC, false rejects, misses, and how well maps match masks."""
    import inspector
    from inspector import extras
    from inspector.commands.output import print_result
    from inspector.commands.progress import shown_count
    from inspector.imaging.unusable import counted

    evaluation = extras.evaluation()
    page = extras.evaluation_page()
    _check_report(report)
    detector = inspector.open_model(model, threads=threads)
    with shown_count("evaluating") as progress:
        measured = evaluation.measure(detector, test_dir, progress=progress)
    figures = measured.figures()
    print_result(figures, figures_table(figures), format_, remarks=figures["remarks"])
    if left_out := evaluation.invalid(measured.scores):
        said = f"{len(left_out)} of {len(measured.scores)} pictures are invalid, and count as rejected"
        typer.echo(f"{said}: {counted(left_out)}", err=True)
    for sentence in measured.masks.sentences():
        typer.echo(f"masks: {sentence}", err=True)
    if report is not None:
        page.write_evaluation(report, measured, detector)
        typer.echo(f"report: {report}", err=True)


def _check_report(report: Path | None) -> None:
    """Refuse a page that cannot be written, before the work begins."""
    from inspector.bundle.atomic import check_writable
    from inspector.errors import UsageError
    from inspector.imaging.files import printable

    if report is None:
        return
    if report.is_dir():
        raise UsageError(f"--report {printable(report)} is a folder", hint="name a file, such as report.html")
    if not report.parent.is_dir():
        raise UsageError(
            f"--report {printable(report)}: the folder {printable(report.parent)} does not exist",
            hint="make the folder first, or name another one",
        )
    check_writable(report)


def figures_table(figures: dict[str, Any]) -> str:
    """Lay out the figures for people."""
    from inspector.imaging.files import printable

    image, pixel, masks = figures["image"], figures["pixel"], figures["masks"]
    lines = [
        f"{figures['model']['name']}@{figures['model']['version']} on {figures['images']} pictures, "
        f"{figures['milliseconds_per_image']:.1f} ms each",
        "",
        f"{'image AUROC':22} {_share(image['auroc'])}  {_interval(image['auroc_interval'])}",
        f"{'average precision':22} {_share(image['ap'])}",
        f"{'F1 at the threshold':22} {_share(image['f1'])}  threshold {image['threshold']:.2f}",
        f"{'good rejected':22} {_rate(image['false_reject_rate'])}  {_rates(image['false_reject_interval'])}",
        f"{'defects missed':22} {_rate(image['miss_rate'])}",
    ]
    if pixel is not None:
        lines += [
            f"{'pixel AUROC':22} {_share(pixel['auroc'])}  "
            f"masks of {pixel['masks']} of {masks['defective_images']} pictures of defects",
            f"{'AUPRO up to 0.3':22} {_share(pixel['aupro'])}",
        ]
    if figures["kinds"]:
        width = max(22, *(len(printable(kind)) for kind in figures["kinds"]))
        lines += ["", f"{'kind':{width}} {'AUROC':>7}  {'missed':>7}  pictures"]
        lines += [
            f"{printable(kind):{width}} {_share(row['auroc'])}  {_rate(row['miss_rate'])}  {row['images']:8d}"
            for kind, row in figures["kinds"].items()
        ]
        lines += ["", f"{'component':{width}} {'AUROC':>7}"]
        lines += [f"{name:{width}} {_share(row['auroc'])}" for name, row in figures["components"].items()]
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return f"{'-' if value is None else format(value, '.3f'):>7}"


def _rate(value: float | None) -> str:
    return f"{'-' if value is None else format(100 * value, '.1f') + ' %':>7}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}"


def _rates(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"95 % interval {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
