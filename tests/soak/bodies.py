"""Binary bodies for schemathesis: noise, pictures, and pictures with noise in them."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from inspector.imaging.encode import encode_jpeg, encode_png
from tests.inspector.tiny_bundle import bad_picture, good_picture

_PICTURES = [encode(make()) for make in (good_picture, bad_picture) for encode in (encode_png, encode_jpeg)]


def _damaged(picture: bytes, at: int, noise: bytes) -> bytes:
    at %= len(picture)
    return picture[:at] + noise + picture[at + len(noise) :]


whole = st.sampled_from(_PICTURES)
damaged = st.builds(_damaged, whole, st.integers(0, 2**16), st.binary(min_size=1, max_size=8))
schemathesis.openapi.format("binary", st.one_of(st.binary(), whole, damaged))
