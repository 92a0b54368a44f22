"""Errors as HTTP answers: `application/problem+json` with a status, a code and a hint."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from starlette.responses import Response

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
    UnknownFormatError,
    UsageError,
    error_classes,
)

STATUS: dict[type[InspectorError], int] = {
    UsageError: 400,
    ImageError: 422,
    EmptyImageError: 400,
    UnknownFormatError: 415,
    ImageTooLargeError: 413,
    ImageTooSmallError: 200,  # it was decoded: an answer with the verdict `invalid`
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
    415: "Unsupported media type",
    422: "Unprocessable content",
    500: "Internal error",
    501: "Not implemented",
    503: "Service unavailable",
}


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An answer that says what went wrong.

    Parameters
    ----------
    status : int
        Of HTTP.
    code : str
        One word for programs, such as `model_not_found`.
    detail : str
        What, which value, what is allowed.
    hint : str
        What to do next.
    headers : mapping, optional
        Such as `Retry-After`.

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

    def response(self) -> Response:
        """Make the answer."""
        content = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
        }
        return Response(
            json.dumps(content), self.status, {**self.headers}, media_type="application/problem+json"
        )


def code_of(kind: type[InspectorError]) -> str:
    """Return the code of an error class: the reason of an `invalid` picture, else the name of the class.

    Examples
    --------
    >>> code_of(ModelNotFoundError)
    'model_not_found'
    >>> code_of(ImageTooLargeError)
    'too_large'
    """
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()
    return str(getattr(kind, "reason", words))


def status_of(kind: type[InspectorError]) -> int:
    """Return the HTTP status of a class of the error tree: its own, or that of its branch."""
    return next((STATUS[base] for base in kind.__mro__ if base in STATUS), 500)


def problem_of(error: InspectorError) -> Problem:
    """Turn one of our errors into an answer."""
    kind = type(error)
    return Problem(status_of(kind), code_of(kind), error.message, error.hint)


INVALID_STATUS: dict[InvalidReason, int] = {
    kind.reason: status_of(kind) for kind in error_classes(ImageError) if kind is not ImageError
}
"""HTTP status of a single picture with the verdict `invalid`, by its reason."""
