"""The daemon as an integrator and an SRE meet it: a real process, real sockets, real models."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import inspector
from inspector.bundle.store import Store
from inspector.daemon.middleware import RequestMiddleware
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_bundle, tiny_fill
from tests.serving import Daemon, until
from tests.soak import schema

KEY, ADMIN = "0123456789abcdef-score", "0123456789abcdef-admin"
GOOD, BAD = encode_png(good_picture()), encode_png(bad_picture())


Start = Callable[..., Daemon]


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    """Start daemons on free ports; they end with the test, and end well."""
    with ExitStack() as started:
        yield lambda *arguments, **options: started.enter_context(Daemon(*arguments, **options))


@pytest.fixture
def daemon(store: Store, start: Start) -> Daemon:
    """One with a model."""
    store.publish("tiny", tiny_fill())
    return start()


# --- scoring --------------------------------------------------------------------------------


def test_scores_are_those_of_the_command_line(daemon: Daemon, command: Command, tmp_path: Path) -> None:
    """The answer is the object that `inspector score` prints, but for path and times."""
    for number, data in enumerate((GOOD, BAD)):
        (tmp_path / f"{number}.png").write_bytes(data)
        offline = json.loads(command("score", tmp_path / f"{number}.png", "--format", "jsonl").out)
        for sent in ({"content": data}, {"files": {"image": ("part.png", data)}}):
            online = httpx.post(f"{daemon.url}/v1/score", **sent)
            assert online.status_code == 200
            mine, theirs = online.json(), dict(offline)
            for row in (mine, theirs):
                del row["milliseconds"]
            assert mine.pop("path") == (None if "content" in sent else "part.png")
            assert theirs.pop("path").endswith(f"{number}.png")
            assert mine == theirs


def test_a_batch_keeps_its_order_and_one_bad_picture_spoils_no_other(daemon: Daemon) -> None:
    """Good, not a picture, bad: pass, invalid with a reason, fail."""
    files = [("image", (name, data)) for name, data in (("a", GOOD), ("b", b"no picture"), ("c", BAD))]
    results = httpx.post(f"{daemon.url}/v1/score/batch", files=files).json()["results"]
    assert [(row["path"], row["verdict"]) for row in results] == [
        ("a", "pass"),
        ("b", "invalid"),
        ("c", "fail"),
    ]
    assert results[1]["reason"].startswith("unknown_format: ")
    assert results[1]["score"] is None


def test_maps(daemon: Daemon) -> None:
    """`map=npy` is the float map of the library, `map=png` the same in grey; without it there is none."""
    url = f"{daemon.url}/v1/score"
    expected = inspector.open_model("tiny").score(BAD).anomaly_map
    assert expected is not None
    sent = httpx.post(url, params={"map": "npy"}, content=BAD).json()["map"]
    np.testing.assert_array_equal(np.load(io.BytesIO(base64.b64decode(sent["data"]))), expected)
    sent = httpx.post(url, params={"map": "png"}, content=BAD).json()["map"]
    grey = decode(base64.b64decode(sent["data"])).pixels
    assert grey.shape == (*expected.shape, 3)
    assert grey[..., 0].argmax() == np.clip(expected, None, 0.5).argmax()
    assert "map" not in httpx.post(url, content=BAD).json()


def test_a_small_picture_is_a_verdict(daemon: Daemon) -> None:
    """What can be decoded, but is at fault, is answered with 200 and `invalid`."""
    answer = httpx.post(f"{daemon.url}/v1/score", content=encode_png(good_picture(height=20, width=90)))
    assert (answer.status_code, answer.json()["verdict"]) == (200, "invalid")
    assert answer.json()["reason"].startswith("too_small")


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b""}, 400, "empty"),
        ({"content": b"no picture"}, 415, "unknown_format"),
        ({"content": GOOD[:200]}, 422, "truncated"),
        ({"content": b"\x89PNG" + bytes(300_000)}, 413, "too_large"),
        ({"content": encode_png(np.zeros((400, 400, 3), np.uint8))}, 413, "too_large"),
        ({"files": {"picture": GOOD}}, 400, "malformed"),
        ({"data": {"image": "text"}}, 415, "unknown_format"),
        ({"files": [("image", GOOD), ("image", GOOD)]}, 400, "malformed"),
        ({"content": b"xx", "headers": {"content-type": "multipart/form-data"}}, 400, "malformed"),
        ({"content": GOOD, "params": {"map": "tiff"}}, 400, "malformed"),
        ({"content": GOOD, "params": {"modle": "tiny"}}, 400, "malformed"),
        ({"content": GOOD, "params": {"model": "other"}}, 404, "model_not_found"),
        ({"content": GOOD, "params": {"model": "tiny@9"}}, 404, "model_not_found"),
        ({"content": GOOD, "params": {"model": "../tiny"}}, 404, "model_not_found"),
        ({"content": GOOD, "params": {"model": "/etc"}}, 404, "model_not_found"),
    ],
)
def test_errors_are_problems(
    store: Store, start: Start, request_: dict[str, Any], status: int, code: str
) -> None:
    """Each has its status, a code, a hint and its request id; it is counted, and the daemon goes on."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_MAX_BYTES="200000", INSPECTOR_MAX_PIXELS="100000")
    answer = httpx.post(f"{daemon.url}/v1/score", **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert answer.json()["hint"]
    assert "Traceback" not in answer.text
    assert daemon.metric(f'inspector_errors_total{{code="{code}"}}') == 1
    assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).json()["verdict"] == "pass"


