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
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Self

from inspector.errors import DatasetError, ImageError, UnreadableImageError
from inspector.imaging.files import check_bytes, is_image_name, is_set_aside, printable


@dataclass(frozen=True)
class Modification:
    """One state of a file; a change of size or of modification time makes another state."""

    mtime_ns: int
    size_bytes: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Read it from the file system's status of the file."""
        return cls(status.st_mtime_ns, status.st_size)


@dataclass(frozen=True)
class Arrival:
    """A picture in one state: its absolute path, and its size and time of change."""

    path: str
    modified: Modification

    @cached_property
    def key(self) -> bytes:
        """Digest of path and state, 16 bytes; a watch keeps one for each picture that it ever saw."""
        words = f"{self.modified.mtime_ns} {self.modified.size_bytes} {self.path}"
        return blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def read(self, max_bytes: int) -> bytes | ImageError | None:
        """Return the bytes of this state, an error if the picture is at fault, or None if the state is gone.

        Size and time are compared before and after reading, through one file descriptor.  So bytes of
        another file of the same name, or of a writer at work, are never returned.

        Raises
        ------
        DatasetError
            The disk or the network fails; the picture is not at fault.
        """
        try:
            return self._read(max_bytes)
        except ImageError as error:
            return error
        except FileNotFoundError:
            return None
        except PermissionError as exc:
            return UnreadableImageError(
                f"{printable(self.path)} cannot be opened: {exc.strerror}", hint="check its permissions"
            )
        except OSError as exc:
            raise DatasetError(
                f"{printable(self.path)} cannot be read: {exc.strerror or exc}",
                hint="check the disk or the network share; the watch tries again",
            ) from exc

    def _read(self, max_bytes: int) -> bytes | None:
        # O_NONBLOCK: the name may belong to a pipe by now, and opening a pipe would block.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not self._is(os.fstat(descriptor)):
                return None
            check_bytes(self.modified.size_bytes, printable(self.path), max_bytes)
            content = stream.read()
            return content if self._is(os.fstat(descriptor)) else None

    def _is(self, status: os.stat_result) -> bool:
        return stat.S_ISREG(status.st_mode) and Modification.of(status) == self.modified


@dataclass
class _Seen:
    modified: Modification
    since: float  # seconds of the monotonic clock
    taken: bool = False


class Arrivals:
    """The pictures of a folder that still have to be inspected.

    A picture has settled when scans at least `settle_seconds` apart saw the same size and time of change.
    The file's own time is not compared with the clock: another computer may have written the file with
    another clock, and a file that is renamed or copied into place may be old.

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
    """

    def __init__(self, folder: Path, settle_seconds: float) -> None:
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - the name of a link stays
        self.problems: list[DatasetError] = []
        self.scan_seconds = 0.0
        self._settle_seconds = settle_seconds
        self._left_out: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._scanned_at = 0.0

    def leave_out(self, paths: Iterable[Path]) -> None:
        """Leave these folders and files out of every scan, such as those that receive results."""
        self._left_out |= {inside for path in paths if (inside := self._below(path)) is not None}

    def scan(self) -> list[Arrival]:
        """Scan the folder; return pictures that have settled and are not taken yet, oldest first.

        Raises
        ------
        DatasetError
            The folder itself cannot be read.  Problems below it go to `problems` instead.
        """
        self._scanned_at = now = time.monotonic()
        self.problems = []
        seen = {}
        for path, modified in self._walk().items():
            before = self._seen.get(path)
            seen[path] = before if before and before.modified == modified else _Seen(modified, now)
        self._seen = seen
        self.scan_seconds = time.monotonic() - now
        settled = [
            Arrival(path, one.modified)
            for path, one in seen.items()
            if not one.taken and now - one.since >= self._settle_seconds
        ]
        return sorted(settled, key=lambda arrival: (arrival.modified.mtime_ns, arrival.path))

    @property
    def unsettled(self) -> int:
        """Number of pictures that the last scan saw and that had not settled."""
        waiting = [one for one in self._seen.values() if not one.taken]
        return sum(self._scanned_at - one.since < self._settle_seconds for one in waiting)

    def take(self, arrival: Arrival) -> None:
        """Do not return this picture again until it changes."""
        one = self._seen.get(arrival.path)
        if one is not None and one.modified == arrival.modified:
            one.taken = True

    def forget(self) -> None:
        """Start over: every picture has to settle again and is returned again."""
        self._seen = {}

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
                        found[entry.path] = Modification.of(status)
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
