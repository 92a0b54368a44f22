"""`inspector models`: list, show, promote, remove, verify and move the models of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.main import command_example, plain_typer
from inspector.commands.options import FormatOption
from inspector.imaging.files import printable
from inspector.rate import show_rate

if TYPE_CHECKING:
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store

EXAMPLE = """
inspector models list
inspector models verify tiles
inspector models export tiles --output tiles.inspector
"""

models = plain_typer(invoke_without_command=True)


Reference = Annotated[
    str,
    typer.Argument(metavar="NAME[@VERSION]", help="A model of the store."),
]
AnyReference = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME[@VERSION]|PATH]", help="The model.  [default: the current model of the store]"
    ),
]


@models.callback()
def overview(ctx: typer.Context) -> None:
    """List, show, promote, remove, verify and move models."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@models.command("list", epilog=command_example("inspector models list --format json"))
def list_models(format_: FormatOption = None) -> None:
    """List every version of every model.

    In the table * marks the promoted version of each name, and > marks the current model.
    """
    from inspector.commands.output import print_result

    store = _store()
    rows = [
        _row(store, name, version) for name in store.names() for version in reversed(store.versions(name))
    ]
    print_result(rows, _table(rows), format_)
    if not rows:
        typer.echo(f"no model in {store.root}; 'inspector fit NORMAL_DIR' makes one", err=True)


@models.command(epilog=command_example("inspector models show tiles"))
def show(reference: AnyReference = None, format_: FormatOption = None) -> None:
    """Show the facts of a model: its origin, its promise and its folder."""
    from inspector.commands.output import pairs, print_result

    bundle = _open(reference)
    facts = _facts(bundle)
    print_result(facts, pairs(_shown(bundle, facts)), format_)


@models.command(epilog=command_example("inspector models promote tiles@2"))
def promote(reference: Reference) -> None:
    """Make a version the one that its NAME stands for, and the current model.

    Every digest is checked, and the golden pictures must reproduce their scores on this computer.
    """
    from inspector.scoring.detector import verify_bundle

    store = _store()
    parsed, before = store.parse(reference), store.current()
    bundle = store.promote(*parsed, verify=verify_bundle)
    _echo_current(f"promoted {bundle.model.reference}", bundle, before)


@models.command(epilog=command_example("inspector models rollback tiles"))
def rollback(name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the store.")]) -> None:
    """Promote the version that precedes the promoted one."""
    from inspector.errors import UsageError
    from inspector.scoring.detector import verify_bundle

    store = _store()
    found, version = store.parse(name)
    if version is not None:
        raise UsageError(
            f"rollback takes a name, not {name!r}", hint=f"inspector models promote {name} takes a version"
        )
    before = store.current()
    bundle = store.rollback(found, verify=verify_bundle)
    _echo_current(f"promoted {bundle.model.reference}", bundle, before)


@models.command(epilog=command_example("inspector models remove tiles@1"))
def remove(
    reference: Reference,
    force: Annotated[bool, typer.Option("--force", help="Remove even the promoted version.")] = False,
) -> None:
    """Remove one version of a model, or all versions if none is named.

    The promoted version is removed only if it is the last one, or with --force.
    """
    store = _store()
    name, version = store.parse(reference)
    removed = store.remove(name, version, force=force)
    typer.echo(f"removed {', '.join(f'{name}@{number}' for number in removed)}", err=True)


@models.command(epilog=command_example("inspector models verify tiles"))
def verify(reference: AnyReference = None, format_: FormatOption = None) -> None:
    """Check every digest of a model, and reproduce the scores of its golden pictures."""
    from inspector.commands.output import print_result
    from inspector.scoring.detector import Detector

    bundle = _open(reference)
    detector = Detector(bundle)
    detector.verify()
    result = {
        "model": detector.model.model_dump(),
        "files": len(bundle.manifest.files),
        "precision": detector.precision,
        "int8_problem": detector.int8_problem,
    }
    how = " with int8" if detector.precision == "int8" else ""
    verified = f"{bundle.model.reference}: {result['files']} files unchanged, golden pictures reproduced{how}"
    print_result(result, verified, format_)
    if detector.int8_problem:
        typer.echo(f"int8 is not used on this computer: {detector.int8_problem}", err=True)


@models.command(epilog=command_example("inspector models export tiles --output tiles.inspector"))
def export(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION]|PATH", help="The model.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file.  [default: ./NAME-vVERSION.inspector]"
        ),
    ] = None,
) -> None:
    """Write one model to one file, for another computer.

    Prints the path of the file alone, as scripts need it.
    """
    from inspector.bundle.archive import SUFFIX, pack

    bundle = _open(reference)
    manifest = bundle.manifest
    target = output or Path(f"{manifest.name}-v{manifest.version}{SUFFIX}")
    pack(bundle, target)
    typer.echo(target)


@models.command("import", epilog=command_example("inspector models import tiles.inspector"))
def import_model(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file that `inspector models export` wrote.")
    ],
) -> None:
    """Add an exported model to the store.

    Every digest and the golden pictures are checked first.  The model becomes the promoted version of its
    name, and the current model.
    """
    from inspector.scoring.detector import verify_bundle

    store = _store()
    before = store.current()
    bundle, is_new = store.import_model(file, verify=verify_bundle)
    if is_new:
        _echo_current(f"imported {bundle.model.reference}", bundle, before)
    else:
        typer.echo(f"{bundle.model.reference} is already there; nothing was changed", err=True)