def test_routes_that_are_not_there(daemon: Daemon) -> None:
    """404 and 405 are problems, too, and unknown paths share one label."""
    assert httpx.get(f"{daemon.url}/nothing/here").json()["code"] == "no_route"
    assert httpx.get(f"{daemon.url}/v1/score").json()["code"] == "method_not_allowed"
    assert daemon.metric('inspector_http_requests_total{route="unknown",status="404"}') == 1


def test_a_slow_body_is_given_up(store: Store, start: Start) -> None:
    """A sender that does not finish gets 408, others are served meanwhile."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_BODY_SECONDS="1")
    with daemon.socket() as slow:
        slow.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).status_code == 200
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_full_queue_refuses_at_once(store: Store, start: Start) -> None:
    """Many at once: 200 or 503 with Retry-After, nothing else, and livez answers throughout."""
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


def test_endless_trailers(daemon: Daemon) -> None:
    """What may come after a body is cut off as headers are: many, or one that never ends."""
    for began, goes_on in ((b"", b"X-A: " + b"x" * 1000 + b"\r\n"), (b"X-A: ", b"x" * 1000)):
        with daemon.socket() as endless:
            endless.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
            endless.sendall(began)
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                endless.sendall(goes_on * 100_000)


def test_a_body_in_thousands_of_pieces(daemon: Daemon) -> None:
    """What lies between the pieces is more than headers may have, and is no header."""
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    data = encode_png(noise)
    pieces = (data[start : start + 5] for start in range(0, len(data), 5))
    assert len(data) > 70_000
    assert httpx.post(f"{daemon.url}/v1/score", content=pieces, timeout=30).json()["image"]["width"] == 160


def test_a_batch_lets_go_of_its_pictures(daemon: Daemon) -> None:
    """Sixteen pictures of 9 megapixels are less than a megabyte as sent, and 432 MB decoded."""
    flat = encode_png(np.zeros((3000, 3000), np.uint8))
    peaks = []
    for count in (2, 16):
        files = [("image", flat)] * count
        answer = httpx.post(f"{daemon.url}/v1/score/batch", files=files, timeout=60)
        assert len(answer.json()["results"]) == count
        peaks.append(daemon.peak_megabytes)
    assert peaks[1] < peaks[0] + 100


@pytest.mark.parametrize(("charset", "status"), [("undefined", 400), ("utf-7", 200)])
def test_a_form_in_a_strange_charset(daemon: Daemon, charset: str, status: int) -> None:
    """One that cannot be read is refused; half a letter in a name does no harm to those who ask for it."""
    form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="+2AA-.png"\r\n\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    sent = form + GOOD + b"\r\n--b--\r\n"
    assert httpx.post(f"{daemon.url}/v1/score", content=sent, headers=headers).status_code == status
    assert httpx.get(f"{daemon.url}/v1/inspections").status_code == 200
    assert not daemon.events("unexpected")


# --- keys -----------------------------------------------------------------------------------


def test_keys(store: Store, start: Start, tmp_path: Path) -> None:
    """With keys set, everything but livez and readyz needs one; the log never shows one."""
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


def test_a_key_file_without_a_key(command: Command, store: Store, tmp_path: Path) -> None:
    """It would let everyone in, which nobody means who names one."""
    del store
    (tmp_path / "keys").write_text("# to be filled in\n")
    ended = command("serve", "--api-keys-file", tmp_path / "keys")
    assert (ended.code, "holds no key" in ended.err) == (2, True)


def test_a_judgement_needs_a_key_before_its_body(store: Store, start: Start) -> None:
    """Without one nothing is read; with one a body has an end, in bytes and in seconds."""
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
    """`--metrics-open` opens that route, and no other."""
    store.publish("tiny", tiny_fill())
    daemon = start("--metrics-open", INSPECTOR_API_KEYS=f"score:{KEY}")
    assert httpx.get(f"{daemon.url}/metrics").status_code == 200
    assert httpx.get(f"{daemon.url}/v1/models").status_code == 401


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--host", "0.0.0.0"], {}, "can be reached from other computers"),  # noqa: S104 - that is the point
        ([], {"INSPECTOR_API_KEYS": "score:short"}, "entry 1 is not SCOPE:KEY"),
        (["--api-keys-file", "missing"], {}, "cannot be read"),
        (["--host", "256.0.0.1", "--allow-anonymous"], {}, "cannot listen on"),
        (["--config", "missing.toml"], {}, "cannot be read"),
        ([], {"INSPECTOR_PORT": "many"}, "INSPECTOR_PORT is 'many'"),
    ],
)
def test_what_refuses_to_start(
    command: Command,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    said: str,
) -> None:
    """One line and one hint."""
    del store
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = command("serve", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "hint: " in ended.err
    assert "short" not in ended.err


def test_settings_from_a_file(store: Store, start: Start, tmp_path: Path) -> None:
    """The file is overruled by the environment, and that by flags."""
    store.publish("tiny", tiny_fill())
    config = tmp_path / "inspector.toml"
    config.write_text("workers = 3\nqueue_size = 5\n")
    assert start("--config", config).lines[0]["workers"] == 3
    assert start("--config", config, INSPECTOR_WORKERS="2").lines[0]["workers"] == 2
    assert start("--config", config, "--workers", "1", INSPECTOR_WORKERS="2").lines[0]["workers"] == 1


# --- life -----------------------------------------------------------------------------------


def test_without_a_model_it_is_alive_and_not_ready(store: Store, start: Start) -> None:
    """It says so, and serves the first model that is published."""
    daemon = start(ready=False)
    until(lambda: httpx.get(f"{daemon.url}/livez").status_code == 200)
    answer = httpx.get(f"{daemon.url}/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).status_code == 503
    store.publish("tiny", tiny_fill())
    until(lambda: httpx.get(f"{daemon.url}/readyz").status_code == 200)
    assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).status_code == 200


def seen(answers: list[httpx.Response]) -> int | None:
    """The version that made the latest answer."""
    return int(answers[-1].json()["model"]["version"]) if answers else None


def test_a_promotion_is_seen_soon(daemon: Daemon, store: Store) -> None:
    """No request fails meanwhile, and each answer's threshold is that of the version that it names."""
    answers: list[httpx.Response] = []
    stop = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=daemon.url, timeout=30) as client:
            while not stop.is_set():
                answers.append(client.post("/v1/score", content=GOOD))

    until(lambda: httpx.post(f"{daemon.url}/v1/score", content=GOOD).status_code == 200)
    with ThreadPoolExecutor(2) as pool:
        sending = [pool.submit(send) for _ in range(2)]
        try:
            for version in (2, 3, 4):
                store.publish("tiny", tiny_fill(threshold=20.0 + version))
                until(lambda wanted=version: seen(answers) == wanted, 5)  # type: ignore[misc]
        finally:
            stop.set()
        for done in sending:
            done.result()
    assert {answer.status_code for answer in answers} == {200}
    found = {(answer.json()["model"]["version"], answer.json()["threshold"]) for answer in answers}
    assert found == {(1, 20.0), (2, 22.0), (3, 23.0), (4, 24.0)}
    assert daemon.metric('inspector_model_reloads_total{result="ok"}') == 4


