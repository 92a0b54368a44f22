"""Finds pictures that appear in a folder, once they no longer change.

The folder is scanned again and again.  File-system events would be faster, but a network share sends none
for files that another computer writes, and cameras usually write to shares.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from inspector.errors import DatasetError
from inspector.imaging.files import is_image_name, is_set_aside, printable
from inspector.watch.arrival import Arrival, Modification

_LOOK_AGAIN_SECONDS = 2.0


@dataclass
class _Seen:
    modified: Modification
    since: float  # seconds of the monotonic clock
    judged_at: float | None = None  # when its content was last compared with its line


class Arrivals:
    """The pictures of a folder that still have to be inspected.

    A picture has settled when scans at least `settle_seconds` apart saw the same state.  The file's own time
    is not compared with the clock: another computer may have written the file with another clock, and a file
    that is renamed or copied into place may be old.

    Parameters
    ----------
    folder : Path
        Searched recursively for the files that `inspector.imaging.files.list_images` lists, except that links
        to folders are not followed; a link to a file counts as a file.
    settle_seconds : float
        How long a picture must stay unchanged.

    Attributes
    ----------
    problems : list of DatasetError
        Files and folders that the last scan could not read.
    scan_seconds : float
        Duration of the last scan.
    vanished : list of str
        Paths where the scan before saw a picture, and the last scan saw none.
    replaced : bool
        The last scan found another folder under the name, such as that of a share that was just mounted.
    """

    def __init__(self, folder: Path, settle_seconds: float) -> None:
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - the name of a link stays
        self.problems: list[DatasetError] = []
        self.scan_seconds = 0.0
        self.vanished: list[str] = []
        self.replaced = False
        self._settle_seconds = settle_seconds
        self._left_out: set[str] = set()
        self._out_of_reach: list[str] = []
        self._seen: dict[str, _Seen] = {}
        self._scanned_at = 0.0
        self._identity: tuple[int, int] | None = None  # of the folder that was scanned last

    def leave_out(self, paths: Iterable[Path]) -> None:
        """Leave these folders and files out of every scan, such as those that receive results."""
        self._left_out |= {inside for path in paths if (inside := self._below(path)) is not None}

    def scan(self) -> list[Arrival]:
        """Scan the folder; return pictures that have settled and are not taken yet, oldest first.

        If a file system does not show every change, one taken picture is returned again each time: the one
        that was not looked at for the longest time.

        Raises
        ------
        DatasetError
            The folder itself cannot be read.  Problems below it go to `problems` instead.
        """
        self._scanned_at = now = time.monotonic()
        self.problems, self._out_of_reach = [], []
        found = self._walk()
        self._update(found, now)
        self.scan_seconds = time.monotonic() - now
        settled = [
            Arrival(path, one.modified)
            for path, one in self._seen.items()
            if one.judged_at is None and path in found and now - one.since >= self._settle_seconds
        ]
        settled.sort(key=lambda arrival: (arrival.modified.mtime_ns, arrival.path))
        doubtful = [path for path in found if not found[path].shows_changes()]
        return [*settled, *self._to_look_at_again(doubtful, now)]

    @property
    def present(self) -> Iterable[str]:
        """Paths of the pictures that the last scan saw."""
        return self._seen.keys()

    @property
    def unsettled(self) -> int:
        """Number of pictures that the last scan saw and that had not settled."""
        waiting = [one for one in self._seen.values() if one.judged_at is None]
        return sum(self._scanned_at - one.since < self._settle_seconds for one in waiting)

    def take(self, arrival: Arrival) -> None:
        """Do not return this picture again until it changes."""
        one = self._seen.get(arrival.path)
        if one is not None and one.modified == replace(arrival.modified, digest=None):
            one.judged_at = time.monotonic()

    def leave(self, path: str) -> None:
        """Note that the picture was moved away: the next one of its path is new, whatever its state is."""
        self._seen.pop(path, None)

    def forget(self) -> None:
        """Start over: every picture has to settle again and is returned again."""
        self._seen = {}

    def _update(self, found: dict[str, Modification], now: float) -> None:
        """Keep since when each picture has had its present state, and note which ones vanished."""
        with self._noting(str(self.folder)):
            status = self.folder.stat()
        identity = status.st_dev, status.st_ino
        self.replaced = self._identity not in {None, identity}
        self._identity = identity
        before = {} if self.replaced else self._seen
        self._seen = {}
        for path, modified in found.items():
            one = before.get(path)
            self._seen[path] = one if one and one.modified == modified else _Seen(modified, now)
        self.vanished = []
        for path in before.keys() - found.keys():
            if any(f"{path}/".startswith(f"{shut}/") for shut in self._out_of_reach):
                self._seen[path] = before[path]
            else:
                self.vanished.append(path)

    def _to_look_at_again(self, paths: list[str], now: float) -> list[Arrival]:
        """Return the taken picture that was not looked at for the longest time, unless that was just now."""
        taken = [(at, path) for path in paths if (at := self._seen[path].judged_at) is not None]
        looked_at, path = min(taken, default=(now, ""))
        is_due = now - looked_at >= _LOOK_AGAIN_SECONDS
        return [Arrival(path, self._seen[path].modified)] if is_due else []

    def _below(self, path: Path) -> str | None:
        """Return `path` as `_walk` would spell it; None if it lies outside the folder."""
        root, real = os.path.realpath(self.folder), os.path.realpath(path)
        inside = real != root and os.path.commonpath([root, real]) == root
        return str(self.folder / os.path.relpath(real, root)) if inside else None

    def _walk(self) -> dict[str, Modification]:
        """Return all pictures by path, each in its present state."""
        found: dict[str, Modification] = {}
        folders = [str(self.folder)]
        while folders:
            for entry in self._entries(folders.pop()):
                if entry.path in self._left_out or is_set_aside(entry.name):
                    continue
                with self._noting(entry.path):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif is_image_name(entry.name) and stat.S_ISREG((status := entry.stat()).st_mode):
                        link = entry.stat(follow_symlinks=False) if entry.is_symlink() else None
                        found[entry.path] = Modification.of(status, link)
        return found

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        listed: list[os.DirEntry[str]] = []
        with self._noting(folder), os.scandir(folder) as entries:
            listed.extend(entries)
        return listed

    @contextmanager
    def _noting(self, path: str) -> Iterator[None]:
        """Record in `problems` that a path cannot be read; skip files that disappeared, and broken links."""
        try:
            yield
        except OSError as exc:
            is_root = path == str(self.folder)
            if isinstance(exc, FileNotFoundError) and not is_root:
                return
            error = DatasetError(
                f"{printable(path)} is out of reach: {exc.strerror or exc}",
                hint="check the folder or its network share; the watch tries again",
            )
            if is_root:
                raise error from exc
            error.__cause__ = exc
            self.problems.append(error)
            self._out_of_reach.append(path)
