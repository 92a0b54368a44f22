"""`inspector calibrate`: set new thresholds from new good pictures, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.options import (
    FormatOption,
    ModelOption,
    RecursiveAnywayOption,
    StrictOption,
    ThreadsOption,
    good_images,
    read_rates,
    settings_for,
)

if TYPE_CHECKING:
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store

EXAMPLE = """
inspector calibrate new-good-parts/ --model tiles
inspector calibrate new-good-parts/ --model tiles --max-false-reject 0.01 --max-review 0.1
inspector calibrate new-good-parts/ --model ./tiles-bundle --output ./tiles-bundle-2
"""

NAMED_FILES = 10  # of those that were skipped; the others are counted
NAMED_HIGHEST = 3  # pictures above the threshold before


def calibrate(
    normal_dir: Annotated[
        Path,
        typer.Argument(metavar="NORMAL_DIR", help="Good pictures that the model has not learned from."),
    ],
    model: ModelOption = None,
    max_false_reject: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Share of good parts that may fail, above 0 and below 1.  [default: the rate of the model]",
        ),
    ] = None,
    max_review: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Share of good parts that may be sent to review, above 0; with those that fail below 1.  "
            "[default: no review]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the new bundle to this folder instead of the store."),
    ] = None,
    strict: StrictOption = False,
    recursive_anyway: RecursiveAnywayOption = False,
    format_: FormatOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Set new thresholds from new good pictures, without training.

    The result is a new version of the model, promoted at once; it shares the networks of the old version.
    """
    from inspector import extras
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store
    from inspector.commands.current import now_current
    from inspector.commands.output import print_result
    from inspector.commands.progress import shown_count
    from inspector.imaging.subfolders import count_folders, folders_in_words

    reject, review = read_rates(max_false_reject, max_review)
    files = good_images(normal_dir, anyway=recursive_anyway, half="test")
    folders = count_folders(path.relative_to(normal_dir).as_posix() for path in files)
    recalibration = extras.recalibration()
    thresholds = extras.thresholds()
    settings = settings_for(threads)
    store = Store(settings.store)
    bundle = Bundle.open(store.resolve(model))
    before = store.current() if output is None else None
    with shown_count("calibrating") as progress:
        done = recalibration.recalibrate(
            bundle,
            normal_dir,
            output or _own_store(store, bundle),
            max_false_reject=reject,
            max_review=review,
            strict=strict,
            recursive_anyway=recursive_anyway,
            settings=settings,
            progress=progress,
        )
    _name_skipped(done.skipped)
    said = [*folders_in_words(folders), *done.above_before.in_words(), *done.scale.in_words()]
    changes = thresholds.changes(bundle.calibration, done.bundle.calibration)
    result = _result(done.bundle, done.images, len(done.skipped)) | {
        "folders": folders,
        "before": _before(bundle),
        "above_threshold_before": len(done.above_before.names),
        "highest_above_before": [str(normal_dir / name) for name in done.above_before.names[:NAMED_HIGHEST]],
        "more_above_than_promised": done.above_before.too_many,
        "changes": changes,
        "clipped_images": done.scale.clipped,
        "remarks": said,
    }
    above = f"{len(done.above_before.names)} of {done.images} new pictures score above it"
    table = _table(bundle, done.bundle, thresholds.promise(done.bundle.calibration), changes, above)
    remarks = said + ([now_current(done.bundle.model.reference, before)] if output is None else [])
    print_result(result, table, format_, remarks=remarks)


def _own_store(store: Store, bundle: Bundle) -> Store:
    """Return the store that holds a bundle; a bundle elsewhere needs `--output`."""
    from inspector.errors import UsageError
    from inspector.imaging.files import printable

    if bundle.path.resolve().is_relative_to(store.root.resolve()):
        return store
    raise UsageError(
        f"{printable(bundle.path)} is not in the store, so the store cannot take its next version",
        hint="name a folder for the new bundle with --output DIR",
    )


def _name_skipped(skipped: tuple[tuple[str, str], ...]) -> None:
    from inspector.imaging.files import printable

    for name, reason in skipped[:NAMED_FILES]:
        typer.echo(f"skipped {printable(name)}: {reason}", err=True)
    if skipped:
        files = "1 file was" if len(skipped) == 1 else f"{len(skipped)} files were"
        typer.echo(f"{files} skipped", err=True)


def _result(bundle: Bundle, images: int, skipped: int) -> dict[str, Any]:
    calibration = bundle.calibration
    return {
        "model": bundle.model.model_dump(),
        "path": str(bundle.path),
        "images": images,
        "skipped": skipped,
        "threshold": calibration.threshold,
        "review_threshold": calibration.review_threshold,
        "asked_false_reject_rate": calibration.asked_false_reject_rate,
        "promised_false_reject_rate": calibration.promised_false_reject_rate,
        "promise_kept": calibration.promise_kept,
        "images_missing": calibration.images_missing,
        "method": calibration.method,
        "report": str(bundle.path / "report.html"),
    }


def _before(bundle: Bundle) -> dict[str, Any]:
    calibration = bundle.calibration
    return {
        "model": bundle.model.model_dump(),
        "images": len(calibration.heldout_scores),
        "threshold": calibration.threshold,
        "review_threshold": calibration.review_threshold,
        "asked_false_reject_rate": calibration.asked_false_reject_rate,
        "promised_false_reject_rate": calibration.promised_false_reject_rate,
        "method": calibration.method,
        "calibrated": calibration.created,
    }


def _table(before: Bundle, bundle: Bundle, promise: str, changes: list[str], above: str) -> str:
    from inspector.commands.output import pairs
    from inspector.imaging.files import printable

    threshold, review = bundle.calibration.threshold, bundle.calibration.review_threshold
    return pairs(
        {
            "model": bundle.model.reference,
            "threshold": f"{threshold:.3f}" + ("" if review is None else f", review over {review:.3f}"),
            "before": f"{before.calibration.threshold:.3f} in {before.model.reference}; {above}",
            "different": "; ".join(map(printable, changes)) or "nothing",
            "promise": promise,
            "report": printable(bundle.path / "report.html"),
        }
    )