def test_a_broken_model_is_refused_and_the_old_one_goes_on(daemon: Daemon, store: Store) -> None:
    """It is told once in the log and the metrics."""
    broken = store.publish("tiny", tiny_fill(threshold=40.0))
    store.publish("tiny", tiny_fill(threshold=50.0))
    until(lambda: httpx.post(f"{daemon.url}/v1/score", content=GOOD).json()["threshold"] == 50.0)
    with (broken.path / "detector.onnx").open("r+b") as graph:
        graph.write(b"broken")
    (broken.path.parents[1] / "promoted").write_text("2")
    until(lambda: any(line["event"] == "model refused" for line in daemon.lines))
    time.sleep(1.5)
    assert sum(line["event"] == "model refused" for line in daemon.lines) == 1
    assert daemon.metric('inspector_model_reloads_total{result="failed"}') == 1
    assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).json()["threshold"] == 50.0
    assert httpx.get(f"{daemon.url}/readyz").status_code == 200


def test_a_repaired_model_of_the_same_number_is_opened(store: Store, start: Start) -> None:
    """What was refused is another model once it was removed and brought again."""
    broken = store.publish("tiny", tiny_fill())
    (broken.path / "detector.onnx").write_bytes(b"broken")
    daemon = start(ready=False)
    until(lambda: bool(daemon.events("model refused")))
    assert httpx.get(f"{daemon.url}/readyz").status_code == 503
    store.remove("tiny", force=True)
    store.publish("tiny", tiny_fill())
    until(daemon.is_ready)


