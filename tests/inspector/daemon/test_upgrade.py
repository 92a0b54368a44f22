"""Clients that offer HTTP/2 with each request: the offer is ignored, and the request is answered."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from inspector.imaging.encode import encode_png
from tests.inspector.daemon.conftest import BAD, GOOD
from tests.serving import Daemon

OFFER = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
OFFER_LINES = b"".join(f"{name}: {value}\r\n".encode() for name, value in OFFER.items())
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
NOISE = np.random.default_rng(0).integers(0, 256, (1300, 1400, 3), dtype=np.uint8)
LARGE = encode_png(NOISE)


def form(data: bytes) -> bytes:
    """The picture as a multipart form."""
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="part.png"\r\n\r\n'
    return head + data + b"\r\n--b--\r\n"


def pieces(data: bytes, size: int = 50_000) -> Iterator[bytes]:
    """The body in pieces, which `http.client` sends as chunks."""
    return (data[start : start + size] for start in range(0, len(data), size))


def comparable(body: bytes) -> dict[str, object]:
    """The answer without its times."""
    return {name: value for name, value in json.loads(body).items() if name != "milliseconds"}


@pytest.mark.parametrize("data", [GOOD, BAD, LARGE], ids=["good", "bad", "5 MiB"])
def test_an_offer_of_http2_changes_nothing(shared_daemon: Daemon, data: bytes) -> None:
    """Raw, multipart and chunked bodies get the same answer with and without it, on one connection."""
    client = http.client.HTTPConnection("127.0.0.1", shared_daemon.port, timeout=30)
    client.connect()
    client.auto_open = 0  # it cannot open a second connection
    for headers, whole in (({}, data), (FORM, form(data))):
        for chunked in (False, True):
            found = []
            for offer in ({}, OFFER):
                body = pieces(whole) if chunked else whole
                client.request("POST", "/v1/score", body, {**headers, **offer}, encode_chunked=chunked)
                answer = client.getresponse()
                found.append((answer.status, comparable(answer.read())))
            assert found[0] == found[1]
            assert found[0][0] == 200
    client.close()


@pytest.mark.parametrize("data", [GOOD, LARGE], ids=["small", "5 MiB"])
def test_an_offer_and_expect(shared_daemon: Daemon, data: bytes) -> None:
    """With `Expect: 100-continue` beside the offer the body is asked for, and scored."""
    with shared_daemon.socket() as raw:
        head = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        raw.sendall(head + OFFER_LINES + b"Content-Length: %d\r\n\r\n" % len(data))
        assert raw.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(data)
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_offers_in_any_pieces(shared_daemon: Daemon) -> None:
    """Requests with offers and without follow each other in one stream, in pieces of any size."""
    post = b"POST /v1/score HTTP/1.1\r\nHost: x\r\n" + OFFER_LINES
    stream = post + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD
    stream += b"GET /livez HTTP/1.1\r\nHost: x\r\n" + OFFER_LINES + b"\r\n"
    stream += post + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BAD) + BAD + b"\r\n0\r\n\r\n"
    stream += b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for size in (1, 7, 100, len(stream)):
        with shared_daemon.socket() as raw:
            for piece in pieces(stream, size):
                raw.sendall(piece)
            answers = raw.makefile("rb").read()
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200"] * 4
        assert re.findall(rb'"verdict":"(\w+)"', answers) == [b"pass", b"fail"]


def test_offers_of_other_protocols(shared_daemon: Daemon) -> None:
    """WebSocket, TLS and unknown protocols are ignored, too; CONNECT is refused."""
    for offered in ("websocket", "TLS/1.0", "something"):
        headers = {"Connection": "Upgrade", "Upgrade": offered}
        answer = httpx.post(f"{shared_daemon.url}/v1/score", content=GOOD, headers=headers)
        assert answer.json()["verdict"] == "pass"
    for target in (b"/livez", b"elsewhere:443"):
        with shared_daemon.socket() as raw:
            raw.sendall(b"CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            assert raw.recv(1000).startswith(b"HTTP/1.1 40")


@pytest.mark.parametrize(
    "begins",
    [
        "HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c",
        "HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c",
        "HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
        "HTTP/1.1\r\nHost: x\r\nconnection: upgrade\r\nupgrade: H2C, websocket\r\nUpgrade: tls",
    ],
)
def test_an_offer_on_a_last_request(shared_daemon: Daemon, begins: str) -> None:
    """A request may be HTTP/1.0, or the last one of its connection; the spelling does not matter."""
    with shared_daemon.socket() as raw:
        head = f"POST /v1/score {begins}\r\nContent-Length: {len(GOOD)}\r\n\r\n"
        raw.sendall(head.encode())
        raw.sendall(GOOD)
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["verdict"]) == (200, "pass")


@pytest.mark.system
@pytest.mark.parametrize("data", [GOOD, LARGE], ids=["small", "5 MiB"])
def test_curl_offers_http2(shared_daemon: Daemon, tmp_path: Path, data: bytes) -> None:
    """`curl --http2` gets the same answers as curl without it, two on each connection."""
    file = tmp_path / "part.png"
    file.write_bytes(data)
    url = f"{shared_daemon.url}/v1/score"
    for words in (
        ["--data-binary", f"@{file}"],
        ["-F", f"image=@{file}"],
        ["--data-binary", f"@{file}", "-H", "Transfer-Encoding: chunked"],
    ):
        found = []
        for version in ("--http1.1", "--http2"):
            command = ["curl", "-sS", version, "-w", "\n%{num_connects}\n", *words, url, url]
            lines = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
            assert [int(lines[1]), int(lines[3])] == [1, 0]
            found += [comparable(lines[0]), comparable(lines[2])]
        assert found == found[:1] * 4
