"""Binary bodies for schemathesis: noise, pictures of every format, and damaged and transparent ones."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import schemathesis
from hypothesis import strategies as st
from PIL import Image

from tests.inspector.tiny_bundle import bad_picture, good_picture

_FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("JPEG", {"restart_marker_rows": 1}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"compression": "jpeg"}),
]


def _encoded(pixels: Any, kind: str, options: dict[str, Any]) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def _clear(kind: str) -> bytes:
    rgb = good_picture()
    return _encoded(np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)]), kind, {})


_PICTURES = [
    _encoded(make(), kind, options) for make in (good_picture, bad_picture) for kind, options in _FORMATS
]
_TRANSPARENT = [_clear(kind) for kind in ("PNG", "WEBP", "TIFF")]


def _overwritten(picture: bytes, at: int, noise: bytes) -> bytes:
    at %= len(picture)
    return picture[:at] + noise + picture[at + len(noise) :]


def _with_hole(picture: bytes, at: int, size: int) -> bytes:
    return _overwritten(picture, at, bytes(size))


def _without(picture: bytes, at: int, size: int) -> bytes:
    at %= len(picture)
    return picture[:at] + picture[at + size :]


def _ended(picture: bytes, at: int, end: bytes) -> bytes:
    return picture[: at % len(picture)] + end


whole = st.sampled_from(_PICTURES)
places, sizes = st.integers(0, 2**16), st.integers(1, 2**11)
ends = st.sampled_from([b"", b"\xff\xd9", bytes(512), b"\xff" * 512, _PICTURES[0], _PICTURES[1]])
damaged = st.one_of(
    st.builds(_overwritten, whole, places, st.binary(min_size=1, max_size=8)),
    st.builds(_with_hole, whole, places, sizes),
    st.builds(_without, whole, places, sizes),
    st.builds(_ended, whole, places, ends),
)
followed = st.builds(bytes.__add__, whole, ends)
transparent = st.sampled_from(_TRANSPARENT)
schemathesis.openapi.format("binary", st.one_of(st.binary(), whole, followed, damaged, transparent))