def test_a_model_that_is_mended_in_place_is_opened(daemon: Daemon, store: Store) -> None:
    """The one before goes on while its file is damaged, and it comes as soon as the file is whole."""
    second = store.publish("tiny", tiny_fill(threshold=40.0))
    graph = second.path / "detector.onnx"
    whole = graph.read_bytes()

    def threshold() -> float:
        return float(httpx.post(f"{daemon.url}/v1/score", content=GOOD).json()["threshold"])

    until(lambda: threshold() == 40)
    graph.write_bytes(whole[:-1])
    until(lambda: bool(daemon.events("model refused")))
    assert threshold() == 40
    graph.write_bytes(whole)
    until(lambda: len(daemon.events("model opened")) == 3)
    assert threshold() == 40


def test_several_models(store: Store, start: Start) -> None:
    """Others are opened on demand; the one that was not used for longest makes room."""
    for name in ("a", "b", "c"):
        store.publish(name, tiny_fill())
    daemon = start("--model", "a", "--max-model-bytes", "1")
    for name in ("b", "c"):
        assert httpx.post(f"{daemon.url}/v1/score?model={name}", content=GOOD).json()["model"]["name"] == name
    held = httpx.get(f"{daemon.url}/v1/models").json()
    assert [(row["model"]["name"], row["default"]) for row in held] == [("a", True), ("c", False)]
    assert httpx.get(f"{daemon.url}/v1/models/b@1").json()["model"]["version"] == 1
    assert httpx.get(f"{daemon.url}/v1/models/x").status_code == 404


def test_a_bundle_outside_the_store(store: Store, start: Start, tmp_path: Path) -> None:
    """It is served under its own name, too."""
    bundle = tiny_bundle(tmp_path / "bundle")
    daemon = start("--model", bundle.path)
    for name in ("tiny", "tiny@1"):
        answer = httpx.post(f"{daemon.url}/v1/score?model={name}", content=GOOD)
        assert answer.json()["model"]["digest"] == bundle.digest
        assert httpx.get(f"{daemon.url}/v1/models/{name}/card").status_code == 200
    number = answer.headers["x-inspection-id"]
    assert httpx.get(f"{daemon.url}/v1/inspections/{number}/views/reconstruction").status_code == 200
    assert httpx.get(f"{daemon.url}/v1/models/tiny@2").status_code == 404


def test_sigterm_answers_what_was_accepted(store: Store, start: Start) -> None:
    """Requests that arrived are answered, later ones are not taken, and the daemon ends with 0."""
    store.publish("tiny", tiny_fill())
    daemon = start("--workers", "1")
    big = encode_png(good_picture(height=2500, width=2500))
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(httpx.post, f"{daemon.url}/v1/score", content=big, timeout=60) for _ in range(8)]
        until(lambda: daemon.metric("inspector_queue_depth") >= 4)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(60) == 0
        codes = []
        for answer in sent:
            try:
                codes.append(answer.result().status_code)
            except httpx.ConnectError:  # it came too late to be accepted
                codes.append(0)
    assert codes.count(200) >= 5
    assert set(codes) <= {0, 200}


