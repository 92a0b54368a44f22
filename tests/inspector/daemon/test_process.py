"""The process: settings, start, SIGTERM, a full disk."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.conftest import Command
from tests.inspector.daemon.conftest import GOOD, Start
from tests.inspector.tiny_bundle import good_picture, tiny_fill
from tests.serving import until


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--host", "0.0.0.0"], {}, "can be reached from other computers"),  # noqa: S104 - that is the point
        ([], {"INSPECTOR_API_KEYS": "score:short"}, "entry 1 is not SCOPE:KEY"),
        (["--api-keys-file", "missing"], {}, "cannot be read"),
        (["--host", "256.0.0.1", "--allow-anonymous"], {}, "cannot listen on"),
        (["--host", "[::1]:8000"], {}, "hint: write --host [::1] --port 8000"),
        (["--host", "[::]"], {}, "can be reached from other computers"),
        ([], {"INSPECTOR_HOST": "http://[::1]:8000/"}, "hint: write --host [::1] --port 8000"),
        ([], {"INSPECTOR_HOST": "*"}, "cannot listen on '*'"),
        (["--config", "missing.toml"], {}, "cannot be read"),
        (["--model", "nope@x"], {}, "--model 'nope@x' is not NAME or NAME@VERSION"),
        ([], {"INSPECTOR_MODEL": "a/../b"}, "--model 'a/../b' is not NAME or NAME@VERSION"),
        (["--model", "~no-such-user/x"], {}, "no bundle has this path"),
        ([], {"INSPECTOR_PORT": "many"}, "INSPECTOR_PORT is 'many'"),
        ([], {"INSPECTOR_KEEP_ALIVE_SECONDS": "0"}, "INSPECTOR_KEEP_ALIVE_SECONDS is '0'"),
        ([], {"INSPECTOR_ALLOWED_ORIGINS": "mes.example"}, "INSPECTOR_ALLOWED_ORIGINS is 'mes.example'"),
    ],
)
def test_bad_settings_are_refused(
    command: Command,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    said: str,
) -> None:
    """The daemon does not start; it prints one error line and one hint."""
    del store
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = command("serve", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "hint: " in ended.err
    assert "short" not in ended.err


def test_settings_have_an_order(store: Store, start: Start, tmp_path: Path) -> None:
    """Flags overrule the environment, which overrules the file."""
    store.publish("tiny", tiny_fill())
    config = tmp_path / "inspector.toml"
    config.write_text("workers = 3\nqueue_size = 5\n")
    assert start("--config", config).lines[0]["workers"] == 3
    assert start("--config", config, INSPECTOR_WORKERS="2").lines[0]["workers"] == 2
    assert start("--config", config, "--workers", "1", INSPECTOR_WORKERS="2").lines[0]["workers"] == 1


def test_without_a_model_it_is_alive_and_not_ready(store: Store, start: Start) -> None:
    """Without a model the daemon is alive and not ready; it serves the first published model."""
    daemon = start(ready=False)
    until(lambda: httpx.get(f"{daemon.url}/livez").status_code == 200)
    answer = httpx.get(f"{daemon.url}/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).status_code == 503
    store.publish("tiny", tiny_fill())
    until(lambda: httpx.get(f"{daemon.url}/readyz").status_code == 200)
    assert httpx.post(f"{daemon.url}/v1/score", content=GOOD).status_code == 200


def test_sigterm_answers_accepted_requests(store: Store, start: Start) -> None:
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


def test_a_full_disk_loses_log_lines_only(store: Store) -> None:
    """On a full disk log lines are lost, requests are not."""
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


def test_serving_needs_neither_torch_nor_scikit_learn() -> None:
    """Importing the daemon imports no package of the extras."""
    extras = "{'torch', 'sklearn', 'scipy', 'onnx', 'models', 'calibration'}"
    code = f"import inspector.daemon.server, sys; print(sorted({extras} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
