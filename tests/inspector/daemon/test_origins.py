"""Pages of other origins: allowed ones may use the daemon from a browser, others may not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from inspector.bundle.store import Store
from inspector.daemon.app import create_app
from inspector.daemon.auth import Keys
from inspector.daemon.service import Service
from inspector.errors import UsageError
from inspector.imaging.encode import encode_png
from inspector.settings import ServeSettings
from tests.inspector.daemon.conftest import GOOD, KEY, Start
from tests.inspector.tiny_bundle import good_picture, tiny_fill
from tests.serving import Daemon

MES = "https://mes.example"
ALLOW = "access-control-allow-origin"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def daemon(shared_store: Store) -> Iterator[Daemon]:
    """A daemon with a key, low limits and two allowed origins."""
    with Daemon(
        INSPECTOR_STORE=str(shared_store.root),
        INSPECTOR_API_KEYS=f"score:{KEY}",
        INSPECTOR_MAX_BYTES="200000",
        INSPECTOR_BODY_SECONDS="1",
        INSPECTOR_ALLOWED_ORIGINS=f"{MES}, http://localhost:3000",
    ) as running:
        yield running


def preflight(url: str, origin: str, method: str = "POST", headers: str = "authorization") -> httpx.Response:
    """Ask as a browser does before it sends a request."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return httpx.options(url, headers={"Origin": origin, **asked})


@pytest.mark.parametrize("origin", [MES, "http://localhost:3000"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/score"), ("GET", "/v1/models"), ("PUT", "/v1/inspections/1/judgement")]
)
def test_a_preflight_is_answered(daemon: Daemon, origin: str, method: str, path: str) -> None:
    """An allowed origin may send its key, and any other header, with each method; no key is needed to ask."""
    answer = preflight(f"{daemon.url}{path}", origin, method, "authorization,content-type,x-request-id")
    assert answer.status_code == 200
    assert answer.headers[ALLOW] == origin
    assert method in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", f"{MES}:8443", "http://mes.example", "null"])
def test_other_origins_are_not_allowed(daemon: Daemon, origin: str) -> None:
    """Another origin, also one of the same host, is refused with the setting that would allow it."""
    answer = preflight(f"{daemon.url}/v1/score", origin)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "INSPECTOR_ALLOWED_ORIGINS" in answer.json()["hint"]
    assert ALLOW not in answer.headers
    assert ALLOW not in httpx.get(f"{daemon.url}/livez", headers={"Origin": origin}).headers


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content": GOOD, "headers": BEARER}, 200),
        ({"content": GOOD}, 401),
        ({"content": b"", "headers": BEARER}, 400),
        ({"content": GOOD, "headers": BEARER, "params": {"model": "other"}}, 404),
        ({"content": bytes(300_000), "headers": BEARER}, 413),
        ({"content": b"{}", "headers": BEARER}, 415),
        ({"content": GOOD[:200], "headers": BEARER}, 422),
    ],
)
def test_every_answer_has_the_headers(daemon: Daemon, request_: dict[str, Any], status: int) -> None:
    """A page can read each answer, problems too, and the headers that it needs."""
    headers = {"Origin": MES, **request_.get("headers", {})}
    answer = httpx.post(f"{daemon.url}/v1/score", **{**request_, "headers": headers})
    assert answer.status_code == status
    assert answer.headers[ALLOW] == MES
    assert "Origin" in answer.headers["vary"]
    exposed = answer.headers["access-control-expose-headers"]
    assert {"X-Inspection-Id", "X-Request-Id", "Retry-After"} <= set(exposed.split(", "))


def test_routing_and_timing_problems_have_the_headers(daemon: Daemon) -> None:
    """404, 405 and 408 are readable, too, and so is the answer to HEAD."""
    for method, path, status in (
        ("GET", "/nothing/", 404),
        ("GET", "/v1/score", 405),
        ("HEAD", "/livez", 200),
    ):
        answer = httpx.request(method, f"{daemon.url}{path}", headers={"Origin": MES})
        assert (answer.status_code, answer.headers[ALLOW]) == (status, MES)
    with daemon.socket() as slow:
        head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nOrigin: {MES}\r\nAuthorization: Bearer {KEY}\r\n"
        slow.sendall(head.encode() + b"Content-Length: 9\r\n\r\n1")
        answer_ = slow.recv(2000)
    assert answer_.startswith(b"HTTP/1.1 408 ")
    assert f"{ALLOW}: {MES}\r\n".encode() in answer_


