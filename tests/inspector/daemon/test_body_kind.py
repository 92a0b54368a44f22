"""Bodies that are no picture: the answer names their kind, and tells how to send a picture."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import shlex
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes

import httpx
import numpy as np
import pytest

from inspector.daemon.body_kind import body_kind
from inspector.errors import ImageError
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_jpeg, encode_png
from tests.inspector.daemon.conftest import GOOD
from tests.inspector.image_samples import encoded, with_hole
from tests.inspector.tiny_bundle import good_picture
from tests.serving import Daemon

BASE64 = base64.b64encode(GOOD)
JPEG = encode_jpeg(good_picture())
OF_CURL = {"Content-Type": "application/x-www-form-urlencoded"}


def _archive() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("part.png", GOOD)
    return memory.getvalue()


def _array() -> bytes:
    memory = io.BytesIO()
    np.save(memory, good_picture())
    return memory.getvalue()


FORM = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + GOOD + b"\r\n--b--\r\n"
STRIPPED = GOOD.replace(b"\r", b"").replace(b"\n", b"")

# bodies, and the words that name their kind
BODIES: dict[str, tuple[bytes, str]] = {
    "base64": (BASE64, "base64 text"),
    "base64 in lines": (base64.encodebytes(GOOD), "base64 text"),
    "base64 of a JPEG": (base64.b64encode(JPEG), "base64 text"),
    "base64 for addresses": (base64.urlsafe_b64encode(JPEG), "base64 text"),
    "hexadecimal": (GOOD.hex().encode(), "hexadecimal text"),
    "data URI": (b"data:image/png;base64," + BASE64, "a data URI"),
    "JSON": (json.dumps({"image": BASE64.decode()}).encode(), "JSON"),
    "JSON with BOM": (b"\xef\xbb\xbf\r\n" + json.dumps([BASE64.decode()], indent=1).encode(), "JSON"),
    "JSON text": (json.dumps(BASE64.decode()).encode(), "JSON"),
    "JSON in UTF-16": (json.dumps({"image": BASE64.decode()}).encode("utf-16"), "JSON"),
    "gzip": (gzip.compress(GOOD), "compressed with gzip"),
    "deflate": (zlib.compress(GOOD), "compressed with deflate"),
    "bzip2": (bz2.compress(GOOD), "compressed with bzip2"),
    "xz": (lzma.compress(GOOD), "compressed with xz"),
    "ZIP": (_archive(), "a ZIP archive"),
    "numpy": (_array(), "a numpy array"),
    "web form": (b"model=tiny&image=" + quote_from_bytes(GOOD).encode(), "a web form"),
    "web form of base64": (b"image=" + quote_from_bytes(BASE64).encode(), "a web form"),
    "form": (FORM, "a multipart form whose Content-Type is not multipart/form-data"),
    "XML": (b'<?xml version="1.0"?><image>' + BASE64 + b"</image>", "XML"),
    "SOAP": (b"\n<soap:Envelope><image/></soap:Envelope>", "XML"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "HTML": (b"<!DOCTYPE html><html><body>Bad Gateway</body></html>", "an HTML page"),
    "text": (b"C:\\pictures\\part.png", "text"),
    "text in another language": ("Prüfteil, zweite Lage: größer als 3 µm".encode() * 40, "text"),
    "bytes in Python": (str(GOOD).encode(), "Python's text form of bytes"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF"),
    "GIF": (b"GIF89a\x40\0\x40\0\x80\0\0", "a GIF"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIF or AVIF picture"),
    "curl -d": (STRIPPED, "a picture whose line breaks were changed or removed"),
    "FTP as text": (GOOD.replace(b"\r\n", b"\n"), "a picture whose line breaks were changed or removed"),
    "read as UTF-8": (GOOD.decode("utf-8", "replace").encode(), "a picture that was read as text"),
    "read as Latin-1": (GOOD.decode("latin-1").encode(), "a picture that was read as text"),
    "JPEG read as UTF-8": (JPEG.decode("utf-8", "replace").encode(), "a picture that was read as text"),
    "JPEG read as Latin-1": (JPEG.decode("latin-1").encode(), "a picture that was read as text"),
}


@pytest.fixture(scope="module")
def client(shared_daemon: Daemon) -> Iterator[httpx.Client]:
    """A client of the shared daemon."""
    with httpx.Client(base_url=shared_daemon.url) as opened:
        yield opened


@pytest.mark.parametrize(("data", "name"), BODIES.values(), ids=BODIES)
def test_the_bytes_show_the_kind(client: httpx.Client, data: bytes, name: str) -> None:
    """Whatever the content type is, the bytes show the kind: alone, as a part, and in a batch."""
    for media_type in (None, "application/octet-stream", "image/png"):
        headers = {"Content-Type": media_type} if media_type else {}
        for route in ("/v1/score", "/v1/score/batch"):
            answer = client.post(route, content=data, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "unknown_format"), answer.text
            assert answer.json()["detail"].startswith(f"the body is {name}")
            assert answer.json()["hint"].endswith(f" {client.base_url}{route}")
            assert answer.headers["accept-encoding"] == "identity"
        files = [("image", (file, sent, media_type)) for file, sent in (("a", data), ("b", GOOD))]
        alone = client.post("/v1/score", files=files[:1])
        assert (alone.status_code, alone.json()["detail"].startswith(f"a is {name}")) == (415, True)
        bad, good = client.post("/v1/score/batch", files=files).json()["results"]
        assert (bad["verdict"], good["verdict"]) == ("invalid", "pass")
        assert bad["reason"].startswith(f"unknown_format: a is {name}")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Content-Type": "application/json; charset=utf-8"}, "JSON"),
        ({"Content-Type": "application/vnd.api+json"}, "JSON"),
        ({"Content-Type": "text/xml"}, "XML"),
        ({"Content-Type": "application/soap+xml"}, "XML"),
        ({"Content-Type": "TEXT/HTML"}, "an HTML page"),
        ({"Content-Type": "text/csv"}, "text"),
        ({"Content-Type": "multipart/mixed; boundary=b"}, "a multipart form"),
        ({"Content-Type": "image/png", "Content-Encoding": "br"}, "compressed (Content-Encoding: br)"),
        ({"Content-Encoding": "GZIP"}, "compressed (Content-Encoding: gzip)"),
    ],
)
def test_the_headers_show_the_kind(client: httpx.Client, headers: dict[str, str], name: str) -> None:
    """If the bytes show no kind, the headers do."""
    answer = client.post("/v1/score", content=b"\x9e\x01noise\0" * 9, headers=headers)
    assert answer.status_code == 415
    assert answer.json()["detail"].startswith(f"the body is {name}")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "text/html"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/mixed; boundary=b"},
        {"Content-Encoding": "gzip"},
    ],
)
def test_the_bytes_decide(client: httpx.Client, headers: dict[str, str]) -> None:
    """The bytes of a picture are scored, whatever the headers say."""
    answer = client.post("/v1/score", content=GOOD, headers=headers)
    assert answer.json()["verdict"] == "pass"


def test_noise_has_no_kind(client: httpx.Client) -> None:
    """For noise, the answer shows its first bytes, and the hint lists the image types."""
    answer = client.post("/v1/score", content=bytes(range(128, 256))).json()
    assert "begins with b'" in answer["detail"]
    assert "PNG, JPEG, WebP, BMP and TIFF" in answer["hint"]


def test_no_bytes_at_all(client: httpx.Client) -> None:
    """An empty body is 400 on both routes, also as a part, and also with a content type."""
    for headers in ({}, {"Content-Type": "image/png"}, {"Content-Type": "application/json"}):
        for route in ("/v1/score", "/v1/score/batch"):
            answer = client.post(route, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "empty")
            assert "--data-binary @part.png" in answer.json()["hint"]
    answer = client.post("/v1/score", files={"image": b""})
    assert (answer.status_code, answer.json()["code"]) == (400, "empty")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_curl_d_damages_a_picture(client: httpx.Client, kind: str) -> None:
    """A picture without its line breaks, as `curl -d` sends it, gets the hint to use `--data-binary`."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    stripped = encoded(noise, kind).replace(b"\r", b"").replace(b"\n", b"")
    answer = client.post("/v1/score", content=stripped, headers=OF_CURL)
    assert answer.status_code == 422
    assert "curl -d removes line breaks" in answer.json()["hint"]
    other = client.post("/v1/score", content=stripped, headers={"Content-Type": "image/jpeg"})
    assert "curl" not in other.json()["hint"]