def test_headers_that_never_end(daemon: Daemon) -> None:
    """A connection that sends nothing, or half a header, is closed."""
    with daemon.socket() as silent, daemon.socket() as half:
        half.sendall(b"GET /livez HTTP/1.1\r\nHos")
        assert silent.recv(10) == b""
        assert half.recv(10) == b""


def test_ten_thousand_connections(daemon: Daemon) -> None:
    """The longest idle ones make room: scoring goes on, one line tells of it, and no file is left open."""
    with ExitStack() as opened:
        kept = opened.enter_context(httpx.Client(base_url=daemon.url))
        assert kept.get("/livez").status_code == 200
        for number in range(10_000):
            opened.enter_context(daemon.socket())
            if number % 500 == 0:
                assert kept.post("/v1/score", content=GOOD).status_code == 200
                assert httpx.get(f"{daemon.url}/livez").status_code == 200
        assert daemon.facts.num_fds() < 1300
        assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).json()["verdict"] == "pass"
    until(lambda: daemon.facts.num_fds() < 100)
    until(lambda: any(line["event"] == "too many connections" for line in daemon.lines))


def test_endless_headers(daemon: Daemon) -> None:
    """They are cut off long before they fill the memory."""
    header = b"X-A: " + b"x" * 1000 + b"\r\n"
    with daemon.socket() as endless:
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
def test_raw_nuisances(store: Store, start: Start, keys: dict[str, str]) -> None:
    """What no client would send, whole and cut off anywhere, leaves it serving and its log readable."""
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


def test_large_bodies_are_refused_so_that_the_sender_hears_it(store: Store, start: Start) -> None:
    """A hundred megabytes are thrown away as they come; a sender that asks first need not send them."""
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


def test_a_model_that_is_removed_while_in_use(store: Store, start: Start) -> None:
    """Its name is 404 soon after, the default one leaves the daemon not ready; requests before end well."""
    for name in ("tiny", "other"):
        store.publish(name, tiny_fill())
    daemon = start("--model", "tiny")
    url = f"{daemon.url}/v1/score"
    assert httpx.post(url, params={"model": "other"}, content=GOOD).status_code == 200
    store.remove("other", force=True)
    until(lambda: httpx.post(url, params={"model": "other"}, content=GOOD).status_code == 404, 2)
    assert httpx.post(url, content=GOOD).status_code == 200
    store.remove("tiny", force=True)
    until(lambda: httpx.get(f"{daemon.url}/readyz").status_code == 503, 2)
    assert httpx.post(url, content=GOOD).status_code == 503
    assert [line["model"] for line in daemon.lines if line["event"] == "model removed"] == ["other", "tiny"]
    store.publish("tiny", tiny_fill())
    until(lambda: httpx.post(url, content=GOOD).status_code == 200)


def test_a_full_disk_under_the_log(store: Store) -> None:
    """Lines are lost, requests are not."""
    store.publish("tiny", tiny_fill())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(
            [sys.executable, "-m", "inspector", "serve", "--port", str(port)], stderr=full
        ) as process,
    ):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        for data, status in ((GOOD, 200), (b"no picture", 415), (GOOD, 200)):
            assert httpx.post(f"{url}/v1/score", content=data).status_code == status
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


# --- what an SRE sees -----------------------------------------------------------------------


def test_metrics_count_what_happened(daemon: Daemon) -> None:
    """Every series is there from the start, at 0; afterwards the numbers are those of the requests."""
    assert daemon.metric('inspector_inspections_total{model="tiny",verdict="fail"}') == 0
    assert daemon.metric('inspector_last_inspection_timestamp_seconds{model="tiny"}') == 0
    before = time.time()
    for data in (GOOD, BAD, BAD, b"no picture"):
        httpx.post(f"{daemon.url}/v1/score", content=data)
    for verdict, count in (("pass", 1), ("fail", 2), ("invalid", 1), ("review", 0)):
        assert daemon.metric(f'inspector_inspections_total{{model="tiny",verdict="{verdict}"}}') == count
    assert daemon.metric('inspector_invalid_images_total{reason="unknown_format"}') == 1
    assert daemon.metric('inspector_stage_seconds_count{stage="infer"}') == 3
    assert daemon.metric('inspector_stage_seconds_count{stage="queue"}') == 4
    assert daemon.metric('inspector_score_count{model="tiny"}') == 3
    assert daemon.metric('inspector_threshold{model="tiny"}') == 20
    assert daemon.metric('inspector_promised_false_reject_rate{model="tiny"}') == 0.05
    last = daemon.metric('inspector_last_inspection_timestamp_seconds{model="tiny"}')
    assert before <= last <= time.time()
    assert daemon.metric("inspector_queue_depth") == 0


