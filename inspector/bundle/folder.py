"""The bundle: a folder whose manifest lists every file in it with size and digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from inspector.bundle.atomic import staged_folder, storage_errors, write_bytes
from inspector.bundle.records import SCHEMA_VERSION, Calibration, FileEntry, Manifest
from inspector.errors import (
    BundleError,
    DigestMismatchError,
    ForbiddenFileError,
    MissingFileError,
    SchemaVersionError,
    UsageError,
)
from inspector.types import ModelId, Record

MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
GRAPH = "detector.onnx"
INT8_GRAPH = "detector.int8.onnx"  # only if the manifest says that it ships
GOLDEN = "golden/golden.json"
INT8_GOLDEN = "golden/int8.json"  # only if the model ships an 8-bit graph
REFERENCE = "reference.npz"
REPORT = "report.html"
REQUIRED = (
    ENCODER,
    DECODER,
    GRAPH,
    CALIBRATION,
    REFERENCE,
    GOLDEN,
    REPORT,
)
LARGEST_MANIFEST_BYTES = 4_000_000
SUFFIXES = frozenset({".onnx", ".json", ".npz", ".png", ".html"})

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,3}")
_REFIT_HINT = "take it from its source again, or fit the model again"

Fill = Callable[[Path], Manifest]
AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Bundle:
    """A model on disk, checked against its manifest.

    Attributes
    ----------
    path : Path
        Folder of the bundle.
    manifest : Manifest
        Content of `manifest.json`.
    calibration : Calibration
        Content of `calibration.json`.
    digest : str
        `sha256:` and the digest of `manifest.json`, which holds the digests of all other files.
    """

    path: Path
    manifest: Manifest
    calibration: Calibration
    digest: str

    @property
    def model(self) -> ModelId:
        """Name, version and digest of the model."""
        return ModelId(name=self.manifest.name, version=self.manifest.version, digest=self.digest)

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> Bundle:
        """Read a bundle and check every file in it.

        Parameters
        ----------
        path : Path
            Folder of the bundle.
        verify : bool
            Compare the digest of every file; otherwise only names and sizes are compared.

        Raises
        ------
        BundleError
            The message names the file and what is wrong with it.
        StorageError
            A file may not be read.
        """
        with storage_errors(path):
            content, manifest = _read_manifest(path)
            _check_files(path, manifest, verify=verify)
            calibration = _parse(Calibration, path / CALIBRATION, (path / CALIBRATION).read_bytes())
        _check_calibration(path, manifest, calibration)
        return cls(path, manifest, calibration, digest_of(content))


def write_bundle(target: Path, fill: Fill) -> Bundle:
    """Write a bundle at `target`, completely or not at all.

    Parameters
    ----------
    target : Path
        A path that does not exist, or an empty folder.
    fill : callable
        Writes all files but the manifest into the folder that it is given, and returns the manifest.  Its
        `files` are replaced by the files in the folder.

    Returns
    -------
    Bundle
        Read back from the disk.

    Raises
    ------
    UsageError
        `target` exists.
    StorageError
        The disk is full, read-only or not permitted.
    """
    refuse_existing(target)
    with staged_folder(target) as staged:
        seal(staged, fill(staged))
        Bundle.open(staged)
    return Bundle.open(target, verify=False)


def refuse_existing(target: Path) -> None:
    """Raise `UsageError` if a bundle cannot be written at `target`; call it before any work is done."""
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise UsageError(
            f"{target} already exists, and a model is never overwritten",
            hint="choose a path that does not exist yet",
        )


def seal(folder: Path, draft: Manifest) -> None:
    """Write the manifest that lists all other files in `folder`."""
    files = {
        name: FileEntry(sha256=file_sha256(folder / name), size_bytes=(folder / name).stat().st_size)
        for name in sorted(_walk(folder))
        if name != MANIFEST
    }
    manifest = draft.model_copy(update={"files": files})
    write_bytes(folder / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(content: bytes) -> str:
    """Return the digest of a model, `sha256:…`, from the bytes of its manifest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_plain_name(name: str) -> bool:
    """Return whether a bundle may hold a file of this relative name: no `..`, no root, an allowed suffix."""
    return _PLAIN_NAME.fullmatch(name) is not None and Path(name).suffix in SUFFIXES


def parse_manifest(content: bytes, path: Path) -> Manifest:
    """Parse the bytes of a manifest; the schema version is checked first."""
    fields = _parse_json(content, path)
    version = fields.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} has schema version {version!r}; this inspector reads {SCHEMA_VERSION}",
            hint="update inspector, or fit the model again with this one",
        )
    manifest = _parse(Manifest, path, content)
    for name in manifest.files:
        if not is_plain_name(name):
            raise ForbiddenFileError(
                f"{path} lists {name!r}; plain names ending in {', '.join(sorted(SUFFIXES))} are allowed",
                hint="do not use this model: something other than inspector wrote it",
            )
    return manifest


