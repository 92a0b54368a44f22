"""`inspector models`: what is in the store, which version counts, and how a model travels."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inspector.commands.main import command_example, plain_typer

if TYPE_CHECKING:
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store

EXAMPLE = """
inspector models list
inspector models verify tiles
inspector models export tiles --output tiles.inspector
"""

models = plain_typer(invoke_without_command=True)


class Format(StrEnum):
    """Values of `--format`."""

    TABLE = "table"
    JSON = "json"


Reference = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A model of the store.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print.")]


@models.callback()
def overview(ctx: typer.Context) -> None:
    """See, check, promote, remove and move models."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@models.command("list", epilog=command_example("inspector models list --format json"))
def list_models(format_: FormatOption = Format.TABLE) -> None:
    """List every version of every model.

    In the table * marks the promoted version of a name, and > the current model.
    """
    store = _store()
    rows = [
        _row(store, name, version) for name in store.names() for version in reversed(store.versions(name))
    ]
    if format_ is Format.JSON:
        _print_json(rows)
    elif not rows:
        typer.echo(f"no model in {store.root}; 'inspector fit NORMAL_DIR' makes one", err=True)
    else:
        _print_table(rows)


@models.command(epilog=command_example("inspector models show tiles"))
def show(
    reference: Annotated[
        str | None, typer.Argument(metavar="[NAME[@VERSION]|PATH]", help="The current model without it.")
    ] = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Show what a model is and promises, and where it lies."""
    bundle = _open(reference)
    facts = _facts(bundle)
    if format_ is Format.JSON:
        _print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):{width}}  {'-' if value is None else value}")


@models.command(epilog=command_example("inspector models promote tiles@2"))
def promote(reference: Reference) -> None:
    """Let NAME stand for a version, and make it current.

    Every digest is checked, and the golden images have to reproduce their scores on this computer.
    """
    from inspector.scoring.detector import verify_bundle

    store = _store()
    bundle = store.promote(*store.parse(reference), verify=verify_bundle)
    typer.echo(f"promoted {_label(bundle)}", err=True)


@models.command(epilog=command_example("inspector models rollback tiles"))
def rollback(name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the store.")]) -> None:
    """Promote the version before the promoted one."""
    from inspector.errors import UsageError
    from inspector.scoring.detector import verify_bundle

    store = _store()
    found, version = store.parse(name)
    if version is not None:
        raise UsageError(
            f"rollback takes a name, not {name!r}", hint=f"inspector models promote {name} takes a version"
        )
    typer.echo(f"promoted {_label(store.rollback(found, verify=verify_bundle))}", err=True)


@models.command(epilog=command_example("inspector models remove tiles@1"))
def remove(
    reference: Reference,
    force: Annotated[bool, typer.Option("--force", help="Remove even the promoted version.")] = False,
) -> None:
    """Remove one version, or all of a model.

    Without a version the model goes with all of them.  The promoted version goes only if it is the
    last one, or with --force.
    """
    store = _store()
    name, version = store.parse(reference)
    removed = store.remove(name, version, force=force)
    typer.echo(f"removed {', '.join(f'{name}@{number}' for number in removed)}", err=True)


@models.command(epilog=command_example("inspector models verify tiles"))
def verify(
    reference: Annotated[
        str | None, typer.Argument(metavar="[NAME[@VERSION]|PATH]", help="The current model without it.")
    ] = None,
) -> None:
    """Check every digest and the golden images of a model."""
    from inspector.scoring.detector import Detector

    bundle = _open(reference)
    detector = Detector(bundle)
    detector.verify()
    how = " with int8" if detector.precision == "int8" else ""
    typer.echo(
        f"{_label(bundle)}: {len(bundle.manifest.files)} files unchanged, golden images reproduced{how}",
        err=True,
    )
    if detector.int8_problem:
        typer.echo(f"int8 is not used on this computer: {detector.int8_problem}", err=True)


@models.command(epilog=command_example("inspector models export tiles --output tiles.inspector"))
def export(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION]|PATH", help="A model.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; NAME-vN.inspector here without it."),
    ] = None,
) -> None:
    """Write one model as one file, for another computer.

    Prints the path of the file.
    """
    from inspector.bundle.archive import SUFFIX, pack

    bundle = _open(reference)
    manifest = bundle.manifest
    target = output or Path(f"{manifest.name}-v{manifest.version}{SUFFIX}")
    pack(bundle, target)
    typer.echo(target)


@models.command("import", epilog=command_example("inspector models import tiles.inspector"))
def import_model(file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote.")]) -> None:
    """Add a model that was exported.

    Every digest and the golden images are checked first.  It becomes the promoted version of its
    name, and the current model.
    """
    from inspector.scoring.detector import verify_bundle

    bundle, is_new = _store().import_model(file, verify=verify_bundle)
    if is_new:
        typer.echo(f"imported {_label(bundle)}", err=True)
    else:
        typer.echo(f"{_label(bundle)} is already there; nothing was changed", err=True)


# --- inside ---------------------------------------------------------------------------------


def _store() -> Store:
    from inspector.bundle.store import Store
    from inspector.settings import Settings

    return Store(Settings.from_environment().store)


def _open(reference: str | None) -> Bundle:
    from inspector.bundle.folder import Bundle

    return Bundle.open(_store().resolve(reference))


def _label(bundle: Bundle) -> str:
    return f"{bundle.manifest.name}@{bundle.manifest.version}"


def _row(store: Store, name: str, version: int) -> dict[str, Any]:
    """One version as `list` shows it; a damaged one is listed with what is wrong."""
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
        "int8": None if manifest.int8 is None else manifest.int8.in_words(),
        "heldout_images": len(calibration.heldout_scores),
        "threshold": calibration.threshold,
        "review_threshold": calibration.review_threshold,
        "asked_false_reject_rate": calibration.asked_false_reject_rate,
        "promised_false_reject_rate": calibration.promised_false_reject_rate,
        "size_bytes": sum(entry.size_bytes for entry in manifest.files.values()),
        "path": str(bundle.path),
        "report": str(bundle.path / "report.html"),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    width = max(len("model"), *(len(f"{row['name']}@{row['version']}") for row in rows))
    typer.echo(f"   {'model':{width}}  {'created':16}  {'threshold':>9}  {'promised':>8}  {'MB':>6}")
    for row in rows:
        mark = f"{'>' if row['current'] else ' '}{'*' if row['promoted'] else ' '}"
        label = f"{mark} {row['name'] + '@' + str(row['version']):{width}}"
        if row["error"]:
            typer.echo(f"{label}  damaged: {row['error']}")
            continue
        promised, megabytes = row["promised_false_reject_rate"], row["size_bytes"] / 1e6
        typer.echo(
            f"{label}  {row['created'][:16]:16}  {row['threshold']:9.2f}  {promised:8.2%}  {megabytes:6.1f}"
        )


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))
