"""A model as one file: an uncompressed tar with the files of a bundle."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.bundle.atomic import storage_errors, write_bytes
from inspector.bundle.folder import LARGEST_MANIFEST_BYTES, MANIFEST, Bundle, parse_manifest
from inspector.bundle.records import Manifest
from inspector.errors import BundleError, ForbiddenFileError, MissingFileError, UsageError

if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo

SUFFIX = ".inspector"

_HINT = "export the model again and copy the file in binary mode"


def pack(bundle: Bundle, output: Path) -> None:
    """Write a bundle as one file, completely or not at all; the same bundle gives the same bytes."""
    import tarfile

    buffer = io.BytesIO()
    with storage_errors(bundle.path), tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in (MANIFEST, *sorted(bundle.manifest.files)):
            content = (bundle.path / name).read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with storage_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(output, buffer.getvalue())


def read_manifest(file: Path) -> Manifest:
    """Read the manifest of the model in `file`; nothing is unpacked.

    Raises
    ------
    UsageError
        The file does not exist.
    BundleError
        The file is not an exported model, or is damaged.
    """
    with _opened(file) as tar:
        return _manifest(tar, file)[0]


def unpack(file: Path, folder: Path) -> None:
    """Write the files of an exported model into an empty folder.

    A member must be a regular file that the manifest lists with this size.  Names are plain and relative, so
    nothing is written outside `folder`.

    Raises
    ------
    BundleError
        The file is damaged, or holds something that the manifest does not list.
    StorageError
        The disk is full, read-only or not permitted.
    """
    with _opened(file) as tar:
        manifest, content = _manifest(tar, file)
        members = _checked(tar, file, manifest)
        with storage_errors(folder):
            (folder / MANIFEST).write_bytes(content)
            for name, member in members.items():
                _extract(tar, member, folder / name)


@contextmanager
def named_after(file: Path, folder: Path) -> Iterator[None]:
    """Let messages of errors name `file`, which the person knows, instead of the temporary `folder`."""
    try:
        yield
    except BundleError as exc:
        raise type(exc)(exc.message.replace(str(folder), str(file)), hint=exc.hint) from exc


@contextmanager
def _opened(file: Path) -> Iterator[TarFile]:
    import tarfile

    if not file.is_file():
        raise UsageError(
            f"{file} is not a file", hint="'inspector models export NAME --output FILE' writes one"
        )
    try:
        with storage_errors(file), tarfile.open(file, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError, ValueError) as exc:
        raise BundleError(f"{file} is not an exported model, or is damaged: {exc}", hint=_HINT) from exc


def _manifest(tar: TarFile, file: Path) -> tuple[Manifest, bytes]:
    try:
        member = tar.getmember(MANIFEST)
    except KeyError as exc:
        raise MissingFileError(f"{file} holds no {MANIFEST}", hint=_HINT) from exc
    if not _is_regular(member) or member.size > LARGEST_MANIFEST_BYTES:
        raise ForbiddenFileError(f"{file}: {MANIFEST} is a link, or too large", hint="do not use this file")
    stream = tar.extractfile(member)
    content = b"" if stream is None else stream.read()
    return parse_manifest(content, file / MANIFEST), content


def _checked(tar: TarFile, file: Path, manifest: Manifest) -> dict[str, TarInfo]:
    """Return the members by name, each checked against the manifest."""
    members: dict[str, TarInfo] = {}
    for member in tar.getmembers():
        if member.name == MANIFEST and MANIFEST not in members:
            members[MANIFEST] = member
            continue
        entry = manifest.files.get(member.name)
        if entry is None or member.name in members or not _is_regular(member):
            raise ForbiddenFileError(
                f"{file} holds {member.name!r}, which its manifest does not list as a file",
                hint="do not use this file: something other than inspector wrote it",
            )
        if member.size != entry.size_bytes:
            raise BundleError(
                f"{file}: {member.name} has {member.size} bytes; the manifest says {entry.size_bytes}",
                hint=_HINT,
            )
        members[member.name] = member
    del members[MANIFEST]
    return members


def _is_regular(member: TarInfo) -> bool:
    return member.isreg() and not member.issparse()


def _extract(tar: TarFile, member: TarInfo, target: Path) -> None:
    stream = tar.extractfile(member)
    if stream is None:  # `_checked` refuses such members
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as output:
        shutil.copyfileobj(stream, output)
