"""`inspector calibrate`: new thresholds from new good pictures, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.options import ModelArgument

if TYPE_CHECKING:
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store

EXAMPLE = """
inspector calibrate tiles new-good-parts/
inspector calibrate tiles new-good-parts/ --max-false-reject 0.01 --max-review 0.1
inspector calibrate ./tiles-bundle new-good-parts/ --output ./tiles-bundle-2
"""


def calibrate(
    model: ModelArgument,
    normal_dir: Annotated[
        Path, typer.Argument(metavar="NORMAL_DIR", help="Good pictures that the model has not learned from.")
    ],
    max_false_reject: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Good parts that may fail; as asked for at the fit without it."),
    ] = None,
    max_review: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", help="Good parts that may be sent to review beside them; off without it."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the bundle there instead of into the store.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse the folder if a picture is damaged.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=0, max=1024, help="Threads to compute with; 0 is one for each core.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Set new thresholds from new good pictures.

    The result is a new version of the model, promoted at once; it shares the networks of the old one.
    """
    from inspector import extras
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store
    from inspector.commands.counter import shown_count
    from inspector.settings import Settings

    recalibration = extras.recalibration()
    settings = Settings.from_environment()
    if threads is not None:
        settings = settings.model_copy(update={"threads": threads})
    store = Store(settings.store)
    bundle = Bundle.open(store.resolve(model))
    target = output or _own_store(store, bundle)
    with shown_count("calibrating") as progress:
        done = recalibration.recalibrate(
            bundle,
            normal_dir,
            target,
            max_false_reject=max_false_reject,
            max_review=max_review,
            strict=strict,
            settings=settings,
            progress=progress,
        )
    _say_skipped(done.skipped)
    summary = _summary(done.bundle, done.images, done.skipped)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        promise = extras.thresholds().promise(done.bundle.calibration)
        typer.echo(_sentences(done.bundle, promise))


def _own_store(store: Store, bundle: Bundle) -> Store:
    """Return the store that a bundle belongs to; one that lies elsewhere needs `--output`."""
    from inspector.errors import UsageError
    from inspector.imaging.files import printable

    if bundle.path.resolve().is_relative_to(store.root.resolve()):
        return store
    raise UsageError(
        f"{printable(bundle.path)} is not in the store, so it gets no next version there",
        hint="say with --output DIR where the new bundle shall be written",
    )


def _say_skipped(skipped: tuple[tuple[str, str], ...]) -> None:
    from inspector.imaging.files import printable

    for name, reason in skipped[:10]:
        typer.echo(f"skipped {printable(name)}: {reason}", err=True)
    if skipped:
        typer.echo(f"{len(skipped)} files were skipped", err=True)


def _summary(bundle: Bundle, images: int, skipped: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    calibration = bundle.calibration
    return {
        "model": {"name": bundle.manifest.name, "version": bundle.manifest.version, "digest": bundle.digest},
        "path": str(bundle.path),
        "images": images,
        "skipped": len(skipped),
        "threshold": calibration.threshold,
        "review_threshold": calibration.review_threshold,
        "asked_false_reject_rate": calibration.asked_false_reject_rate,
        "promised_false_reject_rate": calibration.promised_false_reject_rate,
        "promise_kept": calibration.promise_kept,
        "images_missing": calibration.images_missing,
        "report": str(bundle.path / "report.html"),
    }


def _sentences(bundle: Bundle, promise: str) -> str:
    from inspector.imaging.files import printable

    calibration = bundle.calibration
    review = calibration.review_threshold
    lines = [
        f"model      {bundle.manifest.name}@{bundle.manifest.version}",
        f"threshold  {calibration.threshold:.3f}" + ("" if review is None else f", review over {review:.3f}"),
        f"promise    {promise}",
        f"report     {printable(bundle.path / 'report.html')}",
    ]
    return "\n".join(lines)
