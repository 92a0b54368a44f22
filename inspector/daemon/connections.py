"""Connections: limits on their number and on the headers of their requests."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inspector.daemon.errors import Problem
from inspector.daemon.logging import log_event
from inspector.daemon.upgrade import RequestParser

HEADER_SECONDS = 10.0
HEADER_BYTES = 65_536  # of address and headers together, and of the trailers after a body
_LINE_BYTES = len(b": \r\n")  # of a header, beside its name and its value
_UNCOUNTED_BYTES = 1024  # of method, version and spaces
_REFUSED_SECONDS = 1.0  # a client that still sends can read its answer for so long
_REFUSED_BYTES = 1_000_000
MAX_CONNECTIONS = 1000
_OTHER_FILES = 200  # for models, logs and the store
_LOG_INTERVAL_SECONDS = 1.0

_CLOSE = {"Connection": "close"}
_BUSY = Problem(
    503,
    "full",
    "too many connections are open, and none of them is idle",
    "try again in 1 s",
    {"Retry-After": "1", **_CLOSE},
)
_BAD_REQUEST = Problem(
    400,
    "malformed",
    "this is no valid HTTP/1 request",
    "check method, path and headers; this port speaks HTTP/1.1 without TLS",
    _CLOSE,
)
_LONG_HEADERS = Problem(
    431,
    "malformed",
    f"the address and the headers have more than {HEADER_BYTES} bytes together",
    "send fewer headers, or shorter ones",
    _CLOSE,
)
_LONG_ADDRESS = Problem(
    414,
    "malformed",
    f"the address has {HEADER_BYTES} bytes or more",
    "send a shorter address; pictures belong into the body",
    _CLOSE,
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


class _TooLongError(Exception):
    """The address or the headers exceed the limit."""


class Connection(HttpToolsProtocol):
    """A connection with limits on its headers; closed while idle if a new connection needs its place.

    At most `max_connections` are open at once.  One more replaces the connection that has been idle longest;
    a connection with half-sent headers counts as idle.  If none is idle, the new one is answered 503.
    """

    max_connections: ClassVar[int] = MAX_CONNECTIONS
    answered: ClassVar[Callable[[Problem], None]] = lambda _problem: None
    """Called with each problem that is answered here, outside of the application."""
    _idle: ClassVar[OrderedDict[Connection, None]] = OrderedDict()  # idle longest first
    _refused: ClassVar[int] = 0  # connections over the limit since the last log line
    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0  # address and headers of the message that are whole
    _waiting_bytes = 0  # since the start of the message, or since the last chunk of its body
    _wrong = _BAD_REQUEST  # the answer to bytes that are no request
    _is_refused = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        parser = RequestParser(self, self.head_without_offer)
        self.parser: RequestParser = parser  # type: ignore[assignment]  # it has the methods that uvicorn calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Make room for the connection and start the time limit of its first headers."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._count_refused()
            if not self._idle:
                self._answer(_BUSY)
                self.transport.close()
                return
            longest, _ = self._idle.popitem(last=False)
            longest.connections.discard(longest)
            longest.transport.abort()
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Parse data; refuse headers or trailers that are too long."""
        self._waiting_bytes += len(data)
        if self._is_refused:
            if self._waiting_bytes > _REFUSED_BYTES:
                self.transport.close()
            return
        super().data_received(data)
        if self._waiting_bytes > HEADER_BYTES + _UNCOUNTED_BYTES and not self._is_refused:
            self._refuse_long(_LONG_HEADERS)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        super().on_url(url)
        self._count(url, _LONG_ADDRESS)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        super().on_header(name, value)
        self._count(name + value, _LONG_HEADERS, _LINE_BYTES)

    def on_body(self, body: bytes) -> None:
        """Count from 0 again: the body has its own limit, and only trailers can follow it."""
        self._header_bytes = self._waiting_bytes = 0
        super().on_body(body)

    def on_message_begin(self) -> None:
        """Start the time limit of the headers."""
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        """End the time limit of the headers; the body has its own limits."""
        if not self.parser.has_offer:
            self._end_waiting()
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the body, unless the headers are going to be parsed again."""
        if not self.parser.has_offer:
            super().on_message_complete()

    def head_without_offer(self) -> bytes:
        """Return request line and headers as they came, but without `Upgrade`."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP request, and close the connection."""
        del msg  # always the same
        if self._wrong is _BAD_REQUEST:
            self._refuse(_BAD_REQUEST)
        else:
            self._refuse_long(self._wrong)

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
        self._header_bytes = self._waiting_bytes = 0
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _mark_idle(self) -> None:
        """Mark the connection as idle, unless a request is in progress."""
        if self._is_free() and not self.transport.is_closing():
            self._idle[self] = None

    def _is_free(self) -> bool:
        """Return whether every request so far is answered."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    def _count(self, data: bytes, problem: Problem, more_bytes: int = 0) -> None:
        """Count bytes of address and headers; too many end the parsing, and then `problem` is the answer."""
        self._header_bytes += len(data) + more_bytes
        if self._header_bytes >= HEADER_BYTES + (problem is _LONG_HEADERS):
            self._wrong = problem
            raise _TooLongError

    def _refuse_long(self, problem: Problem) -> None:
        """Refuse headers that are too long; with trailers another answer may be on its way."""
        if self._is_free():
            self._refuse(problem)
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer a problem, and close the connection.

        To close it at once would take the answer from a client that is still sending.  So the connection is
        half closed first, and discards further bytes.
        """
        if not self._is_free():  # the application still waits for a body
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._answer(problem)
        self.transport.write_eof()
        self._is_refused, self._waiting_bytes = True, 0
        self._end_waiting()
        self._idle[self] = None  # so that it makes room for the next one
        self._deadline = self.loop.call_later(_REFUSED_SECONDS, self.transport.close)

    def _answer(self, problem: Problem) -> None:
        """Answer a problem outside of the application."""
        type(self).answered(problem)
        answer = problem.response()
        lines = [b"HTTP/1.1 %d %s" % (problem.status, HTTPStatus(problem.status).phrase.encode())]
        lines += [b"%s: %s" % header for header in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))

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