def test_a_full_queue_has_the_headers(store: Store, start: Start) -> None:
    """503 is readable, with Retry-After: without a model, and with a full queue."""
    daemon = start("--workers", "1", "--queue-size", "1", ready=False, INSPECTOR_ALLOWED_ORIGINS="*")
    answer = httpx.get(f"{daemon.url}/readyz", headers={"Origin": MES})
    assert (answer.status_code, answer.headers[ALLOW], answer.headers["retry-after"]) == (503, "*", "1")
    store.publish("tiny", tiny_fill())
    big = encode_png(good_picture(height=1500, width=1500))
    with ThreadPoolExecutor(16) as pool:
        sent = [
            pool.submit(
                httpx.post, f"{daemon.url}/v1/score", content=big, headers={"Origin": MES}, timeout=60
            )
            for _ in range(48)
        ]
        answers = [answer.result() for answer in sent]
    assert 503 in {answer.status_code for answer in answers}
    assert all(answer.headers[ALLOW] == "*" for answer in answers)


def test_every_website(store: Store, start: Start) -> None:
    """With `*` every page may send, none with cookies, and the log says so at the start."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_ALLOWED_ORIGINS="*")
    for origin in (MES, "null"):
        assert preflight(f"{daemon.url}/v1/score", origin).headers[ALLOW] == "*"
        answer = httpx.post(f"{daemon.url}/v1/score", content=GOOD, headers={"Origin": origin})
        assert (answer.json()["verdict"], answer.headers[ALLOW]) == ("pass", "*")
        assert "access-control-allow-credentials" not in answer.headers
    assert daemon.events("pages of every website may use this daemon")


def test_off_by_default(shared_daemon: Daemon) -> None:
    """Without the setting there is not one header of CORS, and a preflight is 405."""
    answer = preflight(f"{shared_daemon.url}/v1/score", MES)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    scored = httpx.post(f"{shared_daemon.url}/v1/score", content=GOOD, headers={"Origin": MES})
    assert scored.status_code == 200
    assert not [name for name in (*answer.headers, *scored.headers) if name.startswith("access-control")]


def test_unexpected_errors_have_the_headers(store: Store) -> None:
    """An error in the daemon itself is readable, too."""
    settings = ServeSettings(store=store.root, allowed_origins=(MES,))
    app = create_app(Service(settings, Keys()))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/broken", headers={"Origin": MES})

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"], answer.headers[ALLOW]) == (500, "internal", MES)


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("", ()),
        (MES, (MES,)),
        (f"{MES}/", (MES,)),
        ("HTTPS://MES.Example:443 http://a:80,http://b:8080", (MES, "http://a", "http://b:8080")),
        ("http://[2001:db8::7]:3000", ("http://[2001:db8::7]:3000",)),
        ("tauri://localhost", ("tauri://localhost",)),
        ("*", ("*",)),
    ],
)
def test_origins_are_read(given: str, origins: tuple[str, ...], tmp_path: Path) -> None:
    """Origins are written as browsers send them; a file may have a text or a list."""
    environment = {"INSPECTOR_ALLOWED_ORIGINS": given}
    assert ServeSettings.from_environment(environment).allowed_origins == origins
    file = tmp_path / "inspector.toml"
    for written in (f'"{given}"', str(given.replace(",", " ").split())):
        file.write_text(f"allowed_origins = {written}\n")
        assert ServeSettings.from_environment({}, file).allowed_origins == origins


@pytest.mark.parametrize(
    "given", ["mes.example", f"{MES}/app", "https://", "https://*.example", "https://a@b", f"{MES};x", "null"]
)
def test_other_words_than_origins_are_refused(given: str) -> None:
    """A value that no browser sends as an origin is refused, and the message shows one."""
    with pytest.raises(UsageError) as caught:
        ServeSettings.from_environment({"INSPECTOR_ALLOWED_ORIGINS": given})
    assert f"INSPECTOR_ALLOWED_ORIGINS is {given!r}" in caught.value.message
    assert "https://mes.example" in caught.value.message
