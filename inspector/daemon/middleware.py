"""Middleware around every request: request id, security headers, log line, metrics, unexpected errors."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inspector.daemon.errors import INTERNAL, Problem
from inspector.daemon.logging import log_event, logger

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

UNKNOWN_ROUTE = "unknown"
CLIENT_CLOSED_REQUEST = 499  # nginx's status for a client that left before the answer
QUIET_ROUTES = {"/livez", "/readyz", "/metrics"}  # asked every few seconds, so logged only on errors


class RequestMiddleware:
    """ASGI middleware around the application.

    Parameters
    ----------
    app : ASGI application
    count : callable
        Called as `count(route, status)` for each answer.
    failed : callable
        Called for each unexpected error.
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
        scope.setdefault("state", {})["log"] = fields  # routes add fields to the request's log line
        method, status = scope["method"], 0
        if method == "HEAD":  # answered as GET is; the server leaves out the body
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:  # unexpected errors are counted, logged and answered
            self._failed()
            log_event("unexpected", logging.ERROR, **fields)
            logger.exception("traceback", extra={"fields": fields})
            if not status:
                answer = Problem(
                    500,
                    INTERNAL,
                    "an unexpected error occurred",
                    "look for the request id in the daemon's log",
                )
                await answer.response()(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            self._finish(method, route, status, began, fields)

    def _finish(self, method: str, route: str, status: int, began: float, fields: dict[str, Any]) -> None:
        """Count the answer and write its log line; status 0 means that the client left before it."""
        self._count(route, status or CLIENT_CLOSED_REQUEST)
        if route not in QUIET_ROUTES or status >= 400:
            log_event(
                "request",
                method=method,
                route=route,
                status=status or CLIENT_CLOSED_REQUEST,
                ms=round((perf_counter() - began) * 1e3, 1),
                **fields,
            )
