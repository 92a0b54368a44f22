"""Standard streams that are closed or broken: they change neither the exit code nor any file."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO

STREAMS = {"stdin": "r", "stdout": "w", "stderr": "w"}  # in the order of their descriptors: 0, 1, 2


class _Messages(io.FileIO):
    """A file for messages; it drops a message if nobody reads, or if the disk is full."""

    def write(self, content: bytes) -> int:  # type: ignore[override] # the buffer above passes nothing else
        """Write the bytes; return how many were written or dropped."""
        try:
            return super().write(content)
        except OSError:
            return len(content)


def messages_to(descriptor: int, encoding: str = "utf-8") -> TextIO:
    """Return a text stream that ignores errors; it does not close the descriptor."""
    raw: io.RawIOBase = _Messages(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, line_buffering=True)


def repair() -> None:
    """Open closed standard streams on nowhere, and ignore errors of stderr.

    A closed descriptor would be given to the next file that is opened, and output would go into that file.
    Streams that the program around us has put in place of Python's own stay.
    """
    for number, (name, mode) in enumerate(STREAMS.items()):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - stays open
    if (own := sys.__stderr__) is not None and sys.stderr is own:
        sys.stderr = messages_to(own.fileno(), own.encoding)
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold bytes that are not UTF-8; printing it must not fail.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
