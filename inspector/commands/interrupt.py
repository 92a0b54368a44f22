"""Ctrl-C that cannot be lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def certain_interrupt() -> Iterator[Callable[[], None]]:
    """Give a function to call now and then: it raises KeyboardInterrupt if an earlier one went missing.

    Ctrl-C raises wherever the program happens to be.  In a destructor, or in a callback from C, Python
    drops the exception, and the work would go on as if nobody had asked.
    """
    asked = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        asked.set()
        raise KeyboardInterrupt

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
