"""The bytes of a request: bounded in size and time, and never on a disk."""

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
MOST_PICTURES = 256
_ENVELOPE_BYTES = 65_536  # what the form around the pictures may take
_RECORD_BYTES = 16_384

Sent = TypeVar("Sent", bound=Record)


@dataclass(frozen=True)
class Upload:
    """One picture as it was sent.

    Attributes
    ----------
    name : str or None
        The name that the sender gave it; never used as a path.
    data : bytes
    """

    name: str | None
    data: bytes


class _InMemory(MultiPartParser):
    """Starlette writes large parts into temporary files; here they stay in memory, within the bound."""

    spool_max_size = 2**62


async def read_uploads(request: Request, *, max_bytes: int, seconds: float) -> list[Upload]:
    """Read the pictures of a request: the raw body, or the multipart fields `image`.

    Parameters
    ----------
    request : Request
    max_bytes : int
        Of the body; more is never kept.
    seconds : float
        After which a sender that has not finished is given up.

    Raises
    ------
    Problem
        400, 408 or 413.
    """
    async with _within(seconds):
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            return await _form(request, max_bytes)
        data = await _whole(request, max_bytes)
    if not data:
        raise Problem(400, "empty", "the body is empty", "send an image file as the body")
    return [Upload(None, data)]


async def read_record(request: Request, kind: type[Sent], *, seconds: float) -> Sent:
    """Read a small JSON body; what FastAPI reads by itself comes before the key is looked at, and has no end.

    Raises
    ------
    RequestValidationError
        It is not of this kind.
    Problem
        408 or 413.
    """
    async with _within(seconds):
        data = await _whole(request, _RECORD_BYTES)
    try:
        return kind.model_validate_json(data)
    except ValidationError as exc:
        errors = [{**error, "loc": ("body", *error["loc"])} for error in exc.errors()]
        raise RequestValidationError(errors) from exc


@asynccontextmanager
async def _within(seconds: float) -> AsyncGenerator[None, None]:
    """Give a sender that has not finished up after a time."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise Problem(
            408,
            "request_timeout",
            f"the body did not arrive within {seconds:g} s",
            "send it faster, or raise INSPECTOR_BODY_SECONDS",
            {"Connection": "close"},
        ) from exc
    except ClientDisconnect as exc:
        raise Problem(400, "disconnected", "the sender left before the body was complete") from exc


async def _whole(request: Request, max_bytes: int) -> bytes:
    return b"".join([chunk async for chunk in _bounded(request, max_bytes)])


async def _bounded(request: Request, max_bytes: int, around: int = 0) -> AsyncGenerator[bytes, None]:
    """The body in pieces; `around` more bytes may lie about the pictures."""
    most = max_bytes + around
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdigit() else 0
    too_large = Problem(
        413,
        "too_large",
        f"the body has more than {max_bytes} bytes",
        "send a smaller file, or raise INSPECTOR_MAX_BYTES",
    )
    if size > most and "expect" in request.headers:  # the sender asks before it sends
        too_large.headers["Connection"] = "close"
        raise too_large
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if max(total, size) <= most:
            yield chunk  # more is thrown away as it comes: most senders listen only after they have sent
    if max(total, size) > most:
        raise too_large


async def _form(request: Request, max_bytes: int) -> list[Upload]:
    parser = _InMemory(
        request.headers,
        _bounded(request, max_bytes, _ENVELOPE_BYTES),
        max_files=MOST_PICTURES,
        max_fields=MOST_PICTURES,
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
        return [Upload(_name(part.filename), await part.read()) for part in parts]
    finally:
        await form.close()


def _name(given: str | None) -> str | None:
    """The sender's name for a picture, as text that JSON can carry: some charsets make halves of letters."""
    return (given or "").encode("utf-8", "replace").decode() or None
