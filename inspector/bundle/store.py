"""The model store: names, their immutable versions, the promoted one of each, the current name.

    current                 the name that is used where none is given
    NAME/promoted           the version that NAME stands for
    NAME/versions/N         a bundle
    NAME/work               checkpoints of a fit that is going on
    .locks/NAME.lock        held while NAME is written to; dies with its process

Pointers hold a name or a number and a line end, and are replaced in one step, so that readers need
no lock and the store can be copied or moved.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inspector.bundle import archive, atomic, folder
from inspector.bundle.folder import Bundle, Fill
from inspector.bundle.records import Manifest
from inspector.errors import (
    BundleError,
    ModelNotFoundError,
    NoCurrentModelError,
    StoreError,
    UsageError,
)

CURRENT = "current"
LOCK_SECONDS = 10.0
PUBLISH_LOCK_SECONDS = 600.0

Verify = Callable[[Bundle], None]
"""Raises an error where this machine does not reproduce the golden images of a bundle."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_LIST_HINT = "'inspector models list' shows what there is"


def slug(name: str) -> str:
    """Turn any name, a folder's say, into one that the store takes.

    Parameters
    ----------
    name : str
        What a person typed.

    Returns
    -------
    str
        Lower case letters, digits, dots, dashes and underscores; at most 64 of them.

    Raises
    ------
    UsageError
        Nothing is left of it, or the store needs the name itself.

    Examples
    --------
    >>> slug("Gear Wheels, série 3")
    'gear-wheels-serie-3'
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")[:64].rstrip("-._")
    if not found or found == CURRENT:
        raise UsageError(
            f"{name!r} cannot name a model; letters a-z, digits, '.', '-' and '_' can, {CURRENT!r} cannot",
            hint="choose another name with --name",
        )
    return found


class Store:
    """Models on disk, by name and version.

    Parameters
    ----------
    root : Path
        Its folder; made when something is published.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- reading ----------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Names that have at least one version, sorted."""
        with atomic.storage_errors(self.root):
            if not self.root.is_dir():
                return []
            return sorted(entry.name for entry in self.root.iterdir() if self.versions(entry.name))

    def versions(self, name: str) -> list[int]:
        """Versions of a name, rising; empty where there is no such name."""
        folder = self._folder(name) / "versions"
        with atomic.storage_errors(folder):
            if not _NAME.fullmatch(name) or not folder.is_dir():
                return []
            return sorted(int(entry.name) for entry in folder.iterdir() if _VERSION.fullmatch(entry.name))

    def promoted(self, name: str) -> int:
        """Return the version that `name` stands for."""
        versions = self._require(name)
        pointed = self._pointer(self._folder(name) / "promoted")
        return int(pointed) if pointed and _VERSION.fullmatch(pointed) else versions[-1]

    def current(self) -> str | None:
        """Return the name that is used where none is given; None where there is none."""
        name = self._pointer(self.root / CURRENT)
        return name if name and self.versions(name) else None

    def resolve(self, reference: str | Path | None = None) -> Path:
        """Find the folder of a bundle.

        Parameters
        ----------
        reference : str or Path, optional
            `NAME` is its promoted version, `NAME@VERSION` that one, nothing is the current name;
            anything else is the path of a bundle.  A name in the store goes before a path.

        Raises
        ------
        ModelNotFoundError, NoCurrentModelError
            The hint lists what there is.
        """
        if reference is None:
            return self._current_path()
        name, version = self._split(str(reference))
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
        """Return the folder of one version, the promoted one unless another is asked for."""
        version = self.promoted(name) if version is None else version
        versions = self._require(name)
        if version not in versions:
            raise ModelNotFoundError(
                f"model {name!r} has no version {version}",
                hint=f"it has {', '.join(map(str, versions))}",
            )
        return self._folder(name) / "versions" / str(version)

    def parse(self, reference: str) -> tuple[str, int | None]:
        """Split `NAME[@VERSION]` and make sure that it exists."""
        name, version = self._split(reference)
        if name is None:
            raise ModelNotFoundError(
                f"{reference!r} is not NAME or NAME@VERSION of a model", hint=self._names_hint()
            )
        self.path(name, version)
        return name, version

    # --- writing ----------------------------------------------------------------------------

    def publish(self, name: str, fill: Fill, *, lock_seconds: float = PUBLISH_LOCK_SECONDS) -> Bundle:
        """Add the next version of a name, promote it, and make the name the current one.

        Parameters
        ----------
        name : str
            As `slug` returns it.
        fill : callable
            As for `bundle.write_bundle`; name and version of the manifest that it returns are
            replaced.  It runs while the lock of this name is held: train before, export in it.
        lock_seconds : float
            How long to wait for another writer.

        Returns
        -------
        Bundle
            The new version.
        """

        def named(folder: Path, version: int) -> Manifest:
            return fill(folder).model_copy(update={"name": name, "version": version})

        with self._locked(name, lock_seconds):
            version = max(self.versions(name), default=0) + 1
            target = self._folder(name) / "versions" / str(version)
            published = folder.write_bundle(target, lambda folder: named(folder, version))
            self._point(name, version)
        return published

    def import_model(self, file: Path, *, verify: Verify) -> tuple[Bundle, bool]:
        """Add a model that `export_model` wrote, promote it, and make its name the current one.

        Nothing is published unless every digest is right and the golden images are reproduced.  It
        keeps its version where that is above all that are there (and so its digest, too); otherwise
        it becomes the next version.

        Returns
        -------
        Bundle
            The model in the store.
        bool
            False where the store had the very same model already; then nothing was changed.
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

    def export_model(self, reference: str, output: Path) -> Bundle:
        """Write one model as one file, for `import_model` on another computer."""
        opened = Bundle.open(self.resolve(reference))
        archive.pack(opened, output)
        return opened

    def promote(self, name: str, version: int | None = None, *, verify: Verify) -> Bundle:
        """Let `name` stand for `version`, once its golden images are reproduced, and make it current."""
        with self._locked(name, LOCK_SECONDS):
            opened = Bundle.open(self.path(name, version))
            verify(opened)
            self._point(name, int(opened.path.name))
        return opened

    def rollback(self, name: str, *, verify: Verify) -> Bundle:
        """Promote the next lower version."""
        promoted = self.promoted(name)
        lower = [version for version in self.versions(name) if version < promoted]
        if not lower:
            raise StoreError(
                f"model {name!r} has no version before {promoted} to go back to",
                hint="promote another one with 'inspector models promote NAME@VERSION'",
            )
        return self.promote(name, lower[-1], verify=verify)

    def remove(self, name: str, version: int | None = None, *, force: bool = False) -> list[int]:
        """Remove one version, or the name with all of them; return which.

        The promoted version goes only when it is the last one, or with `force`; then the next lower
        version is promoted, or else the highest.  A name that is being fitted goes only after the fit.
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
        """Return the folder for what a fit has to remember between two runs; it need not exist."""
        return self._folder(name) / "work"

    # --- inside -----------------------------------------------------------------------------

    @contextmanager
    def _no_fit(self, name: str) -> Iterator[None]:
        """Keep fits of a name away; `StoreBusyError` where there is one, whose checkpoint would go, too."""
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

    def _split(self, reference: str) -> tuple[str | None, int | None]:
        """Split `NAME[@VERSION]`; (None, None) where it has another form."""
        name, at, version = reference.partition("@")
        if not _NAME.fullmatch(name) or name == CURRENT or (at and not _VERSION.fullmatch(version)):
            return None, None
        return name, int(version) if at else None

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
        # The root has no lock of its own, so what a dying writer leaves must lie below `folder`.
        staged = atomic.temporary_sibling(folder / CURRENT)
        atomic.write_bytes(staged, f"{name}\n".encode())
        with atomic.storage_errors(self.root / CURRENT):
            staged.replace(self.root / CURRENT)
            atomic.sync(self.root)

    def _find_same(self, name: str, manifest: Manifest) -> Bundle | None:
        """Find the version that differs from `manifest` at most in its number."""
        for version in self.versions(name):
            with suppress(BundleError):  # a damaged one is no reason not to bring it anew
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
        """Let a folder vanish in one step, then free its space."""
        with atomic.storage_errors(folder):
            doomed = atomic.temporary_sibling(folder)
            folder.rename(doomed)
            shutil.rmtree(doomed)

    @contextmanager
    def _locked(self, name: str, seconds: float) -> Iterator[None]:
        """Hold the lock of a name, and clear what a writer that died left behind."""
        if not _NAME.fullmatch(name) or name == CURRENT:
            raise ModelNotFoundError(f"{name!r} cannot name a model", hint=_LIST_HINT)
        with atomic.locked(self.root / ".locks" / f"{name}.lock", f"model {name!r}", seconds):
            for place in (self._folder(name), self._folder(name) / "versions"):
                atomic.remove_temporaries(place)
            yield
