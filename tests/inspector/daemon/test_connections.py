"""Connections that hang, flood or send nonsense."""

from __future__ import annotations

import http.client
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from inspector.bundle.store import Store
from inspector.daemon.connections import HEADER_BYTES
from inspector.settings import ServeSettings
from tests.inspector.daemon.conftest import GOOD, KEY, Start
from tests.inspector.tiny_bundle import tiny_fill
from tests.serving import Daemon, until


def test_endless_trailers_are_cut_off(shared_daemon: Daemon) -> None:
    """Trailers have the same limit as headers: many short ones, or one that never ends."""
    for began, goes_on in ((b"", b"X-A: " + b"x" * 1000 + b"\r\n"), (b"X-A: ", b"x" * 1000)):
        with shared_daemon.socket() as endless:
            endless.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
            endless.sendall(began)
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                endless.sendall(goes_on * 100_000)


def test_slow_headers_are_cut_off(store: Store, start: Start) -> None:
    """A connection that sends nothing, or half a header, is closed after the time for headers."""
    store.publish("tiny", tiny_fill())
    daemon = start(constants={"inspector.daemon.connections.HEADER_SECONDS": 0.5})
    with daemon.socket() as silent, daemon.socket() as half:
        half.sendall(b"GET /livez HTTP/1.1\r\nHos")
        assert silent.recv(10) == b""
        assert half.recv(10) == b""


def test_idle_connections_stay_open(store: Store, start: Start) -> None:
    """An idle connection stays open for the keep-alive time, by default longer than a proxy's 60 seconds.

    The time for headers does not end it, and neither does the keep-alive time of another daemon.
    """
    store.publish("tiny", tiny_fill())
    usual = start(constants={"inspector.daemon.connections.HEADER_SECONDS": 1.0})
    hasty = start(INSPECTOR_KEEP_ALIVE_SECONDS="2")
    stays, ends = (http.client.HTTPConnection("127.0.0.1", one.port, timeout=30) for one in (usual, hasty))
    began = time.monotonic()
    for client in (stays, ends):
        client.request("GET", "/livez")
        assert client.getresponse().read() == b'{"status":"alive"}'
        client.auto_open = 0  # it cannot open a second connection
    assert ends.sock is not None
    assert ends.sock.recv(10) == b""
    assert time.monotonic() - began > 1.9
    stays.request("GET", "/livez")
    assert stays.getresponse().read() == b'{"status":"alive"}'
    for client in (stays, ends):
        client.close()
    assert ServeSettings.from_environment({}).keep_alive_seconds > 60


