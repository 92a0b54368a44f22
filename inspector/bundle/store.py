"""The model store: names, the immutable versions of each, its promoted version, and the current name.

    current                 the name that is used if none is given
    NAME/promoted           the version that NAME stands for
    NAME/versions/N         a bundle
    NAME/work               checkpoints of an unfinished fit
    .locks/NAME.lock        held by the process that writes to NAME; dies with it

A pointer file holds a name or a number and a line end.  It is replaced in one step, so readers need no
lock.  No file holds an absolute path, so the store can be copied or moved.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inspector.bundle import archive, atomic, folder
from inspector.bundle.folder import Bundle, Fill
from inspector.bundle.names import CURRENT, is_model_name, is_version, slug, split_reference
from inspector.bundle.records import Manifest
from inspector.errors import (
    BundleError,
    ModelNotFoundError,
    NoCurrentModelError,
    StoreError,
)

LOCK_SECONDS = 10.0
PUBLISH_LOCK_SECONDS = 600.0

Verify = Callable[[Bundle], None]
"""Raises an error where this machine does not reproduce the golden images of a bundle."""

_LIST_HINT = "'inspector models list' shows what there is"


class Store:
    """Models on disk, by name and version.

    Parameters
    ----------
    root : Path
        Folder of the store; made when a model is published.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- reading ----------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names that have at least one version, sorted."""
        with atomic.storage_errors(self.root):
            if not self.root.is_dir():
                return []
            return sorted(entry.name for entry in self.root.iterdir() if self.versions(entry.name))

    def versions(self, name: str) -> list[int]:
        """Return the versions of a name, sorted; empty if the name is unknown."""
        folder = self._folder(name) / "versions"
        with atomic.storage_errors(folder):
            if not is_model_name(name) or not folder.is_dir():
                return []
            return sorted(int(entry.name) for entry in folder.iterdir() if is_version(entry.name))

    def promoted(self, name: str) -> int:
        """Return the version that `name` stands for."""
        versions = self._require(name)
        pointed = self._pointer(self._folder(name) / "promoted")
        return int(pointed) if pointed and is_version(pointed) else versions[-1]

    def current(self) -> str | None:
        """Return the name that is used if none is given; None if there is none."""
        name = self._pointer(self.root / CURRENT)
        return name if name and self.versions(name) else None

    def resolve(self, reference: str | Path | None = None) -> Path:
        """Find the folder of a bundle.

        Parameters
        ----------
        reference : str or Path, optional
            `NAME` means its promoted version, `NAME@VERSION` this version, None the current name, and any
            other string the path of a bundle.  A name in the store takes precedence over a path.

        Raises
        ------
        ModelNotFoundError, NoCurrentModelError
            The hint lists the names.
        """
        if reference is None:
            return self._current_path()
        name, version = split_reference(str(reference))
        if isinstance(reference, str) and name and self.versions(name):
            return self.path(name, version)
        path = Path(reference).expanduser()
        with atomic.storage_errors(path):
            is_file, is_dir, is_bundle = path.is_file(), path.is_dir(), (path / folder.MANIFEST).exists()
        if is_file:
            raise ModelNotFoundError(
                f"{path} is a file, and a model is a folder or a name",
                hint=f"import it first: inspector models import {path}",
            )
        if is_bundle or (is_dir and (isinstance(reference, Path) or name is None)):
            return path
        raise ModelNotFoundError(f"no model {str(reference)!r} in {self.root}", hint=self._names_hint())

    def path(self, name: str, version: int | None = None) -> Path:
        """Return the folder of one version; without a number, of the promoted version."""
        version = self.promoted(name) if version is None else version
        versions = self._require(name)
        if version not in versions:
            raise ModelNotFoundError(
                f"model {name!r} has no version {version}",
                hint=f"it has {', '.join(map(str, versions))}",
            )
        return self._folder(name) / "versions" / str(version)

    def parse(self, reference: str) -> tuple[str, int | None]:
        """Split `NAME[@VERSION]` and check that it exists."""
        name, version = split_reference(reference)
        if name is None:
            raise ModelNotFoundError(
                f"{reference!r} is not NAME or NAME@VERSION of a model", hint=self._names_hint()
            )
        self.path(name, version)
        return name, version

    # --- writing ----------------------------------------------------------------------------

    def publish(self, name: str, fill: Fill) -> Bundle:
        """Add the next version of a name, promote it, and make the name the current one.

        Parameters
        ----------
        name : str
            As `slug` returns it.
        fill : callable
            As for `folder.write_bundle`; name and version of the manifest that it returns are replaced.  It
            runs while this name is locked, so train before the call and only export in `fill`.

        Returns
        -------
        Bundle
            The new version.
        """

        def named(folder: Path, version: int) -> Manifest:
            return fill(folder).model_copy(update={"name": name, "version": version})

        with self._locked(name, PUBLISH_LOCK_SECONDS):
            version = max(self.versions(name), default=0) + 1
            target = self._folder(name) / "versions" / str(version)
            published = folder.write_bundle(target, lambda folder: named(folder, version))
            self._point(name, version)
        return published

    def import_model(self, file: Path, *, verify: Verify) -> tuple[Bundle, bool]:
        """Add a model from a file that `archive.pack` wrote, promote it, and make its name the current one.

        Nothing is published unless every digest is right and `verify` raises nothing.  The model keeps its
        version, and so its digest, if that is above all versions in the store; otherwise it becomes the next
        version.

        Returns
        -------
        Bundle
            The model in the store.
        bool
            False if the store already had this model; then nothing was changed.
        """
        manifest = archive.read_manifest(file)
        name = slug(manifest.name)
        with self._locked(name, LOCK_SECONDS):
            if known := self._find_same(name, manifest):
                return known, False
            latest = max(self.versions(name), default=0)
            version = manifest.version if manifest.version > latest else latest + 1
            target = self._folder(name) / "versions" / str(version)
            with atomic.staged_folder(target) as staged, archive.named_after(file, staged):
                archive.unpack(file, staged)
                opened = Bundle.open(staged)
                verify(opened)
                if (name, version) != (opened.manifest.name, opened.manifest.version):
                    update = {"name": name, "version": version}
                    folder.seal(staged, opened.manifest.model_copy(update=update))
            self._point(name, version)
        return Bundle.open(target, verify=False), True

    def promote(self, name: str, version: int | None = None, *, verify: Verify) -> Bundle:
        """Verify `version`, let `name` stand for it, and make `name` the current one."""
        with self._locked(name, LOCK_SECONDS):
            opened = Bundle.open(self.path(name, version))
            verify(opened)
            self._point(name, int(opened.path.name))
        return opened

    def rollback(self, name: str, *, verify: Verify) -> Bundle:
        """Promote the version before the promoted one."""
        promoted = self.promoted(name)
        lower = [version for version in self.versions(name) if version < promoted]
        if not lower:
            raise StoreError(
                f"model {name!r} has no version before {promoted} to go back to",
                hint="promote another one with 'inspector models promote NAME@VERSION'",
            )
        return self.promote(name, lower[-1], verify=verify)

    def remove(self, name: str, version: int | None = None, *, force: bool = False) -> list[int]:
        """Remove one version, or the name with all its versions; return the removed versions.

        The promoted version is removed only if it is the last one, or with `force`; then the next lower
        version is promoted, or else the highest.  A name is not removed while a fit of it is running.
        """
        with self._locked(name, LOCK_SECONDS):
            versions = self._require(name)
            if version is None or versions == [version]:
                with self._no_fit(name):
                    self._discard(self._folder(name) / "versions")
                    shutil.rmtree(self._folder(name), ignore_errors=True)
                return versions
            target = self.path(name, version)
            if version == self.promoted(name):
                self._leave(name, version, versions, force=force)
            self._discard(target)
        return [version]

    def workspace(self, name: str) -> Path:
        """Return the folder for the checkpoints of a fit; it need not exist."""
        return self._folder(name) / "work"

    # --- inside -----------------------------------------------------------------------------

    @contextmanager
    def _no_fit(self, name: str) -> Iterator[None]:
        """Hold off fits of a name; raise `StoreBusyError` if one is running."""
        work = self.workspace(name)
        if not work.is_dir():
            yield
            return
        with atomic.locked(work / "lock", f"the unfinished fit of {name!r}", 0.0):
            yield

    def _folder(self, name: str) -> Path:
        return self.root / name

    def _require(self, name: str) -> list[int]:
        versions = self.versions(name)
        if not versions:
            raise ModelNotFoundError(f"no model {name!r} in {self.root}", hint=self._names_hint())
        return versions

    def _names_hint(self) -> str:
        names = self.names()
        if not names:
            return "the store is empty; 'inspector fit NORMAL_DIR' makes a model"
        return f"there is {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"

    def _current_path(self) -> Path:
        name = self.current()
        if name is None:
            names = self.names()
            hint = f"name one of {', '.join(names)} with --model" if names else self._names_hint()
            raise NoCurrentModelError(f"no model is current in {self.root}", hint=hint)
        return self.path(name)

    def _pointer(self, path: Path) -> str | None:
        with atomic.storage_errors(path):
            try:
                return path.read_text(encoding="ascii", errors="replace").strip()
            except FileNotFoundError:
                return None

    def _point(self, name: str, version: int) -> None:
        """Make `version` the promoted one of `name`, and `name` the current one."""
        folder = self._folder(name)
        atomic.write_bytes(folder / "promoted", f"{version}\n".encode())
        # Only `folder` is locked, so the temporary file of a killed writer must lie in it.
        staged = atomic.temporary_sibling(folder / CURRENT)
        atomic.write_bytes(staged, f"{name}\n".encode())
        with atomic.storage_errors(self.root / CURRENT):
            staged.replace(self.root / CURRENT)
            atomic.sync(self.root)

    def _find_same(self, name: str, manifest: Manifest) -> Bundle | None:
        """Return the version whose manifest is this one, except for the version number."""
        for version in self.versions(name):
            with suppress(BundleError):  # a damaged version does not keep the model out
                known = Bundle.open(self.path(name, version), verify=False)
                update = {"name": known.manifest.name, "version": known.manifest.version}
                if known.manifest == manifest.model_copy(update=update):
                    return Bundle.open(known.path)
        return None

    def _leave(self, name: str, version: int, versions: list[int], *, force: bool) -> None:
        """Point away from the promoted version before it is removed."""
        if not force:
            raise StoreError(
                f"version {version} of {name!r} is the promoted one",
                hint="promote another version first, or give --force",
            )
        lower = [other for other in versions if other < version]
        atomic.write_bytes(
            self._folder(name) / "promoted", f"{lower[-1] if lower else versions[-1]}\n".encode()
        )

    def _discard(self, folder: Path) -> None:
        """Remove a folder: rename it in one step, then delete its files."""
        with atomic.storage_errors(folder):
            doomed = atomic.temporary_sibling(folder)
            folder.rename(doomed)
            shutil.rmtree(doomed)

    @contextmanager
    def _locked(self, name: str, seconds: float) -> Iterator[None]:
        """Hold the lock of a name, and remove the temporary files of killed writers."""
        if not is_model_name(name):
            raise ModelNotFoundError(f"{name!r} cannot name a model", hint=_LIST_HINT)
        with atomic.locked(self.root / ".locks" / f"{name}.lock", f"model {name!r}", seconds):
            for place in (self._folder(name), self._folder(name) / "versions"):
                atomic.remove_temporaries(place)
            yield
