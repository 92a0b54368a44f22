"""Parses requests, and ignores offers to continue in another protocol than HTTP/1."""

from __future__ import annotations

from collections.abc import Callable

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class RequestParser:
    """Parses requests, and ignores offers to continue in another protocol.

    Some HTTP libraries offer HTTP/2 with each request (`Upgrade: h2c`).  A server may ignore such an offer
    (RFC 9110, section 7.8).  But httptools ends the request at its headers, so its body would be lost.
    Therefore a new parser gets the headers once more, without the offer, and then the body.

    Parameters
    ----------
    connection : HttpToolsProtocol
        Its methods are called with the parsed parts of requests.
    head_without_offer : callable
        Returns request line and headers of the current request, without the offer.
    """

    def __init__(self, connection: HttpToolsProtocol, head_without_offer: Callable[[], bytes]) -> None:
        self._connection, self._head_without_offer = connection, head_without_offer
        self._parser = self._new_parser()

    @property
    def has_offer(self) -> bool:
        """True if the current headers offer another protocol; CONNECT is no offer but a demand."""
        return self.should_upgrade() and self.get_method() != b"CONNECT"

    def feed_data(self, data: bytes) -> None:
        """Parse data; the methods of the connection are called on the way."""
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
            except HttpParserUpgrade as offer:
                if not self.has_offer:
                    raise
                head = self._head_without_offer()
                self._parser = self._new_parser()
                self._parser.feed_data(head)
                rest = rest[offer.args[0] :]
            else:
                return

    def should_upgrade(self) -> bool:
        """Return whether the current headers ask for another protocol."""
        return self._parser.should_upgrade()

    def should_keep_alive(self) -> bool:
        """Return whether the current headers leave the connection open."""
        return self._parser.should_keep_alive()

    def get_method(self) -> bytes:
        """Return the method of the current request."""
        return self._parser.get_method()

    def get_http_version(self) -> str:
        """Return the version of the current request, such as `1.1`."""
        return self._parser.get_http_version()

    def _new_parser(self) -> HttpRequestParser:
        parser = HttpRequestParser(self._connection)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
        return parser
