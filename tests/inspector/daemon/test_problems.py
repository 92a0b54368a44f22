"""Requests that are refused: status, code and hint."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.daemon.conftest import GOOD, Start
from tests.inspector.image_samples import encoded, with_hole
from tests.inspector.tiny_bundle import good_picture, tiny_fill
from tests.serving import Daemon


@pytest.fixture(scope="module")
def limited(shared_store: Store) -> Iterator[Daemon]:
    """A daemon with low limits on bytes and pixels."""
    with Daemon(
        INSPECTOR_STORE=str(shared_store.root), INSPECTOR_MAX_BYTES="200000", INSPECTOR_MAX_PIXELS="100000"
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b""}, 400, "empty"),
        ({"content": b"no picture"}, 415, "unknown_format"),
        ({"content": GOOD[:200]}, 422, "truncated"),
        ({"content": with_hole(encoded(good_picture(), "JPEG"))}, 422, "truncated"),
        ({"content": b"\x89PNG" + bytes(300_000)}, 413, "too_large"),
        ({"content": encode_png(np.zeros((400, 400, 3), np.uint8))}, 413, "too_large"),
        ({"files": {"picture": GOOD}}, 400, "malformed"),
        ({"data": {"image": "text"}}, 415, "unknown_format"),
        ({"files": [("image", GOOD), ("image", GOOD)]}, 400, "malformed"),
        ({"content": b"xx", "headers": {"content-type": "multipart/form-data"}}, 400, "malformed"),
        ({"content": GOOD, "params": {"map": "tiff"}}, 400, "malformed"),
        ({"content": GOOD, "params": {"modle": "tiny"}}, 400, "malformed"),
        ({"content": GOOD, "params": {"model": ["tiny", ""]}}, 400, "malformed"),
        ({"content": GOOD, "params": {"model": ""}}, 400, "malformed"),
        ({"content": GOOD, "params": {"map": ""}}, 400, "malformed"),
        ({"content": GOOD, "params": {"model": "other"}}, 404, "model_not_found"),
        ({"content": GOOD, "params": {"model": "tiny@9"}}, 404, "model_not_found"),
        ({"content": GOOD, "params": {"model": "../tiny"}}, 404, "model_not_found"),
        ({"content": GOOD, "params": {"model": "/etc"}}, 404, "model_not_found"),
    ],
)
def test_errors_are_problems(limited: Daemon, request_: dict[str, Any], status: int, code: str) -> None:
    """Each error has its status, a code, a hint and a request id; it is counted, and scoring goes on."""
    count = f'inspector_errors_total{{code="{code}"}}'
    before = limited.metric(count)
    answer = httpx.post(f"{limited.url}/v1/score", **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert answer.json()["hint"]
    assert "Traceback" not in answer.text
    assert limited.metric(count) == before + 1
    assert httpx.post(f"{limited.url}/v1/score", content=GOOD).json()["verdict"] == "pass"


@pytest.mark.parametrize("query", ["sinse=1", "since=1&since=2", "wait=26", "since=-1"])
def test_a_wrong_query_of_the_list(shared_daemon: Daemon, query: str) -> None:
    """The list of inspections refuses unknown and repeated parameters, and values out of range."""
    answer = httpx.get(f"{shared_daemon.url}/v1/inspections?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("query", ["model=", "model", "map=", "map", "model=&map=png"])
def test_an_empty_parameter(shared_daemon: Daemon, query: str) -> None:
    """An empty parameter is refused on both routes: it is not the same as none."""
    for route in ("/v1/score", "/v1/score/batch"):
        answer = httpx.post(f"{shared_daemon.url}{route}?{query}", files={"image": GOOD})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_too_many_pixels_have_their_own_hint(limited: Daemon) -> None:
    """A picture over the limit, sent in any way, is to be reduced; it need not be sent in another way."""
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        big = encoded(np.zeros((320, 320, 3), np.uint8), kind)[:200_000]
        form = httpx.post(f"{limited.url}/v1/score", files={"image": big})
        of_curl = {"Content-Type": "application/x-www-form-urlencoded"}
        for answer in (form, httpx.post(f"{limited.url}/v1/score", content=big, headers=of_curl)):
            assert answer.status_code == 413
            assert answer.json()["hint"] == "reduce the picture, or raise the limit with INSPECTOR_MAX_PIXELS"


def test_unknown_routes(daemon: Daemon) -> None:
    """404 and 405 are problems, too, and all unknown paths share one metric label."""
    assert httpx.get(f"{daemon.url}/nothing/here").json()["code"] == "no_route"
    assert httpx.get(f"{daemon.url}/v1/score").json()["code"] == "method_not_allowed"
    assert daemon.metric('inspector_http_requests_total{route="unknown",status="404"}') == 1


def test_a_slow_body_is_aborted(store: Store, start: Start) -> None:
    """A body that is not complete in time is answered 408, and other clients are served meanwhile."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_BODY_SECONDS="1")
    with daemon.socket() as slow:
        slow.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).status_code == 200
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_full_queue_refuses_at_once(store: Store, start: Start) -> None:
    """Under load each answer is 200, or 503 with Retry-After, and livez always answers."""
    store.publish("tiny", tiny_fill())
    daemon = start("--workers", "1", "--queue-size", "1")
    big = encode_png(good_picture(height=1500, width=1500))
    with ThreadPoolExecutor(16) as pool:
        answers = [
            pool.submit(httpx.post, f"{daemon.url}/v1/score", content=big, timeout=60) for _ in range(48)
        ]
        alive = httpx.get(f"{daemon.url}/livez").status_code
        found = [answer.result() for answer in answers]
    assert alive == 200
    assert {answer.status_code for answer in found} == {200, 503}
    refused = [answer for answer in found if answer.status_code == 503]
    assert all(
        int(answer.headers["retry-after"]) >= 1 and answer.json()["code"] == "full" for answer in refused
    )
    assert daemon.metric('inspector_inspections_total{model="tiny",verdict="pass"}') == 48 - len(refused)


def test_large_bodies_are_discarded_and_refused(store: Store, start: Start) -> None:
    """A large body is read, discarded and answered 413; with `Expect` it is refused before it is sent."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_MAX_BYTES="1000000")
    before = daemon.megabytes
    body = bytes(100_000_000)
    for sent in ({"content": body}, {"content": iter([body])}, {"files": {"image": body}}):
        answer = httpx.post(f"{daemon.url}/v1/score", **sent, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert daemon.megabytes < before + 30
    with daemon.socket() as asking:
        asking.sendall(b"POST /v1/score HTTP/1.1\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n")
        assert asking.recv(100).startswith(b"HTTP/1.1 413 ")
