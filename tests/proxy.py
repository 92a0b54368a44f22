"""A reverse proxy that serves a daemon below a path, for tests."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

PREFIX = "/inspector"
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date"}


class Proxy:
    """Forwards `/inspector/…` to a daemon as `/…`, as nginx does with two slashes at the end.

    Attributes
    ----------
    url : str
        Address of the proxy, with the prefix and a slash.
    strays : list of str
        Paths that were asked for outside of the prefix.
    """

    def __init__(self, port: int) -> None:
        strays: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                """Forward one request, and its answer."""
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length) if length else None
                if not self.path.startswith(f"{PREFIX}/"):
                    strays.append(self.path)
                    self.send_error(404)
                    return
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                headers = {n: v for n, v in self.headers.items() if n.lower() not in _HOP_BY_HOP}
                client.request(self.command, self.path.removeprefix(PREFIX), body, headers)
                answer = client.getresponse()
                content = answer.read()
                client.close()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = forward  # noqa: N815 - the names of http.server

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}{PREFIX}/"
        self.strays = strays

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
