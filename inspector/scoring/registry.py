"""The models in memory: opened on demand, proved before use, and replaced when another is promoted."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.errors import InspectorError, ModelNotFoundError, NoCurrentModelError, StoreError
from inspector.scoring.detector import Detector
from inspector.settings import Settings

_State = tuple[tuple[str, int, int, int], ...]  # of a bundle's files, which may change under the same number
Listener = Callable[[str, Detector | None, InspectorError | None], None]


class Fleet:
    """Opened models by reference; safe to use from several threads.

    Parameters
    ----------
    settings : Settings
        With the store.
    default : str, optional
        `NAME`, `NAME@VERSION` or the path of a bundle; the store's current model, whichever that is at
        the time, without it.
    max_bytes : int
        Memory that the opened models may take; the one that was not used for longest makes room.  The
        default model and the latest one stay in any case.
    listener : callable, optional
        Called as `listener(result, detector, error)` when a model was opened (`ok`), refused (`failed`) or
        is gone from the store (`removed`).

    Notes
    -----
    ONNX Runtime does not say what a session takes, so a model counts with what the process grew by while it
    was opened and proved, or with the size of its files where that is more.
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
        self._wanted, self._max_bytes = default, max_bytes
        self._listener = listener or (lambda _result, _detector, _error: None)
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._models: OrderedDict[str, Detector] = OrderedDict()  # by reference, last used last
        self._sizes: dict[Path, int] = {}  # bytes of each opened bundle
        self._states: dict[Path, _State] = {}  # of each opened bundle, when it was opened
        self._refused: dict[str, tuple[Path, _State]] = {}  # reference -> the bundle that could not be used
        self._default: str | None = None
        self.problem: InspectorError | None = None

    # --- for requests -----------------------------------------------------------------------

    def get(self, reference: str | None = None) -> Detector:
        """Return an opened model, the default one without a reference.

        Parameters
        ----------
        reference : str, optional
            `NAME` or `NAME@VERSION`; never a path, because requests come from elsewhere.

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
                if key == f"{detector.model.name}@{detector.model.version}":
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
        """Return the models in memory, each once, by name and version."""
        with self._lock:
            found = {detector.model.digest: detector for detector in self._models.values()}
        return sorted(found.values(), key=lambda detector: (detector.model.name, detector.model.version))

    def by_name(self) -> dict[str, Detector]:
        """Return the model that each name in memory stands for where a request gives no version."""
        with self._lock:
            found = list(self._models.items())
        found.sort(key=lambda item: item[0] == self._default)
        return {one.model.name: one for key, one in found if "@" not in key or key == self._default}

    def has(self, name: str) -> bool:
        """Whether there is a model of that name, in memory or in the store, as far as can be told."""
        if any(detector.model.name == name for detector in self.opened()):
            return True
        try:
            return not self._store.root.is_dir() or bool(self._store.versions(name))
        except (InspectorError, OSError):
            return True

    @property
    def default(self) -> Detector | None:
        """The model of requests that name none; None before it was opened and proved."""
        with self._lock:
            return self._models.get(self._default) if self._default else None

    # --- for the watcher --------------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the store again: open what was promoted, and drop what is gone.

        A model that cannot be used is refused once, and the one before goes on.
        """
        try:
            wanted = self._wanted or self._current()
            self._follow(wanted)
            self._default, self.problem = wanted, None
        except (ModelNotFoundError, NoCurrentModelError) as error:
            self.problem = error
            if self._default is not None and self._store.root.is_dir():  # a store out of reach is no removal
                self._drop(self._default)
                self._default = None
        except InspectorError as error:
            self.problem = error
        with self._lock:
            others = [key for key in self._models if key != self._default]
        for key in others:
            try:
                self._follow(key)
            except ModelNotFoundError:
                self._drop(key)
            except InspectorError:
                continue  # told by `_open`; the one before goes on

    def _current(self) -> str:
        current = self._store.current()
        if current is None:
            raise NoCurrentModelError(
                f"there is no model in {self._store.root}", hint="fit or import one, and it is picked up"
            )
        return current

    def _follow(self, key: str) -> None:
        """Open what a reference stands for now, unless it is open or was refused already."""
        path = self._store.resolve(key)
        with self._lock:
            before = self._models.get(key)
        found = path, _state(path)
        if before is not None and (self._is_open(before, *found) or self._refused.get(key) == found):
            return
        if before is None and self._refused.get(key) == found and self.problem is not None:
            raise self.problem
        try:
            self._open(key)
        except StoreError:
            raise
        except InspectorError:
            self._refused[key] = found
            if before is None:
                raise

    def _open(self, key: str) -> Detector:
        """Open and prove a model, then let it take the place of the one before."""
        with self._opening:  # one at a time: opening takes all cores for a moment
            path = self._store.resolve(key)
            state = _state(path)
            with self._lock:
                same = next((one for one in self._models.values() if self._is_open(one, path, state)), None)
            detector = same or self._prove(path)
            with self._lock:
                self._states[path] = state
                for other, one in self._models.items():
                    if one.bundle.path == path:
                        self._models[other] = detector
                self._models[key] = detector
                self._models.move_to_end(key)
                self._make_room({key, self._default})
            if same is None:
                self._listener("ok", detector, None)
            return detector

    def _is_open(self, detector: Detector, path: Path, state: _State) -> bool:
        """Whether it is what lies there now; what cannot be looked at is taken for it."""
        return detector.bundle.path == path and (not state or self._states.get(path) == state)

    def _prove(self, path: Path) -> Detector:
        before = _resident_bytes()
        try:
            detector = Detector(Bundle.open(path), self._settings)
            detector.verify()
        except InspectorError as error:
            self._listener("failed", None, error)
            raise
        on_disk = sum(file.size_bytes for file in detector.manifest.files.values())
        self._sizes[path] = max(_resident_bytes() - before, on_disk)
        return detector

    def _make_room(self, kept: set[str | None]) -> None:
        """Drop the models that were not used for longest until the others fit."""
        while True:
            paths = {detector.bundle.path for detector in self._models.values()}
            self._sizes = {path: size for path, size in self._sizes.items() if path in paths}
            self._states = {path: state for path, state in self._states.items() if path in paths}
            oldest = next((key for key in self._models if key not in kept), None)
            if oldest is None or sum(self._sizes.values()) <= self._max_bytes:
                return
            del self._models[oldest]

    def _drop(self, key: str) -> None:
        """Forget a model that is gone from the store; requests that have it already still end well."""
        with self._lock:
            detector = self._models.pop(key, None)
        if detector is not None:
            self._listener("removed", detector, None)


def _state(path: Path) -> _State:
    """Which files lie in a bundle, by inode, size and time; empty where that cannot be told."""
    try:
        found = [*_files(path), *_files(path / "golden")]
    except OSError:
        return ()
    return tuple(sorted(found))


def _files(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Four times a second: a Path for each would take ten times as long."""
    with os.scandir(folder) as entries:
        for entry in entries:
            facts = entry.stat()
            yield entry.path, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell."""
    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return 0