@pytest.fixture
def most_sockets() -> Iterator[int]:
    """How many sockets a test may open, after this process raised its limit on open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield 10_000 if hard == resource.RLIM_INFINITY else min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections_make_room(shared_daemon: Daemon, most_sockets: int) -> None:
    """Connections that are idle longest are closed and logged; scoring goes on and no file stays open."""
    with ExitStack() as opened:
        kept = opened.enter_context(httpx.Client(base_url=shared_daemon.url))
        assert kept.get("/livez").status_code == 200
        for number in range(most_sockets):
            opened.enter_context(shared_daemon.socket())
            if number % 500 == 0:
                assert kept.post("/v1/score", content=GOOD).status_code == 200
                assert httpx.get(f"{shared_daemon.url}/livez").status_code == 200
        assert shared_daemon.facts.num_fds() < 1300
        assert httpx.post(f"{shared_daemon.url}/v1/score", content=GOOD).json()["verdict"] == "pass"
    until(lambda: shared_daemon.facts.num_fds() < 100)
    until(lambda: any(line["event"] == "too many connections" for line in shared_daemon.lines))


def test_endless_headers_are_cut_off(shared_daemon: Daemon) -> None:
    """Endless headers are cut off long before they fill the memory."""
    header = b"X-A: " + b"x" * 1000 + b"\r\n"
    with shared_daemon.socket() as endless:
        endless.sendall(b"GET /livez HTTP/1.1\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            endless.sendall(header * 100_000)


NUISANCES = {
    "noise": bytes(range(256)) * 40,
    "nothing": b"",
    "lines": b"\r\n" * 10_000,
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50),
    "tls": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "websocket": b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "long path": b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "strange path": b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "no path": b"POST  HTTP/1.1\r\n\r\n",
    "full address": b"GET http://elsewhere/v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    "negative length": b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabc",
    "two lengths": b"POST /v1/score HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\nabc",
    "huge length": b"POST /v1/score HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    "bad chunks": b"POST /v1/score HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "smuggled": b"POST /v1/score HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nabc",
    "boundary": b"POST /v1/score HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=\r\n"
    b"Content-Length: 4\r\n\r\n----",
    "form header": b"POST /v1/score HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: 28\r\n\r\n--b\r\nContent-Disp\rosition:\r\n",
    "pipeline": b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 2000,
    "key": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "id": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Request-Id: \xff{}\r\n\r\n",
}


@pytest.mark.parametrize("keys", [{}, {"INSPECTOR_API_KEYS": f"score:{KEY}"}])
def test_nonsense_does_no_harm(store: Store, start: Start, keys: dict[str, str]) -> None:
    """After nonsense, whole or cut in half, the daemon still serves and its log is readable."""
    store.publish("tiny", tiny_fill())
    daemon = start(**keys)
    for name, data in NUISANCES.items():
        for sent in (data, data[: len(data) // 2]):
            with daemon.socket() as connection, suppress(OSError):
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(100)
        assert httpx.get(f"{daemon.url}/livez").status_code == 200, name
    good = httpx.post(f"{daemon.url}/v1/score", content=GOOD, headers={"Authorization": f"Bearer {KEY}"})
    assert good.json()["verdict"] == "pass"
    assert not daemon.events("unexpected")
    assert not [line for line in daemon.lines if "traceback" in line]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"noise\r\n\r\n", 400),
        (b"get /livez HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 400_000, 431),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 200_000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X-A: x\r\n" * 40_000 + b"\r\n", 431),
        (
            b"POST /v1/score HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nX-A: "
            + b"x" * 70_000
            + b"\r\nContent-Length: 1\r\n\r\nx",
            431,
        ),
        (b"GET /livez?" + b"x" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /livez?" + b"x" * 500_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ],
)
def test_noise_and_long_headers_get_a_problem(shared_daemon: Daemon, sent: bytes, status: int) -> None:
    """The answer to noise and to headers that are too long is a problem, and it is counted."""
    errors = 'inspector_errors_total{code="malformed"}'
    before = shared_daemon.metric(errors)
    with shared_daemon.socket() as raw:
        with suppress(OSError):  # it need not read all of it
            raw.sendall(sent)
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(answer.read())["hint"]
    assert shared_daemon.metric(errors) == before + 1
    answers = f'inspector_http_requests_total{{route="unknown",status="{status}"}}'
    assert shared_daemon.metric(answers) >= 1


def _head(total_bytes: int, *, in_address: bool) -> bytes:
    """A request whose address and headers together have so many bytes."""
    fixed = len(b"/livez?") + len(b"Host: x\r\n") + len(b"X-A: \r\n") + len(b"Connection: close\r\n")
    room = total_bytes - fixed
    address, header = (room - 9, 9) if in_address else (9, room - 9)
    line = b"GET /livez?" + b"a" * address + b" HTTP/1.1\r\n"
    return line + b"Host: x\r\nConnection: close\r\nX-A: " + b"x" * header + b"\r\n\r\n"


@pytest.mark.parametrize("in_address", [True, False])
@pytest.mark.parametrize("piece", [1 << 20, 5000])
def test_the_limit_of_headers_is_exact(shared_daemon: Daemon, in_address: bool, piece: int) -> None:
    """Address and headers with 64 KiB are served, and with one more byte not, in one piece or in many."""
    for total_bytes, status in ((HEADER_BYTES, 200), (HEADER_BYTES + 1, 431)):
        sent = _head(total_bytes, in_address=in_address)
        with shared_daemon.socket() as raw:
            for begin in range(0, len(sent), piece):
                raw.sendall(sent[begin : begin + piece])
            answer = http.client.HTTPResponse(raw)
            answer.begin()
            assert answer.status == status


def test_a_long_header_after_an_answer(shared_daemon: Daemon) -> None:
    """The limit holds for each request of a connection by itself."""
    small = _head(40_000, in_address=False).replace(b"Connection: close\r\n", b"")
    with shared_daemon.socket() as raw:
        for sent, status in ((small, 200), (small, 200), (_head(70_000, in_address=False), 431)):
            raw.sendall(sent)
            answer = http.client.HTTPResponse(raw)
            answer.begin()
            assert answer.status == status
            answer.read()