# --- inside ---------------------------------------------------------------------------------


def _store() -> Store:
    from inspector.bundle.store import Store
    from inspector.settings import Settings

    return Store(Settings.from_environment().store)


def _open(reference: str | None) -> Bundle:
    from inspector.bundle.folder import Bundle

    return Bundle.open(_store().resolve(reference))


def _echo_current(done: str, bundle: Bundle, before: str | None) -> None:
    """Print the message of a command that made a model current, and the line about the current model."""
    from inspector.commands.current import now_current

    typer.echo(done, err=True)
    typer.echo(now_current(bundle.model.reference, before), err=True)


def _row(store: Store, name: str, version: int) -> dict[str, Any]:
    """Return the facts of one version for `list`; a damaged version has its error instead."""
    from inspector.bundle.folder import Bundle
    from inspector.errors import BundleError

    row: dict[str, Any] = {
        "name": name,
        "version": version,
        "promoted": version == store.promoted(name),
        "current": name == store.current() and version == store.promoted(name),
    }
    try:
        facts = _facts(Bundle.open(store.path(name, version), verify=False))
    except BundleError as error:
        return {**row, "error": error.message}
    return {**row, **facts, "name": name, "version": version, "error": None}


def _facts(bundle: Bundle) -> dict[str, Any]:
    manifest, calibration = bundle.manifest, bundle.calibration
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": bundle.digest,
        "created": manifest.created,
        "image_size": f"{manifest.image.width} x {manifest.image.height}",
        "architecture": manifest.architecture,
        "preset": manifest.training.preset,
        "normal_images": manifest.training.images,
        "training_heldout_images": manifest.training.heldout_images,
        "int8": None if manifest.int8 is None else manifest.int8.in_words(),
        "depth": manifest.image.depth_in_words(),
        "detail": manifest.coverage_in_words(),
        "heldout_images": len(calibration.heldout_scores),
        "suspicious_images": manifest.training.suspicious_images,
        "most_unusual": [one.name for one in manifest.training.most_unusual],
        "threshold": calibration.threshold,
        "review_threshold": calibration.review_threshold,
        "asked_false_reject_rate": calibration.asked_false_reject_rate,
        "promised_false_reject_rate": calibration.promised_false_reject_rate,
        "calibrated": calibration.created,
        "calibration_method": calibration.method,
        "calibration_source": calibration.source,
        "size_bytes": sum(entry.size_bytes for entry in manifest.files.values()),
        "path": str(bundle.path),
        "report": str(bundle.path / "report.html"),
    }


def _shown(bundle: Bundle, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts as `show` prints them for people: numbers of pictures and rates in words."""
    calibration = bundle.calibration
    in_words = {
        "normal_images": ("pictures", bundle.manifest.training.pictures_in_words()),
        "training_heldout_images": None,
        "heldout_images": ("threshold from", calibration.pictures_in_words()),
        "asked_false_reject_rate": ("asked", show_rate(calibration.asked_false_reject_rate)),
        "promised_false_reject_rate": (
            "promised",
            f"at most {show_rate(calibration.promised_false_reject_rate)} of good parts rejected, on average",
        ),
        "created": ("fitted", facts["created"]),
        "threshold": ("threshold", f"{calibration.threshold:.3f}"),
        "review_threshold": (
            "review threshold",
            None if calibration.review_threshold is None else f"{calibration.review_threshold:.3f}",
        ),
        "calibration_source": ("calibrated on", printable(calibration.source)),
        "most_unusual": ("most unusual", ", ".join(facts["most_unusual"]) or None),
    }
    shown = (in_words.get(name, (name.replace("_", " "), value)) for name, value in facts.items())
    return dict(filter(None, shown))


def _table(rows: list[dict[str, Any]]) -> str:
    """Lay out the versions, one line each; empty if there are none."""
    if not rows:
        return ""
    width = max(len("model"), *(len(f"{row['name']}@{row['version']}") for row in rows))
    lines = [
        f"   {'model':{width}}  {'fitted':16}  {'calibrated':16}  {'threshold':>9}  {'asked':>6}  "
        f"{'promised':>8}  {'MB':>6}"
    ]
    for row in rows:
        mark = f"{'>' if row['current'] else ' '}{'*' if row['promoted'] else ' '}"
        label = f"{mark} {row['name'] + '@' + str(row['version']):{width}}"
        if row["error"]:
            lines.append(f"{label}  damaged: {row['error']}")
            continue
        asked, promised = map(show_rate, (row["asked_false_reject_rate"], row["promised_false_reject_rate"]))
        lines.append(
            f"{label}  {row['created'][:16]:16}  {row['calibrated'][:16]:16}  {row['threshold']:9.2f}  "
            f"{asked:>6}  {promised:>8}  {row['size_bytes'] / 1e6:6.1f}"
        )
    return "\n".join(lines)
