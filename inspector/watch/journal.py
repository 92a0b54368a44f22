"""The results of a watch: one whole line for each picture that arrived, never written twice.

The results file is the watch's only memory.  A restarted watch reads it to learn which pictures are done.  If
somebody replaces or shortens the file, the watch goes on as if it had just been started.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, get_args

from inspector.bundle.atomic import locked, storage_errors, sync
from inspector.errors import StorageError, UsageError
from inspector.imaging.files import printable
from inspector.scoring.records import ScoredImage
from inspector.types import Verdict
from inspector.watch.arrival import Arrival, Modification
from inspector.watch.memory import LastLine, Memory

LOCK_SECONDS = 1.0

_VERDICTS = frozenset(get_args(Verdict))
_BEGINS = b'{"path":'  # start of every line that a watch writes
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


class WatchedImage(ScoredImage):
    """One line of `inspector watch`: a scored image, its file's state, its heatmap, its new folder."""

    modified: Modification
    heatmap: str | None
    destination: str | None = None


class _Results:
    """The memory of the lines that were written."""

    def __init__(self) -> None:
        self._memory = Memory()

    def last(self, path: str) -> LastLine | None:
        """Return the last line of a path; None if it has none."""
        return self._memory.get(path)

    def keep(self, arrival: Arrival, verdict: Verdict) -> None:
        """Remember the present state of a picture that has its line already."""
        self._memory.note(arrival.path, LastLine(arrival.modified, verdict))

    def mark_gone(self, paths: Iterable[str]) -> None:
        """Note that there is no picture at these paths: the next picture there has no line yet."""
        self._memory.mark_gone(paths)

    def mark_all_gone_but(self, paths: Iterable[str]) -> None:
        """Note that there is no picture anywhere but at these paths."""
        self._memory.mark_all_gone_but(paths)


class Printout(_Results):
    """Results on a stream, remembered in memory until the process ends.

    Parameters
    ----------
    write : callable
        Writes one result.
    """

    def __init__(self, write: Callable[[WatchedImage], None]) -> None:
        super().__init__()
        self._write = write

    def append(self, row: WatchedImage) -> None:
        """Write the line of a picture."""
        self._write(row)
        self.keep(Arrival(row.path or "", row.modified), row.verdict)

    def refresh(self) -> bool:
        """Return whether the results were changed from outside: never, on a stream."""
        return False

    def close(self) -> None:
        """Do nothing; the caller owns the stream."""


class Journal(_Results):
    """Results in a file of JSON lines.

    When `append` returns, the line is on the disk.  The lock file beside the results is released when its
    process ends, however it ends.

    Parameters
    ----------
    path : Path
        Created if missing; its folder must exist.
    warn : callable
        Called with one line of text if the file holds lines that no watch wrote.  Such lines are kept.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        super().__init__()
        self.path, self._warn = path, warn
        self._lock = ExitStack()
        self._reopened = False  # since the last call of `refresh`
        self._size_bytes = -1  # bytes read and written so far; -1 while the file is not open

    def open(self) -> None:
        """Lock the file, and read which pictures are done.

        An incomplete last line is cut off if a watch wrote it, and else completed.

        Raises
        ------
        StoreBusyError
            Another watch writes to this file.
        StorageError
            The file cannot be read or written.
        UsageError
            The path is not a file that a watch may write to.
        """
        self.close()
        if not os.path.isdir(self.path.parent):  # noqa: PTH112 - locking would create the folder of an unmounted share
            raise StorageError(
                f"{printable(self.path)}: there is no such folder",
                hint="create the folder, or choose another --output",
            )
        with ExitStack() as stack:
            lock = self.path.with_name(f".{self.path.name}.lock")
            stack.enter_context(locked(lock, printable(self.path), LOCK_SECONDS))
            with storage_errors(self.path):
                self._learn()
            self._lock = stack.pop_all()

    def close(self) -> None:
        """Release the lock."""
        self._size_bytes = -1
        self._lock.close()

    def refresh(self) -> bool:
        """Open the file again if it was closed or changed from outside; return whether that happened."""
        reopened, self._reopened = self._reopened, False
        return self._refresh() or reopened

    def _refresh(self) -> bool:
        with storage_errors(self.path):
            try:
                size_bytes = self.path.stat().st_size
            except FileNotFoundError:
                size_bytes = -1
        if size_bytes == self._size_bytes >= 0:
            return False
        self.open()
        return True

    def append(self, row: WatchedImage) -> None:
        """Write the line of a picture, unless the file has got one; return when the line is on the disk.

        Raises
        ------
        StorageError
            The disk is full, read-only or unreachable; no part of the line stays in the file.
        """
        arrival = Arrival(row.path or "", row.modified)
        if self._refresh():
            self._reopened = True
            last = self.last(arrival.path)
            if last is not None and last.modified == arrival.modified:
                return
        line = row.to_json().encode("ascii") + b"\n"
        with storage_errors(self.path):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                _write(descriptor, line)
            except BaseException:
                # If even this fails, `refresh` sees the wrong size and `open` cuts the line off.
                with suppress(OSError):
                    os.ftruncate(descriptor, self._size_bytes)
                raise
            finally:
                os.close(descriptor)
        self._size_bytes += len(line)
        self.keep(arrival, row.verdict)

    def _learn(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(
                    f"{printable(self.path)} is not a regular file", hint="name a file, or - for stdout"
                )
            memory = Memory()
            size_bytes = own = foreign = 0
            for line in stream:
                if not line.endswith(b"\n"):  # its writer died, or its disk was full
                    if _is_torn(line, zeros=own > 0 or not foreign):
                        os.ftruncate(descriptor, size_bytes)
                        os.fsync(descriptor)
                        break
                    if not own:
                        raise UsageError(
                            f"{printable(self.path)} ends in half a line that inspector watch did not write",
                            hint="name another file, or complete its last line",
                        )
                    size_bytes += len(line) + os.pwrite(descriptor, b"\n", size_bytes + len(line))
                    foreign += 1
                    break
                size_bytes += len(line)
                if _learn_line(line, memory):
                    own += 1
                else:
                    foreign += 1
        sync(self.path.parent)
        self._memory, self._size_bytes = memory, size_bytes
        if foreign:
            lines, kept = ("1 line", "it is") if foreign == 1 else (f"{foreign} lines", "they are")
            self._warn(f"{printable(self.path)}: {lines} not written by inspector watch, kept as {kept}")


def _is_torn(tail: bytes, *, zeros: bool) -> bool:
    """Return whether an incomplete line may come from a watch.

    After a power cut it may consist of zero bytes.  With `zeros`, such bytes count as the line of a watch.
    """
    return tail.startswith(_BEGINS) or _BEGINS.startswith(tail) or (zeros and not tail.strip(b"\0"))


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _learn_line(line: bytes, memory: Memory) -> bool:
    """Remember path, state and verdict of a line; return False if no watch wrote it."""
    try:
        row: dict[str, Any] = json.loads(line)
        path, verdict, modified = row["path"], row["verdict"], row["modified"]
        # Lines of older versions have neither of the last two.
        state = Modification(
            modified["mtime_ns"], modified["size_bytes"], modified.get("ctime_ns"), modified.get("digest")
        )
        numbers = (state.mtime_ns, state.size_bytes, state.ctime_ns or 0)
        if verdict not in _VERDICTS or not isinstance(path, str) or {*map(type, numbers)} != {int}:
            return False
        if state.digest is not None and not _DIGEST.fullmatch(state.digest):
            return False
        memory.note(path, LastLine(state, verdict, gone=row.get("destination") is not None))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return False
    return True
