"""Lets pages of other origins use the daemon (CORS), if they are allowed."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from inspector.daemon.errors import Problem

METHODS = ("GET", "HEAD", "POST", "PUT")
EXPOSED = ("X-Inspection-Id", "X-Request-Id", "Retry-After", "WWW-Authenticate", "Allow")


class OriginsMiddleware(CORSMiddleware):
    """ASGI middleware around the application; it adds the headers of CORS to every answer, errors too.

    Cookies play no part.  A page sends its key in the header `Authorization`, as every client does.

    Parameters
    ----------
    app : ASGI application
    origins : collection of str
        Allowed origins, as browsers send them; `*` allows every page.

    References
    ----------
    WHATWG, "Fetch Standard", section 3.3, CORS protocol.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=["*"], expose_headers=EXPOSED
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer the question of a browser whether it may send a request; a refusal is a problem."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        origin, method = request_headers["origin"], request_headers["access-control-request-method"]
        problem = Problem(
            403,
            "forbidden",
            f"a page of {origin} may not send {method}",
            f"INSPECTOR_ALLOWED_ORIGINS allows {', '.join(self.allow_origins)} to send {', '.join(METHODS)}",
            {name: answer.headers[name] for name in answer.headers if not name.startswith("content-")},
        )
        return problem.response()
