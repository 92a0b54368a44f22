"""Recognises bodies that are no picture, and pictures that `curl -d` damaged."""

from __future__ import annotations

import base64
import codecs
import re
from dataclasses import dataclass

from inspector.errors import ImageError
from inspector.imaging.header import sniff

_SEEN_BYTES = 512
_KINDS_OF_BYTES = 240  # of 256: nearly every byte value occurs
_WEB_FORM_TYPE = "application/x-www-form-urlencoded"
_CODINGS = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class BodyKind:
    """A kind of body that is no picture.

    Attributes
    ----------
    name : str
        Completes the sentence "the body is …".
    advice : str
        Tells the sender how to send the picture.
    """

    name: str
    advice: str


_UNCOMPRESSED = "send the image file without compressing it again"
_UNCHANGED = "send the bytes of the file unchanged (curl -d changes them)"
_CONVERTED = "save the picture as PNG, and send that file"

_JSON = BodyKind("JSON", "send the image file itself as the body, not inside JSON")
_XML = BodyKind("XML", "send the image file itself as the body, not inside XML")
_HTML = BodyKind("an HTML page", "send the image file; this may be the error page of another server")
_TEXT = BodyKind("text", "send the bytes of the image file, not its name or its address")
_WEB_FORM = BodyKind(f"a web form ({_WEB_FORM_TYPE})", "send the image file itself")
_MULTIPART = BodyKind(
    "a multipart form whose Content-Type is not multipart/form-data",
    "let the HTTP library set Content-Type: multipart/form-data, with the boundary",
)
_RECODED = BodyKind("a picture that was read as text", "read the file as bytes, and send these bytes")

_BEGINNINGS = (
    (rb"\x1f\x8b", BodyKind("compressed with gzip", _UNCOMPRESSED)),
    (rb"\x28\xb5\x2f\xfd", BodyKind("compressed with zstd", _UNCOMPRESSED)),
    (rb"\x78[\x01\x9c\xda]", BodyKind("compressed with deflate", _UNCOMPRESSED)),
    (rb"BZh\d", BodyKind("compressed with bzip2", _UNCOMPRESSED)),
    (rb"\xfd7zXZ\0", BodyKind("compressed with xz", _UNCOMPRESSED)),
    (rb"PK\x03\x04", BodyKind("a ZIP archive", "unpack it, and send each picture")),
    (rb"\x93NUMPY", BodyKind("a numpy array", "encode the array as PNG, and send the bytes")),
    (rb"%PDF", BodyKind("a PDF", _CONVERTED)),
    (rb"GIF8", BodyKind("a GIF", _CONVERTED)),
    (rb".{4}ftyp(heic|heix|mif1|avif)", BodyKind("a HEIF or AVIF picture", _CONVERTED)),
    (rb"\x89PNG|RIFF.{0,4}WEBP", BodyKind("a picture whose line breaks were changed or removed", _UNCHANGED)),
    (rb"(\xef\xbf\xbd|\xc2\x89)PNG|(\xef\xbf\xbd){3}|\xc3\xbf\xc3\x98\xc3\xbf", _RECODED),
    (rb"data:[\w/+.-]*[;,]", BodyKind("a data URI", "decode the text after the comma, and send the bytes")),
    (rb"[\w%.-]+=(%|data:|[\x80-\xff])", _WEB_FORM),
    (rb"--[^\r\n]{1,200}\r?\n(?i:content-)", _MULTIPART),
)
_TEXT_BEGINNINGS = (
    (rb'[{\["]', _JSON),
    (rb"<(!doctype )?html", _HTML),
    (rb"[\w.%-]{1,100}=", _WEB_FORM),
    (rb"<svg", BodyKind("an SVG drawing", _CONVERTED)),
    (rb"<", _XML),
    (rb"""b['"]""", BodyKind("Python's text form of bytes", "send the bytes themselves, not str(data)")),
)
_DECLARED = (
    (rb"application/(.+\+)?json", _JSON),
    (rb"text/html|application/xhtml\+xml", _HTML),
    (rb"(application|text)/(.+\+)?xml", _XML),
    (rb"multipart/.+", _MULTIPART),
    (rb"text/.+", _TEXT),
)


def body_kind(data: bytes, content_type: str = "", content_encoding: str = "") -> BodyKind | None:
    """Return the kind of a body that is no picture: its first bytes decide, and then its headers.

    Parameters
    ----------
    data : bytes
        The body; it is of no image type that inspector reads.
    content_type, content_encoding : str
        Its headers.

    Returns
    -------
    BodyKind or None
        None if neither bytes nor headers show a kind.

    Examples
    --------
    >>> body_kind(b'{"image": "iVBORw0KGgo="}').name
    'JSON'
    >>> body_kind(bytes(9)) is None
    True
    """
    coding = content_encoding.strip().lower()
    if coding in _CODINGS:
        return BodyKind(f"compressed (Content-Encoding: {coding})", _UNCOMPRESSED)
    text = _text(data[:_SEEN_BYTES])
    return (
        _first(_BEGINNINGS, data)
        or (_text_kind(text) if text else None)
        or _first(_DECLARED, content_type.partition(";")[0].strip().lower().encode())
        or (_TEXT if text else None)
    )


def lost_line_breaks(data: bytes, content_type: str) -> bool:
    """Return whether `curl -d` sent it: with its content type, and no line break among all other bytes."""
    found = set(data)
    is_stripped = len(found) >= _KINDS_OF_BYTES and found.isdisjoint(b"\r\n")
    return is_stripped and content_type.startswith(_WEB_FORM_TYPE)


def _first(table: tuple[tuple[bytes, BodyKind], ...], data: bytes) -> BodyKind | None:
    """Return the kind of the first pattern that matches the beginning of the data."""
    return next((kind for pattern, kind in table if re.match(pattern, data, re.DOTALL)), None)


def _text(seen: bytes) -> bytes:
    """Return the beginning of a text as UTF-8, without white space around it; nothing if it is no text."""
    coding = "utf-16" if seen[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(coding)()
    try:
        text = decoder.decode(seen)  # the last character may be cut in two
    except UnicodeDecodeError:
        return b""
    return b"" if _CONTROL.search(text) else text.strip().encode()


def _text_kind(text: bytes) -> BodyKind | None:
    """Recognise a text by its beginning."""
    word = b"".join(text.split())
    if _is_picture(_from_base64(word)):
        return BodyKind("base64 text", "decode the base64 text, and send the bytes")
    if _is_picture(_from_hex(word)):
        return BodyKind("hexadecimal text", "turn it into bytes, and send these")
    return _first(_TEXT_BEGINNINGS, text.lower())


def _from_base64(word: bytes) -> bytes:
    """Return the first bytes of base64 text in either alphabet; nothing if it is no such text."""
    if not re.fullmatch(rb"[A-Za-z0-9+/_-]{16,}={0,2}", word):
        return b""
    return base64.b64decode(word[:16], b"-_") if re.search(rb"[-_]", word) else base64.b64decode(word[:16])


def _from_hex(word: bytes) -> bytes:
    """Return the first bytes of hexadecimal text; nothing if it is no such text."""
    word = word.removeprefix(b"0x")
    return bytes.fromhex(word[:24].decode()) if re.fullmatch(rb"[0-9A-Fa-f]{24,}", word) else b""


def _is_picture(data: bytes) -> bool:
    """Return whether data begins as a picture that inspector reads."""
    try:
        return bool(data and sniff(data, "it"))
    except ImageError:
        return False
