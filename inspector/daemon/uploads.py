"""Reads request bodies: limited in size and time, and only into memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from inspector.daemon.errors import Problem
from inspector.imaging.files import printable
from inspector.types import Record

FIELD = "image"
QUERY_EXAMPLES = {"model": "tiles", "map": "png"}
MAX_PICTURES = 256
_FORM_OVERHEAD_BYTES = 65_536  # for boundaries and headers of a form, beside the pictures
_MAX_JSON_BYTES = 16_384
_ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}

Sent = TypeVar("Sent", bound=Record)


@dataclass(frozen=True)
class Upload:
    """One picture of a request.

    Attributes
    ----------
    name : str or None
        The file name that the client sent; never used as a path.
    data : bytes
    content_type, content_encoding : str
        The headers that came with it; the bytes alone decide whether it is a picture.
    is_part : bool
        Whether it is a part of a multipart form.
    """

    name: str | None
    data: bytes
    content_type: str = ""
    content_encoding: str = ""
    is_part: bool = False

    @property
    def title(self) -> str:
        """The name that messages give it."""
        return printable(self.name) if self.name else f"the part '{FIELD}'" if self.is_part else "the body"


class _InMemoryParser(MultiPartParser):
    """Keeps parts in memory, and treats each part as a file.

    Starlette would write large files to temporary files, and treat a part without a file name as a
    short text.
    """

    spool_max_size = 2**62
    _is_complete = False  # until the closing boundary

    async def parse(self) -> FormData:
        """Return the parts of a form that came whole."""
        form = await super().parse()
        if not self._is_complete:
            await form.close()
            raise MultiPartException("it ends before its closing boundary")
        return form

    def on_end(self) -> None:
        """Note that the closing boundary came."""
        self._is_complete = True

    def on_headers_finished(self) -> None:
        """Make a file of a part without a file name, too."""
        super().on_headers_finished()
        part = self._current_part
        if part.file is None:
            memory = SpooledTemporaryFile[bytes](max_size=self.spool_max_size)
            self._files_to_close_on_error.append(memory)
            headers = Headers(raw=part.item_headers)
            part.file = UploadFile(memory, size=0, headers=headers)  # type: ignore[arg-type]  # as Starlette


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
        raise Problem(
            400, "empty", "the body is empty", "send a picture, as curl --data-binary @part.png does"
        )
    headers = request.headers
    return [Upload(None, data, headers.get("content-type", ""), headers.get("content-encoding", ""))]


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
            400,
            "malformed",
            f"the form cannot be read: {exc}",
            f"send up to {MAX_PICTURES} parts '{FIELD}', and let the HTTP library set Content-Type",
        ) from exc
    try:
        parts = [(name, part) for name, part in form.multi_items() if isinstance(part, UploadFile)]
        pictures = [part for name, part in parts if name == FIELD]
        names = [name for name, _ in parts]
        if not 0 < len(pictures) <= MAX_PICTURES:
            raise _wrong_parts(names, len(pictures))
        _refuse_parameters(names)
        return [_upload(part, await part.read()) for part in pictures]
    finally:
        await form.close()


def _upload(part: UploadFile, data: bytes) -> Upload:
    """Return a part of a form as a picture."""
    name, headers = _file_name(part.filename), part.headers
    return Upload(
        name, data, headers.get("content-type", ""), headers.get("content-encoding", ""), is_part=True
    )


def _wrong_parts(names: list[str], pictures: int) -> Problem:
    """Return the problem of a form without a picture, or with too many."""
    if pictures:
        return Problem(
            400, "malformed", f"the form has {pictures} pictures", f"send up to {MAX_PICTURES} at once"
        )
    listed = ", ".join(f"'{printable(name[:40])}'" for name in dict.fromkeys(names[:5])) or "none"
    return Problem(
        400,
        "malformed",
        f"the form has no part '{FIELD}'; its parts: {listed}",
        f"name the picture's part '{FIELD}', as curl -F {FIELD}=@part.png does",
    )


def _refuse_parameters(names: list[str]) -> None:
    """Refuse a form with a parameter of the query among its parts, because it would have no effect."""
    for name, example in QUERY_EXAMPLES.items():
        if name in names:
            raise Problem(
                400,
                "malformed",
                f"the form has a part '{name}', but '{name}' is a parameter of the query",
                f"put it into the address: ?{name}={example}",
            )


def _file_name(given: str | None) -> str | None:
    """Return the client's file name.

    Forms escape a quote and line breaks, and no other character (HTML Standard, section 4.10.21.8).  Some
    charsets decode to lone surrogates, which are no valid Unicode.
    """
    name = given or ""
    for escaped, character in _ESCAPED.items():
        name = name.replace(escaped, character)
    return name.encode("utf-8", "replace").decode() or None
