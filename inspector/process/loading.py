"""Loads modules and models without searching them for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Exempt everything that is loaded in the block from garbage collection.

    All of it stays until the process ends, and every search through it would take as long as scoring
    several pictures.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
