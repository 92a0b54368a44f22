"""Pictures that appear in a folder, each taken once it has settled.

The folder is looked through again and again.  The events of a file system would come sooner, but a network
share sends none for what another computer writes, and cameras and line PCs meet on shares.
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
from inspector.imaging.files import check_bytes, is_image_name, printable


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
    """A picture in one of its states; `path` is absolute."""

    path: str
    modified: Modification

    @cached_property
    def key(self) -> bytes:
        """16 bytes that stand for path and state: what a watch remembers for each picture it ever saw."""
        words = f"{self.modified.mtime_ns} {self.modified.size_bytes} {self.path}"
        return blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def read(self, max_bytes: int) -> bytes | ImageError | None:
        """Return the bytes of this very state, what is wrong with it, or None where it is no longer there.

        The file is looked at before and after it is read, through one descriptor: what another file
        of its name, or a writer in between, would have brought in is never taken for it.

        Raises
        ------
        DatasetError
            The disk or the network fails, which is not the picture's fault.
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
                hint="check the disk or the share; the picture is tried again",
            ) from exc

    def _read(self, max_bytes: int) -> bytes | None:
        # Whatever has taken the file's place since, a pipe say, must not hold us up.
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
    """The pictures of a folder that are to be dealt with.

    A picture has settled when looks that lie `settle_seconds` apart saw the same size and time of change.
    Its own time counts for nothing: the clock of the computer that wrote it may be another one, and a
    file that is renamed or copied into place may be old.

    Parameters
    ----------
    folder : Path
        Searched recursively, for the files that `inspector.imaging.files.list_images` lists; links to files
        count as files.
    settle_seconds : float
        For how long a picture must stay as it is.
    """

    def __init__(self, folder: Path, settle_seconds: float) -> None:
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - the name of a link stays
        self.problems: list[DatasetError] = []
        self.look_seconds = 0.0
        self._settle_seconds = settle_seconds
        self._left_out: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._looked = 0.0

    def leave_out(self, paths: Iterable[Path]) -> None:
        """Do not look at these folders and files, such as those where results go."""
        self._left_out |= {place for path in paths if (place := self._below(path)) is not None}

    def look(self) -> list[Arrival]:
        """Look through the folder, and return what has settled and is not `taken` yet, oldest first.

        What lies below and cannot be looked at is told in `problems`.

        Raises
        ------
        DatasetError
            The folder itself is out of reach.
        """
        self._looked = now = time.monotonic()
        self.problems = []
        seen = {}
        for path, modified in self._walk().items():
            before = self._seen.get(path)
            seen[path] = before if before and before.modified == modified else _Seen(modified, now)
        self._seen = seen
        self.look_seconds = time.monotonic() - now
        settled = [
            Arrival(path, one.modified)
            for path, one in seen.items()
            if not one.taken and now - one.since >= self._settle_seconds
        ]
        return sorted(settled, key=lambda arrival: (arrival.modified.mtime_ns, arrival.path))

    @property
    def unsettled(self) -> int:
        """Number of pictures that the last look saw and that had not settled."""
        waiting = [one for one in self._seen.values() if not one.taken]
        return sum(self._looked - one.since < self._settle_seconds for one in waiting)

    def take(self, arrival: Arrival) -> None:
        """Leave a picture out of the next looks, for as long as it stays as it is."""
        one = self._seen.get(arrival.path)
        if one is not None and one.modified == arrival.modified:
            one.taken = True

    def forget(self) -> None:
        """Begin anew: everything has to settle, and is returned once more."""
        self._seen = {}

    def _below(self, path: Path) -> str | None:
        """Name `path` as `_walk` would meet it; None where it lies elsewhere."""
        root, real = os.path.realpath(self.folder), os.path.realpath(path)
        inside = real != root and os.path.commonpath([root, real]) == root
        return str(self.folder / os.path.relpath(real, root)) if inside else None

    def _walk(self) -> dict[str, Modification]:
        """All pictures by path, each in the state that it is in now."""
        found: dict[str, Modification] = {}
        folders = [str(self.folder)]
        while folders:
            for entry in self._entries(folders.pop()):
                if entry.path in self._left_out or entry.name.startswith("."):
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
        """Note what cannot be looked at; what was removed meanwhile is none of it, nor a link to nowhere."""
        try:
            yield
        except OSError as exc:
            is_root = path == str(self.folder)
            if isinstance(exc, FileNotFoundError) and not is_root:
                return
            error = DatasetError(
                f"{printable(path)} is out of reach: {exc.strerror or exc}",
                hint="check the folder, or the share that it lies on; it is looked for again",
            )
            if is_root:
                raise error from exc
            error.__cause__ = exc
            self.problems.append(error)
