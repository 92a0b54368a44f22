"""Methods and paths: HEAD, OPTIONS, trailing and double slashes, and that nothing redirects."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from inspector.bundle.store import Store
from tests.inspector.daemon.conftest import GOOD, KEY, Start
from tests.inspector.tiny_bundle import tiny_fill
from tests.serving import Daemon

HIDDEN = ("/", "/console/style.css", "/console/script.js", "/metrics", "/openapi.json", "/docs")
OWN = {"date", "x-request-id"}  # headers of each answer alone
CHANGING = {"/metrics"}  # its length changes with each request


@pytest.fixture(scope="module")
def client(shared_daemon: Daemon) -> Iterator[httpx.Client]:
    """A client of the shared daemon, which has scored a picture."""
    with httpx.Client(base_url=shared_daemon.url) as opened:
        opened.post("/v1/score", content=GOOD).raise_for_status()
        yield opened


@pytest.fixture(scope="module")
def routes(client: httpx.Client) -> dict[str, set[str]]:
    """Each path, with values for its parameters, and its methods."""
    values = {"{name}": "tiny", "{number}": "1", "{view}": "heatmap"}
    found = {path: {"get"} for path in HIDDEN}
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for name, value in values.items():
            path = path.replace(name, value)  # noqa: PLW2901 - one after the other
        found[path] = set(methods)
    return found


def test_head_answers_as_get_does(client: httpx.Client, routes: dict[str, set[str]]) -> None:
    """Each route that has GET has HEAD: the same status and headers, no body, and one connection for all."""
    for path in [path for path, methods in routes.items() if "get" in methods]:
        got, headed = client.get(path), client.head(path)
        assert (got.status_code, headed.status_code) == (200, 200), path
        assert headed.content == b""
        own = OWN | ({"content-length"} if path in CHANGING else set()) | {"transfer-encoding"}
        expected, found = (
            {name: value for name, value in answer.headers.items() if name not in own}
            for answer in (got, headed)
        )
        assert expected == found


def test_head_of_errors(client: httpx.Client, store: Store, start: Start) -> None:
    """HEAD has the status of an error, too, and no body; it needs the key that GET needs."""
    for path, status in (("/nothing", 404), ("/v1/models/other", 404), ("/v1/score", 405)):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["content-length"] == client.get(path).headers["content-length"]
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_API_KEYS=f"score:{KEY}")
    for path, status in (("/livez", 200), ("/readyz", 200), ("/", 200), ("/metrics", 401), ("/docs", 401)):
        assert httpx.head(f"{daemon.url}{path}").status_code == status
    bearer = {"Authorization": f"Bearer {KEY}"}
    assert httpx.head(f"{daemon.url}/metrics", headers=bearer).status_code == 200


def test_not_ready_has_a_head(store: Store, start: Start) -> None:
    """Without a model, HEAD of /readyz is 503 as GET is, with Retry-After."""
    del store
    daemon = start(ready=False)
    answer = httpx.head(f"{daemon.url}/readyz")
    assert (answer.status_code, answer.headers["retry-after"], answer.content) == (503, "1", b"")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_problems(client: httpx.Client, routes: dict[str, set[str]], method: str) -> None:
    """A method that a route does not have is 405 as a problem, with the allowed ones in `Allow`."""
    for path, methods in routes.items():
        if method.lower() in methods:
            continue
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), path
        assert answer.headers["content-type"] == "application/problem+json"
        allowed = {name.upper() for name in methods} | ({"HEAD"} if "get" in methods else set())
        assert answer.headers["allow"] == ", ".join(sorted(allowed))
        assert answer.json()["hint"] == f"send {answer.headers['allow']}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_nothing_redirects(client: httpx.Client, routes: dict[str, set[str]], method: str) -> None:
    """A path with a slash too many is 404; the hint has the right path, and no answer has a `Location`."""
    for path in [path for path in routes if path != "/"]:
        for wrong in (f"{path}/", f"{path}//", f"/{path}", path.replace("/", "//"), f"/{path}/?a=b"):
            address = f"http://{client.base_url.netloc.decode()}{wrong}"
            answer = client.request(method, address, content=GOOD if method == "POST" else None)
            assert answer.status_code == 404, wrong
            assert "location" not in answer.headers
            if method != "HEAD":
                assert answer.headers["content-type"] == "application/problem+json"
                assert (answer.json()["code"], answer.json()["hint"]) == ("no_route", f"ask for {path}")


@pytest.mark.parametrize("path", ["/nothing", "/nothing/", "/redoc", "/v1", "/v1/", "/docs/oauth2-redirect"])
def test_paths_without_a_route(client: httpx.Client, path: str) -> None:
    """A path that no route has, with or without a slash, is 404 and leads to the list of routes."""
    answer = client.get(path)
    assert (answer.status_code, answer.json()["hint"]) == (404, "see /docs")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/tiny%401", 200),
        ("/v1/models/tin%79", 200),
        ("/v1/models/%74iny/card", 200),
        ("/v1/models/gr%C3%BC%C3%9Fe", 404),
        ("/v1/models/%ff%00", 404),
        ("/v1/models/..%2F..%2Fetc", 404),
        ("/v1/models/tiny%2Fcard", 200),
        ("/v1/models/%", 404),
        ("/%2e%2e/", 404),
        ("/v1/models?name=tiny", 200),
        ("/livez?probe=1", 200),
    ],
)
def test_percent_encoded_paths(shared_daemon: Daemon, path: str, status: int) -> None:
    """Names of models may be percent-encoded; nonsense is 404 and no crash."""
    with shared_daemon.socket() as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = raw.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert not shared_daemon.events("unexpected")


def test_old_and_hasty_clients(shared_daemon: Daemon) -> None:
    """HTTP/1.0, an address instead of a path, and many headers are served."""
    post = b"POST /v1/score HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD
    address = b"GET http://elsewhere/livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    headers = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 100) for number in range(400))
    many = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n"
    for sent in (post, address, many):
        with shared_daemon.socket() as raw:
            raw.sendall(sent)
            assert raw.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")
    for asterisk in (b"OPTIONS", b"GET"):
        with shared_daemon.socket() as raw:
            raw.sendall(asterisk + b" * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = raw.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 40")
            assert b"application/problem+json" in answer
