"""Limits on request headers and on the number of open connections."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import OrderedDict
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inspector.daemon.logging import log_event

HEADER_SECONDS = 10.0
HEADER_BYTES = 65_536
MAX_CONNECTIONS = 1000
_OTHER_FILES = 200  # for models, logs and the store
_LOG_INTERVAL_SECONDS = 1.0

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


def raise_file_limit() -> int:
    """Raise the limit of open files to its maximum; return the number of connections that fit in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # not permitted here
        hard = soft
    room = MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else hard - _OTHER_FILES
    return max(1, min(MAX_CONNECTIONS, room))


class Connection(HttpToolsProtocol):
    """A connection with limits on its headers; closed while idle if a new connection needs its place.

    At most `max_connections` are open at once.  One more replaces the connection that has been idle longest;
    a connection with half-sent headers counts as idle.  If none is idle, the new one is answered 503.
    """

    max_connections: ClassVar[int] = MAX_CONNECTIONS
    _idle: ClassVar[OrderedDict[Connection, None]] = OrderedDict()  # idle longest first
    _refused: ClassVar[int] = 0  # connections over the limit since the last log line
    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0  # since the start of the message, or since the last chunk of its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Make room for the connection and start the time limit of its first headers."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._count_refused()
            if not self._idle:
                transport.write(_BUSY)
                transport.close()
                return
            longest, _ = self._idle.popitem(last=False)
            longest.connections.discard(longest)
            longest.transport.abort()
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Parse data; close the connection if headers or trailers are too long."""
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > HEADER_BYTES:
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Count header bytes from 0 again: the body has its own limit, and only trailers can follow it."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_begin(self) -> None:
        """Start the time limit of the headers."""
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        """End the time limit of the headers; the body has its own limits."""
        self._end_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Mark the connection as idle until its next request; uvicorn closes it after its keep-alive time."""
        super().on_response_complete()
        self._mark_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_waiting()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        self._end_waiting()
        self._mark_idle()
        self._header_bytes = 0
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _mark_idle(self) -> None:
        """Mark the connection as idle, unless a request is in progress."""
        is_free = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        if is_free and not self.transport.is_closing():
            self._idle[self] = None

    def _end_waiting(self) -> None:
        self._idle.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _count_refused(self) -> None:
        """Count a connection over the limit; log the count at most once a second."""
        kind = type(self)
        kind._refused += 1
        if kind._refused == 1:
            self.loop.call_later(_LOG_INTERVAL_SECONDS, self._log_refused)

    @classmethod
    def _log_refused(cls) -> None:
        log_event("too many connections", logging.WARNING, limit=cls.max_connections, closed=cls._refused)
        cls._refused = 0
