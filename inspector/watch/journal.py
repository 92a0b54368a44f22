"""The results of a watch: one line for each state of each picture, whole or not at all, written once.

The file is the only memory.  Whoever reads it knows what was inspected, and so does the next watch; where
somebody replaces or shortens it, the watch goes on as if it had been started anew.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, get_args

from inspector.bundle.atomic import locked, storage_errors, sync
from inspector.errors import StorageError, UsageError
from inspector.imaging.files import printable
from inspector.scoring.records import ScoredImage
from inspector.types import Verdict
from inspector.watch.arrivals import Arrival, Modification

LOCK_SECONDS = 1.0

_VERDICTS = frozenset(get_args(Verdict))
_BEGINS = b'{"path":'  # each line of ours


class WatchedImage(ScoredImage):
    """One line of `inspector watch`: a scored image, the state of its file, and its heatmap."""

    modified: Modification
    heatmap: str | None


class Printout:
    """Results that go to a stream, and are remembered for as long as the process lives.

    Parameters
    ----------
    write : callable
        Takes one line, without its end.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._done: dict[bytes, Verdict] = {}

    def verdict(self, arrival: Arrival) -> Verdict | None:
        """Return the verdict on a picture in this state; None where there is no line of it."""
        return self._done.get(arrival.key)

    def append(self, row: WatchedImage) -> None:
        """Write the line of a picture."""
        self._write(row.to_json())
        self._done[_arrival(row).key] = row.verdict

    def refresh(self) -> bool:
        """Whether something else was written there since; never."""
        return False

    def close(self) -> None:
        """Do nothing: the stream belongs to others."""


class Journal:
    """Results in a file of JSON lines.

    A line is on the disk when `append` returns.  The lock beside the file dies with its process.

    Parameters
    ----------
    path : Path
        Made where it is missing; its folder is not.
    warn : callable
        Is told, in one line, of lines that a watch has not written; they are kept.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path, self._warn = path, warn
        self._lock = ExitStack()
        self._done: dict[bytes, Verdict] = {}
        self._reopened = False  # since `refresh` was asked
        self._size_bytes = -1  # as far as we have read and written; below 0 it is not open

    def open(self) -> None:
        """Lock the file, cut off a last line that is not whole, and learn what it says.

        Raises
        ------
        StoreBusyError
            Another watch writes there.
        StorageError
            It cannot be read or written.
        UsageError
            It is no file.
        """
        self.close()
        if not os.path.isdir(self.path.parent):  # noqa: PTH112 - locking would make it, where a share is away
            raise StorageError(
                f"{printable(self.path)}: there is no such folder", hint="make it, or choose another --output"
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

    def verdict(self, arrival: Arrival) -> Verdict | None:
        """Return the verdict on a picture in this state; None where there is no line of it."""
        return self._done.get(arrival.key)

    def refresh(self) -> bool:
        """Open the file again where it is closed, or is not what was written; return whether that was so."""
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
        """Write the line of a picture, unless there is one; wait until the disk has it.

        Raises
        ------
        StorageError
            The disk is full, read-only or out of reach; nothing of the line is left.
        """
        arrival = _arrival(row)
        if self._refresh():
            self._reopened = True
            if arrival.key in self._done:
                return
        line = row.to_json().encode("ascii") + b"\n"
        with storage_errors(self.path):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                _write(descriptor, line)
            except BaseException:
                # Should even this fail, then `refresh` sees another size, and `open` cuts.
                with suppress(OSError):
                    os.ftruncate(descriptor, self._size_bytes)
                raise
            finally:
                os.close(descriptor)
        self._size_bytes += len(line)
        self._done[arrival.key] = row.verdict

    def _learn(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(
                    f"{printable(self.path)} is not a regular file", hint="name a file, or - for stdout"
                )
            done: dict[bytes, Verdict] = {}
            size_bytes = foreign = 0
            for line in stream:
                if not line.endswith(b"\n"):  # its writer died, or its disk was full
                    if not done and not _is_torn(line, alone=not foreign):
                        raise UsageError(
                            f"{printable(self.path)} ends in half a line that inspector watch did not write",
                            hint="name another file, or end its last line",
                        )
                    os.ftruncate(descriptor, size_bytes)
                    os.fsync(descriptor)
                    break
                size_bytes += len(line)
                if (known := _known(line)) is not None:
                    done[known[0].key] = known[1]
                else:
                    foreign += 1
        sync(self.path.parent)
        self._done, self._size_bytes = done, size_bytes
        if foreign:
            lines = "1 line" if foreign == 1 else f"{foreign} lines"
            self._warn(f"{printable(self.path)}: {lines} not written by inspector watch, kept as they are")


def _is_torn(tail: bytes, *, alone: bool) -> bool:
    """Whether the beginning of a line may be of ours; a power cut can leave zeros, and nothing else."""
    return tail.startswith(_BEGINS) or _BEGINS.startswith(tail) or (alone and not tail.strip(b"\0"))


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _arrival(row: WatchedImage) -> Arrival:
    return Arrival(row.path or "", row.modified)


def _known(line: bytes) -> tuple[Arrival, Verdict] | None:
    """Read as much of a line as a watch has to remember; None where a watch has not written it."""
    try:
        row: dict[str, Any] = json.loads(line)
        path, verdict, modified = row["path"], row["verdict"], row["modified"]
        numbers = [modified["mtime_ns"], modified["size_bytes"]]
        if verdict not in _VERDICTS or not isinstance(path, str) or {*map(type, numbers)} != {int}:
            return None
    except (ValueError, TypeError, KeyError):
        return None
    return Arrival(path, Modification(*numbers)), verdict
