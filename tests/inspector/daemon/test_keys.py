"""API keys and their scopes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from inspector.bundle.store import Store
from inspector.daemon.auth import read_keys
from inspector.imaging.encode import encode_png
from tests.inspector.conftest import Command
from tests.inspector.daemon.conftest import ADMIN, GOOD, KEY, Start
from tests.inspector.tiny_bundle import good_picture, tiny_fill
from tests.serving import Daemon


@pytest.fixture(scope="module")
def locked(shared_store: Store) -> Iterator[Daemon]:
    """A daemon with a key."""
    with Daemon(INSPECTOR_STORE=str(shared_store.root), INSPECTOR_API_KEYS=f"score:{KEY}") as running:
        yield running


def test_every_route_needs_a_key(store: Store, start: Start, tmp_path: Path) -> None:
    """With keys set, every route but livez and readyz needs one; the log never shows a key."""
    store.publish("tiny", tiny_fill())
    (tmp_path / "keys").write_text(f"# line PC\nscore:{KEY}\nadmin:{ADMIN}\n")
    daemon = start("--api-keys-file", tmp_path / "keys")
    for route in ("/v1/models", "/metrics", "/docs", "/openapi.json"):
        assert httpx.get(f"{daemon.url}{route}").status_code == 401
        for key in (KEY, ADMIN):
            bearer = {"Authorization": f"Bearer {key}"}
            assert httpx.get(f"{daemon.url}{route}", headers=bearer).status_code == 200
    wrong = httpx.post(f"{daemon.url}/v1/score", content=GOOD, headers={"Authorization": f"Bearer {KEY}x"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthorized")
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{daemon.url}/livez").status_code == 200
    assert KEY not in json.dumps(daemon.lines)


@pytest.mark.parametrize(
    ("headers", "detail", "hint"),
    [
        ({}, "is missing", ""),
        ({"X-API-Key": KEY}, "is missing", "; X-API-Key is not read"),
        ({"x-api-key": KEY}, "is missing", "; X-API-Key is not read"),
        ({"X-Auth-Token": KEY}, "is missing", "; X-Auth-Token is not read"),
        ({"Authorization": KEY}, "is not 'Bearer', a space and a key", ""),
        ({"Authorization": f"Basic {KEY}"}, "is not 'Bearer', a space and a key", ""),
        ({"Authorization": f"Bearer {KEY}x"}, "holds no known key", ""),
        ({"Authorization": f"Bearer {KEY}x", "X-API-Key": KEY}, "holds no known key", ""),
    ],
)
def test_a_missing_key_is_no_unknown_key(
    locked: Daemon, headers: dict[str, str], detail: str, hint: str
) -> None:
    """401 says whether the header is missing, malformed or unknown, and which header is not read."""
    answer = httpx.get(f"{locked.url}/v1/models", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.json()["detail"] == f"the header Authorization {detail}"
    assert answer.json()["hint"] == f"send 'Authorization: Bearer KEY'{hint}"
    assert KEY not in answer.text


def test_a_key_file_without_a_key_is_refused(command: Command, store: Store, tmp_path: Path) -> None:
    """A key file without keys would let everyone in, so the daemon does not start."""
    del store
    (tmp_path / "keys").write_text("# to be filled in\n")
    ended = command("serve", "--api-keys-file", tmp_path / "keys")
    assert (ended.code, "holds no key" in ended.err) == (2, True)


def test_a_judgement_is_read_only_with_a_key(store: Store, start: Start) -> None:
    """Without a key the body is not read; with one it is limited in bytes and seconds."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_API_KEYS=f"score:{KEY}", INSPECTOR_BODY_SECONDS="1")
    put = b"PUT /v1/inspections/1/judgement HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
    bearer = f"Authorization: Bearer {KEY}\r\n".encode()
    for header, begins in ((b"", b"HTTP/1.1 401"), (bearer, b"HTTP/1.1 408")):
        with daemon.socket() as waiting:
            waiting.sendall(put + header + b"\r\n")
            assert waiting.recv(100).startswith(begins)
    with httpx.Client(base_url=daemon.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        url = f"/v1/inspections/{client.post('/v1/score', content=GOOD).headers['x-inspection-id']}/judgement"
        for body, status in (
            (bytes(20_000), 413),
            (b"no json", 400),
            (b'{"operator": "Ann"}', 400),
            (b'{"operator": "Ann", "agrees": true}', 200),
        ):
            assert client.put(url, content=body).status_code == status
        small = encode_png(good_picture(height=20, width=90))
        number = client.post("/v1/score", content=small).headers["x-inspection-id"]
        answer = client.put(f"/v1/inspections/{number}/judgement", json={"operator": "Ann", "agrees": True})
        assert (answer.status_code, answer.json()["code"]) == (422, "no_verdict")


def test_open_metrics(store: Store, start: Start) -> None:
    """`--metrics-open` opens /metrics and no other route."""
    store.publish("tiny", tiny_fill())
    daemon = start("--metrics-open", INSPECTOR_API_KEYS=f"score:{KEY}")
    assert httpx.get(f"{daemon.url}/metrics").status_code == 200
    assert httpx.get(f"{daemon.url}/v1/models").status_code == 401


def test_a_key_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    """The mark that Windows editors put before the first line is no part of its scope."""
    file = tmp_path / "keys"
    file.write_text(f"score:{KEY}\n", encoding="utf-8-sig")
    assert read_keys(None, file) == read_keys(f"score:{KEY}", None)
