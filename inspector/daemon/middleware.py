"""What surrounds every request: its id, security headers, one log line, the counters, and the last net."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inspector.daemon.errors import Problem
from inspector.daemon.logging import say

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

UNKNOWN_ROUTE, INTERNAL = "unknown", "internal"
QUIET = {"/livez", "/readyz", "/metrics"}  # asked every few seconds: not worth a line


class Edge:
    """ASGI middleware around the application.

    Parameters
    ----------
    app : ASGI application
    count : callable
        Called as `count(route, status)` for each answer.
    failed : callable
        Called for each error that nobody foresaw.
    """

    def __init__(self, app: ASGIApp, count: Callable[[str, int], None], failed: Callable[[], None]) -> None:
        self._app, self._count, self._failed = app, count, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        fields: dict[str, Any] = {"request_id": request_id}
        scope.setdefault("state", {})["log"] = fields
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:  # the last net: whatever nobody foresaw is counted, logged and answered
            self._failed()
            say("unexpected", logging.ERROR, **fields)
            logging.getLogger("inspector.daemon").exception("traceback", extra={"fields": fields})
            if not status:
                answer = Problem(
                    500, INTERNAL, "something unexpected happened", "look for the request id in the log"
                )
                await answer.response()(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            self._count(route, status or 499)
            if route not in QUIET or status >= 400:
                milliseconds = round((perf_counter() - began) * 1e3, 1)
                say(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status or 499,
                    ms=milliseconds,
                    **fields,
                )
