"""Test what file permissions forbid, as an ordinary user or as root."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

VERSION_3 = 0x20080522  # of the structures that capget and capset take; see man 2 capset
THIS_THREAD = 0


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def unprivileged() -> Iterator[None]:
    """Take root's capabilities from this thread, and from threads that it starts, inside the block.

    File permissions then bind root as they bind an ordinary user, who loses nothing here. A process that is
    started inside the block has the capabilities again.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header, kept = _Header(VERSION_3, THIS_THREAD), (_Sets * 2)()
    assert libc.capget(ctypes.byref(header), kept) == 0, ctypes.get_errno()
    none = (_Sets * 2)(*(_Sets(0, sets.permitted, sets.inheritable) for sets in kept))
    assert libc.capset(ctypes.byref(header), none) == 0, ctypes.get_errno()
    try:
        yield
    finally:
        assert libc.capset(ctypes.byref(header), kept) == 0, ctypes.get_errno()
