"""Opened models by name: opens them on demand, verifies them, follows the promotions of their names."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil

from inspector.bundle.fingerprint import Fingerprint, bundle_fingerprint
from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.errors import InspectorError, ModelNotFoundError, NoCurrentModelError, StoreError
from inspector.scoring.detector import Detector
from inspector.settings import Settings

Outcome = Literal["ok", "failed", "removed"]
Listener = Callable[[Outcome, Detector | None, InspectorError | None], None]


class ModelRegistry:
    """The opened models, by reference; safe to use from several threads.

    Parameters
    ----------
    settings : Settings
        Names the store.
    default : str, optional
        `NAME`, `NAME@VERSION` or the path of a bundle for requests that name no model.  Without it, the first
        `refresh` that finds a current name in the store decides for good.  So nobody who fits, imports or
        promotes the model of another product has a line judged by it.
    max_bytes : int
        Memory for opened models.  The least recently used model is closed first; the default model and
        the one opened last always stay.
    listener : callable, optional
        Called as `listener(outcome, detector, error)` after a model was opened (`ok`), could not be opened
        (`failed`) or disappeared from the store (`removed`).

    Attributes
    ----------
    problem : InspectorError or None
        The reason why the wanted default model is not in use.

    Notes
    -----
    ONNX Runtime does not report the memory of a session.  A model's size is estimated as the growth of the
    process while the model was opened and verified, and at least the size of its files.
    """

    def __init__(
        self,
        settings: Settings,
        default: str | None = None,
        *,
        max_bytes: int = 2**30,
        listener: Listener | None = None,
    ) -> None:
        self._settings, self._store = settings, Store(settings.store)
        self._wanted, self.max_bytes = default, max_bytes
        self._listener = listener or (lambda _outcome, _detector, _error: None)
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._models: OrderedDict[str, Detector] = OrderedDict()  # by reference, last used last
        self._sizes: dict[Path, int] = {}  # bytes of each opened bundle
        self._fingerprints: dict[Path, Fingerprint] = {}  # of each opened bundle, at the time of opening
        self._refused: dict[str, tuple[Path, Fingerprint]] = {}  # reference -> the bundle that failed
        self._missing: dict[str, str] = {}  # reference -> why it points to nothing, as the listener was told
        self._changing: dict[str, tuple[Path, Fingerprint]] = {}  # reference -> the bundle seen last
        self._default: str | None = None
        self.problem: InspectorError | None = None

    # --- for requests -----------------------------------------------------------------------

    def get(self, reference: str | None = None) -> Detector:
        """Return an opened model; without a reference, the default one.

        Parameters
        ----------
        reference : str, optional
            `NAME` or `NAME@VERSION`.  A path is refused, because requests come from other computers.

        Raises
        ------
        ModelNotFoundError, NoCurrentModelError, BundleError
        """
        key = reference or self._default
        if key is None:
            why = self.problem or NoCurrentModelError("the daemon is starting", hint="try again in a second")
            raise NoCurrentModelError(why.message, hint=why.hint)
        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
                return self._models[key]
            for detector in self._models.values():
                if key == detector.model.reference:
                    return detector
        try:
            self._store.parse(key)
            return self._open(key)
        except ModelNotFoundError:
            default = self.default  # its bundle may lie outside the store
            if default is None or default.model.name != key:
                raise
            return default

    def opened(self) -> list[Detector]:
        """Return each opened model once, ordered by name and version."""
        with self._lock:
            found = {detector.model.digest: detector for detector in self._models.values()}
        return sorted(found.values(), key=lambda detector: (detector.model.name, detector.model.version))

    def by_name(self) -> dict[str, Detector]:
        """Return, for each name, the opened model that answers requests without a version."""
        with self._lock:
            found = list(self._models.items())
        found.sort(key=lambda item: item[0] == self._default)
        return {one.model.name: one for key, one in found if "@" not in key or key == self._default}

    def has(self, name: str) -> bool:
        """Return whether a model of this name is opened or in the store; True if the store is unreachable."""
        if any(detector.model.name == name for detector in self.opened()):
            return True
        try:
            return not self._store.root.is_dir() or bool(self._store.versions(name))
        except (InspectorError, OSError):
            return True

    @property
    def default(self) -> Detector | None:
        """The model for requests that name none; None until it is opened and verified."""
        with self._lock:
            return self._models.get(self._default) if self._default else None

    # --- for the thread that follows the store ----------------------------------------------

    def refresh(self) -> None:
        """Read the store again: open promoted models, drop removed ones.

        A model that cannot be used is refused once, and the previous one stays in use.  So is a version that
        is promoted before it is there, as while a newer store is copied over this one.  If the default name
        is removed, it is awaited: no other name takes its place.
        """
        try:
            self._wanted = self._wanted or self._current()
            self._follow(self._wanted)
            self._default, self.problem = self._wanted, None
        except (ModelNotFoundError, NoCurrentModelError) as error:
            self.problem = error if self._wanted is None else _awaited(self._wanted, error)
            reachable = self._store.root.is_dir()  # otherwise nothing is removed
            if self._default is not None and reachable and not self._keeps(self._default, error):
                self._drop(self._default)
                self._default = None
        except InspectorError as error:
            self.problem = error
        with self._lock:
            others = [key for key in self._models if key != self._default]
        for key in others:
            try:
                self._follow(key)
            except ModelNotFoundError as error:
                if not self._keeps(key, error):
                    self._drop(key)
            except InspectorError:
                continue  # `_open` told the listener; the previous model stays in use

    def _current(self) -> str:
        current = self._store.current()
        if current is None:
            raise NoCurrentModelError(
                f"no model is current in {self._store.root}",
                hint="fit, import or promote a model; the first one that becomes current is used by itself",
            )
        return current

    def _follow(self, key: str) -> None:
        """Open the bundle that a reference points to now, unless it is open or was refused before."""
        path = self._store.resolve(key)
        self._missing.pop(key, None)
        with self._lock:
            before = self._models.get(key)
        found = path, bundle_fingerprint(path)
        if before is not None and (self._is_open(before, *found) or self._refused.get(key) == found):
            return
        if before is None and self._refused.get(key) == found and self.problem is not None:
            raise self.problem
        if before is not None and self._changing.get(key) != found:
            self._changing[key] = found  # it may be half copied: open it once it stays as it is
            return
        try:
            self._open(key)
        except StoreError:
            raise
        except InspectorError:
            self._refused[key] = found
            if before is None:
                raise

    def _open(self, key: str) -> Detector:
        """Open and verify a model, then replace the previous one of this reference."""
        with self._opening:  # one at a time: opening keeps all cores busy
            path = self._store.resolve(key)
            fingerprint = bundle_fingerprint(path)
            with self._lock:
                same = next(
                    (one for one in self._models.values() if self._is_open(one, path, fingerprint)), None
                )
            detector = same or self._verified(path)
            with self._lock:
                self._fingerprints[path] = fingerprint
                for other, one in self._models.items():
                    if one.bundle.path == path:
                        self._models[other] = detector
                self._models[key] = detector
                self._models.move_to_end(key)
                self._make_room({key, self._default})
            if same is None:
                self._listener("ok", detector, None)
            return detector

    def _is_open(self, detector: Detector, path: Path, fingerprint: Fingerprint) -> bool:
        """Return whether the detector was opened from these files; True if they cannot be read."""
        return detector.bundle.path == path and (
            not fingerprint or self._fingerprints.get(path) == fingerprint
        )

    def _verified(self, path: Path) -> Detector:
        """Open a bundle and check that it reproduces its golden images here."""
        before = _resident_bytes()
        try:
            detector = Detector(Bundle.open(path), self._settings)
            detector.verify()
            # This reads the bundle now: the store may be away when the first picture comes.
            _ = detector.familiarity
        except InspectorError as error:
            self._listener("failed", None, error)
            raise
        on_disk = sum(file.size_bytes for file in detector.manifest.files.values())
        self._sizes[path] = max(_resident_bytes() - before, on_disk)
        return detector

    def _make_room(self, kept: set[str | None]) -> None:
        """Close the least recently used models until the rest fits into `max_bytes`."""
        while True:
            paths = {detector.bundle.path for detector in self._models.values()}
            self._sizes = {path: size for path, size in self._sizes.items() if path in paths}
            self._fingerprints = {path: one for path, one in self._fingerprints.items() if path in paths}
            oldest = next((key for key in self._models if key not in kept), None)
            if oldest is None or sum(self._sizes.values()) <= self.max_bytes:
                return
            del self._models[oldest]

    def _keeps(self, key: str, error: InspectorError) -> bool:
        """Return whether the opened bundle is still there; then tell the listener the error once."""
        with self._lock:
            detector = self._models.get(key)
        if detector is None or not bundle_fingerprint(detector.bundle.path):
            return False
        if self._missing.get(key) != error.message:
            self._missing[key] = error.message
            self._listener("failed", None, error)
        return True

    def _drop(self, key: str) -> None:
        """Forget a model that was removed from the store; requests that use it can still finish."""
        with self._lock:
            detector = self._models.pop(key, None)
        if detector is not None:
            self._listener("removed", detector, None)


def _awaited(wanted: str, error: InspectorError) -> ModelNotFoundError:
    """Return the error for a model that is not there, with a hint that no other one takes its place."""
    return ModelNotFoundError(
        error.message, hint=f"fit, import or promote {wanted}, or start again with another --model"
    )


def _resident_bytes() -> int:
    """Return the memory of this process; 0 if the system does not report it."""
    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return 0
