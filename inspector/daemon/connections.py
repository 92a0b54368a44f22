"""A connection of uvicorn's with what it lacks: limits on headers, and on the number of connections."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import OrderedDict
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inspector.daemon.logging import say

HEADER_SECONDS = 10.0
HEADER_BYTES = 65_536
MOST_CONNECTIONS = 1000
_OTHER_FILES = 200  # models, logs, the store
_NOTE_SECONDS = 1.0

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


def raise_file_limit() -> int:
    """Let the process open as many files as it may; return how many connections that leaves room for."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):  # not permitted here
        most = soft
    room = MOST_CONNECTIONS if most == resource.RLIM_INFINITY else most - _OTHER_FILES
    return max(1, min(MOST_CONNECTIONS, room))


class Connection(HttpToolsProtocol):
    """A connection that is closed where its headers never end, or where it idles and others need room.

    `most` connections are open at once.  One more takes the place of that which has been without a request
    for longest, a half-sent header being none; where all of them have one, it is answered 503.
    """

    most: ClassVar[int] = MOST_CONNECTIONS
    _idle: ClassVar[OrderedDict[Connection, None]] = OrderedDict()  # longest first
    _pushed_out: ClassVar[int] = 0  # since the last line in the log
    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0  # that came since the beginning of the message, or the latest piece of its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Find room for one more, and begin to wait for its first request."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._note()
            if not self._idle:
                transport.write(_BUSY)
                transport.close()
                return
            longest, _ = self._idle.popitem(last=False)
            longest.connections.discard(longest)
            longest.transport.abort()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Parse, unless headers, or trailers, are longer than any that are meant well."""
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > HEADER_BYTES:
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Count anew: a body has a limit of its own, and only trailers may come after it."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_begin(self) -> None:
        """Begin to wait for the end of the headers."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """Stop waiting: the body has limits of its own."""
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Be idle until the next request; uvicorn closes those that stay so."""
        super().on_response_complete()
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._rest()
        self._header_bytes = 0
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _rest(self) -> None:
        """Be among the idle ones, unless a request is in progress."""
        is_free = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        if is_free and not self.transport.is_closing():
            self._idle[self] = None

    def _stop_waiting(self) -> None:
        self._idle.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _note(self) -> None:
        """Count, and write at most one line a second."""
        kind = type(self)
        kind._pushed_out += 1
        if kind._pushed_out == 1:
            self.loop.call_later(_NOTE_SECONDS, self._tell)

    @classmethod
    def _tell(cls) -> None:
        say("too many connections", logging.WARNING, most=cls.most, closed=cls._pushed_out)
        cls._pushed_out = 0