def _read_manifest(path: Path) -> tuple[bytes, Manifest]:
    where = path / MANIFEST
    if not where.is_file():
        raise MissingFileError(
            f"{path} is not a model: it has no {MANIFEST}",
            hint="give the folder that a fit wrote, or a name from 'inspector models list'",
        )
    if where.is_symlink():
        raise _forbidden(path, MANIFEST)
    with where.open("rb") as stream:
        content = stream.read(LARGEST_MANIFEST_BYTES + 1)
    if len(content) > LARGEST_MANIFEST_BYTES:
        raise BundleError(
            f"{where} is larger than {LARGEST_MANIFEST_BYTES} bytes, so it is no manifest",
            hint=_REFIT_HINT,
        )
    return content, parse_manifest(content, where)


def _check_files(path: Path, manifest: Manifest, *, verify: bool) -> None:
    present = set(_walk(path)) - {MANIFEST}
    for name in sorted(present - manifest.files.keys()):
        raise _forbidden(path, name)
    for name in sorted({*manifest.files, *_required(manifest)} - present):
        raise MissingFileError(f"{path / name} is missing from the model", hint=_REFIT_HINT)
    for name, entry in manifest.files.items():
        _check_file(path / name, entry, verify=verify)


def _required(manifest: Manifest) -> tuple[str, ...]:
    has_int8 = manifest.int8 is not None and manifest.int8.shipped
    return (*REQUIRED, INT8_GRAPH, INT8_GOLDEN) if has_int8 else REQUIRED


def _check_file(path: Path, entry: FileEntry, *, verify: bool) -> None:
    size = path.stat().st_size
    if size != entry.size_bytes:
        raise DigestMismatchError(
            f"{path} has {size} bytes; the manifest says {entry.size_bytes}", hint=_REFIT_HINT
        )
    if verify and (found := file_sha256(path)) != entry.sha256:
        raise DigestMismatchError(
            f"{path} was changed: its sha256 is {found[:12]}…, the manifest says {entry.sha256[:12]}…",
            hint=_REFIT_HINT,
        )


def _walk(folder: Path, prefix: str = "") -> Iterator[str]:
    """Yield the relative names of all files in a bundle; refuse entries that are neither file nor folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                raise _forbidden(folder, entry.name)


def _forbidden(folder: Path, name: str) -> ForbiddenFileError:
    kind = "a link" if (folder / name).is_symlink() else "not in the manifest"
    return ForbiddenFileError(
        f"{folder / name} does not belong to the model: it is {kind}",
        hint="remove it if you put it there; otherwise do not use this model",
    )


def _check_calibration(path: Path, manifest: Manifest, calibration: Calibration) -> None:
    """Refuse a calibration that does not fit the columns of the graph."""
    columns = len(manifest.columns)
    components = {column.component for column in manifest.columns}
    if len(calibration.center) != columns or len(calibration.scale) != columns:
        problem = f"center and scale have {len(calibration.center)} and {len(calibration.scale)} numbers"
        expected = f"{columns}, one for each column"
    elif not all(scale > 0 for scale in calibration.scale):
        problem, expected = f"the smallest scale is {min(calibration.scale)}", "above 0"
    elif not calibration.fused or not components.issuperset(calibration.fused):
        problem, expected = f"fused is {calibration.fused}", f"some of {sorted(components)}"
    elif not _fit_weights(calibration):
        problem = f"weights is {calibration.weights}"
        expected = f"{len(calibration.fused)} numbers above 0, or none"
    elif not calibration.heldout_scores:
        problem, expected = "there are no held-out scores", "at least one"
    else:
        return
    raise BundleError(f"{path / CALIBRATION}: {problem}; allowed is {expected}", hint=_REFIT_HINT)


def _fit_weights(calibration: Calibration) -> bool:
    """Return whether there is a weight above 0 for each fused component, or no weight at all."""
    weights = calibration.weights
    return not weights or (len(weights) == len(calibration.fused) and all(weight > 0 for weight in weights))


def _parse(record: type[AnyRecord], path: Path, content: bytes) -> AnyRecord:
    """Validate JSON; the message names the first field that is wrong."""
    try:
        return record.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BundleError(f"{path} is damaged: {place}: {first['msg']}", hint=_REFIT_HINT) from exc


def _parse_json(content: bytes, path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise BundleError(f"{path} is damaged: it is not JSON ({exc})", hint=_REFIT_HINT) from exc
    if not isinstance(fields, dict):
        raise BundleError(f"{path} is damaged: it is not a JSON object", hint=_REFIT_HINT)
    return fields
