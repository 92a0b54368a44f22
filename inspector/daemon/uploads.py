"""Reads request bodies: limited in size and time, and only into memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.exceptions import MultipartParseError
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from inspector.daemon.errors import Problem
from inspector.types import Record

FIELD = "image"
MAX_PICTURES = 256
_FORM_OVERHEAD_BYTES = 65_536  # for boundaries and headers of a form, beside the pictures
_MAX_JSON_BYTES = 16_384

Sent = TypeVar("Sent", bound=Record)


@dataclass(frozen=True)
class Upload:
    """One picture of a request.

    Attributes
    ----------
    name : str or None
        The file name that the client sent; never used as a path.
    data : bytes
    """

    name: str | None
    data: bytes


class _InMemoryParser(MultiPartParser):
    """Keeps parts in memory, where Starlette would write large ones to temporary files."""

    spool_max_size = 2**62


async def read_uploads(request: Request, *, max_bytes: int, timeout_seconds: float) -> list[Upload]:
    """Read the pictures of a request: the raw body, or the multipart fields `image`.

    Parameters
    ----------
    request : Request
    max_bytes : int
        Limit of the body; further bytes are discarded as they arrive.
    timeout_seconds : float
        Time for the whole body to arrive.

    Raises
    ------
    Problem
        400, 408 or 413.
    """
    async with _time_limit(timeout_seconds):
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            return await _read_form(request, max_bytes)
        data = await _read_body(request, max_bytes)
    if not data:
        raise Problem(400, "empty", "the body is empty", "send an image file as the body")
    return [Upload(None, data)]


async def read_json(request: Request, kind: type[Sent], *, timeout_seconds: float) -> Sent:
    """Read a small JSON body of a known kind.

    FastAPI's own body parameters do not fit: FastAPI reads the body before it checks the key, and without
    limits.

    Raises
    ------
    RequestValidationError
        The body is not of this kind.
    Problem
        400, 408 or 413.
    """
    async with _time_limit(timeout_seconds):
        data = await _read_body(request, _MAX_JSON_BYTES)
    try:
        return kind.model_validate_json(data)
    except ValidationError as exc:
        errors = [{**error, "loc": ("body", *error["loc"])} for error in exc.errors()]
        raise RequestValidationError(errors) from exc


@asynccontextmanager
async def _time_limit(timeout_seconds: float) -> AsyncGenerator[None, None]:
    """Abort a request body that is not complete after `timeout_seconds`."""
    try:
        async with asyncio.timeout(timeout_seconds):
            yield
    except TimeoutError as exc:
        raise Problem(
            408,
            "request_timeout",
            f"the body did not arrive within {timeout_seconds:g} s",
            "send it faster, or raise INSPECTOR_BODY_SECONDS",
            {"Connection": "close"},
        ) from exc
    except ClientDisconnect as exc:
        raise Problem(400, "disconnected", "the client disconnected before the body was complete") from exc


async def _read_body(request: Request, max_bytes: int) -> bytes:
    return b"".join([chunk async for chunk in _limited(request, max_bytes)])


async def _limited(request: Request, max_bytes: int, overhead_bytes: int = 0) -> AsyncGenerator[bytes, None]:
    """Yield the body in chunks; raise 413 after the end of a body that is too large.

    The rest of such a body is read and discarded, because most clients read the answer only after they have
    sent everything.  A client that sends `Expect: 100-continue` is refused before it sends the body.
    """
    limit = max_bytes + overhead_bytes
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdigit() else 0
    too_large = Problem(
        413,
        "too_large",
        f"the body has more than {max_bytes} bytes",
        "send a smaller file, or raise INSPECTOR_MAX_BYTES",
    )
    if size > limit and "expect" in request.headers:
        too_large.headers["Connection"] = "close"
        raise too_large
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if max(total, size) <= limit:
            yield chunk
    if max(total, size) > limit:
        raise too_large


async def _read_form(request: Request, max_bytes: int) -> list[Upload]:
    """Read the pictures of a multipart form."""
    parser = _InMemoryParser(
        request.headers,
        _limited(request, max_bytes, _FORM_OVERHEAD_BYTES),
        max_files=MAX_PICTURES,
        max_fields=MAX_PICTURES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, MultipartParseError, KeyError, UnicodeError) as exc:
        raise Problem(
            400, "malformed", f"the form cannot be read: {exc}", f"send multipart/form-data with '{FIELD}'"
        ) from exc
    try:
        parts = [part for part in form.getlist(FIELD) if not isinstance(part, str)]
        if not parts:
            named = ", ".join(sorted(form)[:5]) or "none"
            raise Problem(
                400,
                "malformed",
                f"the form has no file field '{FIELD}'; its fields: {named}",
                f"name the file's field '{FIELD}', as curl -F {FIELD}=@part.png does",
            )
        return [Upload(_file_name(part.filename), await part.read()) for part in parts]
    finally:
        await form.close()


def _file_name(given: str | None) -> str | None:
    """Return the client's file name as valid Unicode; some charsets decode to lone surrogates."""
    return (given or "").encode("utf-8", "replace").decode() or None
