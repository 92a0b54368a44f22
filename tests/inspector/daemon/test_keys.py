"""API keys and their scopes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.conftest import Command
from tests.inspector.daemon.conftest import ADMIN, GOOD, KEY, Start
from tests.inspector.tiny_bundle import good_picture, tiny_fill


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
