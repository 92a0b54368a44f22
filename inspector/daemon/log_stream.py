"""A stream for log lines that never waits for the reader of stderr."""

from __future__ import annotations

import os
import threading
from collections import deque

from inspector.daemon.logging import warning_line

MAX_WAITING_BYTES = 4 * 2**20
CLOSE_SECONDS = 0.5


class LogStream:
    """Takes lines at once; a thread of its own writes them to a descriptor.

    If the reader stalls, lines wait in memory.  Once a line finds no room, it and all lines after it are
    dropped, until the reader has taken those that waited.  Then the line `log lines lost` tells their count.

    Parameters
    ----------
    descriptor : int
        Where the lines go.  Errors are ignored: on a full disk, lines are lost.
    max_waiting_bytes : int
        Room for lines that wait.
    """

    def __init__(self, descriptor: int, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._descriptor, self._room = descriptor, max_waiting_bytes
        self._waiting: deque[bytes] = deque()
        self._lost, self._is_writing = 0, False
        self._changed = threading.Condition()
        threading.Thread(target=self._follow, name="log", daemon=True).start()

    def write(self, text: str) -> int:
        """Take one whole line; return its number of characters."""
        line = text.encode("utf-8", "backslashreplace")
        with self._changed:
            if self._lost or len(line) > self._room:
                self._lost += 1
            else:
                self._waiting.append(line)
                self._room -= len(line)
            self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes each line as soon as it can."""

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait until all lines are written, but no longer than some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._lost or self._is_writing), seconds)

    def _follow(self) -> None:
        while True:
            _write(self._descriptor, self._next_line())

    def _next_line(self) -> bytes:
        """Wait for a line to write; the count of lost lines comes after those that waited."""
        with self._changed:
            self._is_writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._lost)
            self._is_writing = True
            if self._waiting:
                line = self._waiting.popleft()
                self._room += len(line)
                return line
            lost, self._lost = self._lost, 0
        return warning_line("log lines lost", count=lost).encode()


def _write(descriptor: int, line: bytes) -> None:
    """Write a line without a buffer, which the end of the process would wait for."""
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError:
        return