@pytest.mark.parametrize(
    "data",
    [JPEG[:400], JPEG[:-900], with_hole(JPEG), GOOD[:-500], encoded(good_picture(), "TIFF")[:3000]],
    ids=["half a JPEG", "JPEG without its end", "JPEG with a hole", "PNG without its end", "half a TIFF"],
)
def test_other_damage_has_another_hint(client: httpx.Client, data: bytes) -> None:
    """Damage that `curl -d` does not do gets the hint of the decoder, also with its content type."""
    with pytest.raises(ImageError) as refused:
        decode(data)
    answer = client.post("/v1/score", content=data, headers=OF_CURL)
    assert (answer.status_code, answer.json()["hint"]) == (422, refused.value.hint)
    as_part = client.post("/v1/score", files={"image": data})
    assert as_part.json()["hint"] == refused.value.hint


@pytest.mark.system
@pytest.mark.parametrize("sent", [BODIES["JSON"][0], BODIES["gzip"][0]], ids=["JSON", "gzip"])
def test_the_hint_works(shared_daemon: Daemon, tmp_path: Path, sent: bytes) -> None:
    """The command of the hint, run as it is, scores a picture."""
    (tmp_path / "part.png").write_bytes(GOOD)
    hint = httpx.post(f"{shared_daemon.url}/v1/score", content=sent).json()["hint"]
    command = shlex.split(hint[hint.index("curl ") :])
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(ended.stdout)["verdict"] == "pass"


@pytest.mark.parametrize("host", ["a b", "[::1", "x" * 300 + "/", ""])
def test_a_strange_host_does_no_harm(shared_daemon: Daemon, host: str) -> None:
    """The hint shows the daemon's own address if the header Host is none."""
    with shared_daemon.socket() as raw:
        head = f"POST /v1/score HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
        raw.sendall(head.encode() + b"{}")
        answer = raw.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert f'part.png http://127.0.0.1:{shared_daemon.port}/v1/score"'.encode() in answer


def test_pictures_have_no_kind() -> None:
    """Noise of any length has no kind, and neither has a picture without its first byte."""
    assert body_kind(b"") is None
    assert decode(GOOD).pixels.shape == (64, 64, 3)
    noise = np.random.default_rng(0)
    for length in (1, 3, 100, 5000):
        assert body_kind(b"\x9e\x02" + noise.bytes(length)) is None
    assert body_kind(encode_png(good_picture())[1:]) is None