def test_gauges_are_of_the_promoted_version(store: Store, start: Start) -> None:
    """Looking back at an older one changes none, and a model that is removed leaves none behind."""
    store.publish("tiny", tiny_fill())
    store.publish("tiny", tiny_fill(threshold=40.0))
    store.publish("other", tiny_fill())
    daemon = start("--model", "tiny", "--max-model-bytes", "1")
    for name in ("other", "tiny@1"):
        assert httpx.post(f"{daemon.url}/v1/score?model={name}", content=GOOD).status_code == 200
    time.sleep(1)  # by now the other one had to make room
    assert daemon.metric('inspector_threshold{model="tiny"}') == 40
    assert daemon.metric('inspector_last_inspection_timestamp_seconds{model="other"}') > 0
    store.remove("other", force=True)
    gauge = 'inspector_last_inspection_timestamp_seconds{model="other"}'
    until(lambda: gauge not in httpx.get(f"{daemon.url}/metrics").text)
    assert daemon.metric('inspector_inspections_total{model="other",verdict="pass"}') == 1


def test_what_nobody_foresaw_is_counted() -> None:
    """The sender gets a problem with the request's id, and both are counted."""
    counted: list[object] = []

    async def broken(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async def ask() -> httpx.Response:
        edge = RequestMiddleware(
            broken, count=lambda *seen: counted.append(seen), failed=lambda: counted.append("failed")
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://x") as client:
            return await client.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["x-request-id"]
    assert counted == ["failed", ("unknown", 500)]


def test_drift_is_watched(daemon: Daemon) -> None:
    """Sixty pictures like the normals leave the p-value high, as many bright ones bring it down."""
    with httpx.Client(base_url=daemon.url, timeout=30) as client:
        for seed in range(60):
            client.post("/v1/score", content=encode_png(good_picture(300 + seed)))
        until(lambda: daemon.metric('inspector_drift_p_value{model="tiny"}') < 1, 12)
        assert daemon.metric('inspector_drift_p_value{model="tiny"}') > 0.01
        for seed in range(140):
            bright = np.clip(good_picture(seed).astype(int) + 30, 0, 255).astype(np.uint8)
            client.post("/v1/score", content=encode_png(bright))
    until(lambda: daemon.metric('inspector_drift_p_value{model="tiny"}') < 0.01, 12)
    assert any(line["event"] == "drift" for line in daemon.lines)


def test_request_ids_and_security_headers(daemon: Daemon) -> None:
    """A given id comes back and is in the log; a strange one is replaced; every answer is guarded."""
    given = httpx.get(f"{daemon.url}/v1/models", headers={"X-Request-Id": "line-7.part-12"})
    assert given.headers["x-request-id"] == "line-7.part-12"
    strange = httpx.get(f"{daemon.url}/v1/models", headers={"X-Request-Id": "a b\tc"})
    assert len(strange.headers["x-request-id"]) == 32
    for answer in (given, httpx.get(f"{daemon.url}/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    until(lambda: any(line.get("request_id") == "line-7.part-12" for line in daemon.lines))


def test_the_description(daemon: Daemon) -> None:
    """OpenAPI names the routes, and the page shows them without scripts or anything from elsewhere."""
    description = httpx.get(f"{daemon.url}/openapi.json").json()
    assert {"/v1/score", "/v1/score/batch", "/v1/models", "/livez", "/readyz"} <= description["paths"].keys()
    page = httpx.get(f"{daemon.url}/docs").text
    assert "/v1/score/batch" in page
    assert "<script" not in page
    assert "src=" not in page


def test_generated_requests_are_answered_as_described() -> None:
    """A few hundred of those that `make fuzz` sends by the thousand."""
    schema.prove(300, 0)


def test_serving_needs_neither_torch_nor_scikit_learn() -> None:
    """The application is imported without any package of the workshop."""
    workshop = "{'torch', 'sklearn', 'scipy', 'onnx', 'models', 'calibration'}"
    code = f"import inspector.daemon.server, sys; print(sorted({workshop} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
