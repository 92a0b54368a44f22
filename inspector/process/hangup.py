"""Handles SIGHUP in a process that runs on: its terminal was closed, or somebody asks for a reload."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINAL = "/dev/tty"  # the terminal of the process, whatever its standard streams are


@contextmanager
def hangups(closed: Callable[[], object], asked: Callable[[], object]) -> Iterator[None]:
    """Call one of two functions at each SIGHUP inside the block.

    Parameters
    ----------
    closed : callable
        Called if the process was started from a terminal, and the terminal is gone.  Not called under
        `nohup`, which asks to survive this.
    asked : callable
        Called otherwise, also without a terminal: somebody sent the signal for a reload.
    """
    before = signal.getsignal(signal.SIGHUP)
    attached = before is not signal.SIG_IGN and _has_terminal()

    def note(_signal: int, _frame: FrameType | None) -> None:
        (closed if attached and not _has_terminal() else asked)()

    signal.signal(signal.SIGHUP, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
