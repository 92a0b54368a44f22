"""Turns errors into HTTP answers: `application/problem+json` with a status, a code and a hint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from inspector.daemon.workers import QueueFullError, Workers
from inspector.errors import (
    BundleError,
    DatasetError,
    EmptyImageError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    InspectorError,
    InvalidReason,
    MissingExtraError,
    ModelNotFoundError,
    NoCurrentModelError,
    StoreError,
    TrainingError,
    TransparentImageError,
    UnknownFormatError,
    UsageError,
    error_classes,
)
from inspector.imaging.files import printable

STATUS: dict[type[InspectorError], int] = {
    UsageError: 400,
    ImageError: 422,
    EmptyImageError: 400,
    UnknownFormatError: 415,
    ImageTooLargeError: 413,
    TransparentImageError: 200,  # it can be decoded, so the answer is the verdict `invalid`
    ImageTooSmallError: 200,
    DatasetError: 422,
    BundleError: 503,
    StoreError: 503,
    ModelNotFoundError: 404,
    NoCurrentModelError: 503,
    MissingExtraError: 501,
    TrainingError: 500,
}

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    413: "Content too large",
    414: "URI too long",
    415: "Unsupported media type",
    422: "Unprocessable content",
    431: "Request header fields too large",
    500: "Internal error",
    501: "Not implemented",
    503: "Service unavailable",
}


INTERNAL = "internal"
"""Code of an unexpected error."""


class Problem(Exception):  # noqa: N818 - the term of RFC 9457
    """An error that is answered to the client.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        One word for programs, such as `model_not_found`.
    detail : str
        The problem, the value that caused it, and the allowed values.
    hint : str
        The next step for the client.
    headers : mapping, optional
        Additional headers, such as `Retry-After`.

    References
    ----------
    RFC 9457, "Problem Details for HTTP APIs".
    """

    def __init__(
        self, status: int, code: str, detail: str, hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint
        self.headers = dict(headers or {})

    def content(self) -> dict[str, str | int]:
        """Return the JSON object of the answer."""
        return {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
        }

    def response(self) -> Response:
        """Return the HTTP answer."""
        return Response(
            json.dumps(self.content()), self.status, {**self.headers}, media_type="application/problem+json"
        )


def code_of(kind: type[InspectorError]) -> str:
    """Return the code of an error class: the reason of an `invalid` picture, else the name of the class.

    Examples
    --------
    >>> code_of(ModelNotFoundError)
    'model_not_found'
    >>> code_of(ImageTooLargeError)
    'too_large'
    >>> code_of(ImageError)
    'invalid'
    """
    if issubclass(kind, ImageError):
        return str(getattr(kind, "reason", "invalid"))
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()


def status_of(kind: type[InspectorError]) -> int:
    """Return the HTTP status of an error class: its own entry in `STATUS`, or that of its branch."""
    return next((STATUS[base] for base in kind.__mro__ if base in STATUS), 500)


def problem_of(error: InspectorError) -> Problem:
    """Turn an error of the tree into a problem."""
    kind = type(error)
    return Problem(status_of(kind), code_of(kind), error.message, error.hint)


INVALID_STATUS: dict[InvalidReason, int] = {
    kind.reason: status_of(kind) for kind in error_classes(ImageError) if kind is not ImageError
}
"""HTTP status of a single picture with the verdict `invalid`, by its reason."""


def add_error_handlers(app: FastAPI, count: Callable[[str], None], workers: Workers) -> None:
    """Answer every error of the routes as a problem.

    Parameters
    ----------
    app : FastAPI
    count : callable
        Called with the code of each answered problem.
    workers : Workers
        Its capacity is in the message of a full queue.
    """

    def answer(problem: Problem) -> Response:
        count(problem.code)
        return problem.response()

    @app.exception_handler(Problem)
    async def _problem(_request: Request, exc: Problem) -> Response:
        return answer(exc)

    @app.exception_handler(InspectorError)
    async def _inspector_error(_request: Request, exc: InspectorError) -> Response:
        return answer(problem_of(exc))

    @app.exception_handler(QueueFullError)
    async def _queue_full(_request: Request, exc: QueueFullError) -> Response:
        wait = str(exc.retry_after_seconds)
        detail = f"the queue is full: {workers.capacity} requests are being handled"
        return answer(Problem(503, "full", detail, f"try again in {wait} s", {"Retry-After": wait}))

    @app.exception_handler(RequestValidationError)
    async def _validation_error(_request: Request, exc: RequestValidationError) -> Response:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(Problem(400, "malformed", f"{where}: {first['msg']}", "see /docs"))

    @app.exception_handler(HTTPException)
    async def _http_exception(request: Request, exc: HTTPException) -> Response:
        return answer(_routing_problem(request, exc))


def _routing_problem(request: Request, exc: HTTPException) -> Problem:
    """Return the problem of a path or method that no route has."""
    path = request.scope["path"]
    if exc.status_code == 404:
        plain = "/" + "/".join(filter(None, path.split("/")))
        hint = f"ask for {quote(plain)}" if plain != path and _methods(request, plain) else "see /docs"
        return Problem(404, "no_route", f"there is no route {printable(path)}", hint)
    if exc.status_code == 405:
        allowed = ", ".join(_methods(request, path))
        detail = f"{request.scope['method']} is not allowed on {printable(path)}"
        return Problem(405, "method_not_allowed", detail, f"send {allowed}", {"Allow": allowed})
    return Problem(exc.status_code, "malformed", str(exc.detail), "see /docs", exc.headers)


def _methods(request: Request, path: str) -> list[str]:
    """Return the methods of a path, sorted; none if it has no route."""
    scope = {**request.scope, "path": path}
    routes = [route for route in request.app.routes if route.matches(scope)[0] is not Match.NONE]
    methods = {method for route in routes for method in getattr(route, "methods", None) or ()}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
