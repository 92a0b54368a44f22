"""Alerts and dashboard, evaluated by a real Prometheus that scraped a real daemon."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill
from tests.serving import Daemon, until

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
TESTS = yaml.safe_load((DEPLOY / "prometheus/alerts.test.yml").read_text())["tests"]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/inspector.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
VARIABLES = {"$__rate_interval": "10s", "$model": ".*", "[1h]": "[30s]"}

Query = Callable[[str], list[dict[str, Any]]]


@pytest.mark.system
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    """promtool accepts the files, and each alert fires in its test case only."""
    ended = subprocess.run(
        ["promtool", *words], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", [rule["alert"] for rule in RULES])
def test_each_alert_is_tested_both_ways(name: str) -> None:
    """Each alert has a test case where it fires and one where it is silent."""
    cases = [case for test in TESTS for case in test["alert_rule_test"] if case["alertname"] == name]
    assert {bool(case["exp_alerts"]) for case in cases} == {False, True}


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    """A function that queries a Prometheus; it scraped a daemon that inspected pictures of every kind."""
    place = tmp_path_factory.mktemp("prometheus")
    Store(place / "store").publish("tiny", tiny_fill())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with Daemon(INSPECTOR_STORE=str(place / "store")) as daemon:
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus/alerts.yml")]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{daemon.port}"]
        (place / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={place}/prometheus.yml"]
        command += [f"--storage.tsdb.path={place}/data", f"--web.listen-address={address}"]

        def ask(text: str) -> list[dict[str, Any]]:
            answer = httpx.get(f"http://{address}/api/v1/query", params={"query": text})
            return list(answer.json()["data"]["result"]) if answer.status_code == 200 else []

        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as prometheus:
            try:
                pictures = [
                    encode_png(good_picture()),
                    encode_png(bad_picture()),
                    b"no picture",
                ]
                until(lambda: _send(daemon, pictures) and len(ask("count_over_time(up[1m]) > 6")) == 1, 60)
                yield ask
            finally:
                prometheus.terminate()


def _send(daemon: Daemon, pictures: list[bytes]) -> bool:
    for data in pictures:
        httpx.post(f"{daemon.url}/v1/score", content=data)
    return True


@pytest.mark.system
@pytest.mark.parametrize("text", QUERIES)
def test_every_panel_has_data(query: Query, text: str) -> None:
    """Each query of the dashboard returns data."""
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    rows = query(text)
    assert rows, text
    assert all(row["value"][1] != "NaN" for row in rows) or "queue" in text or "quantile" in text, rows


@pytest.mark.system
@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_asks_for_series_that_exist(query: Query, rule: dict[str, Any]) -> None:
    """The daemon exports every series that an alert uses, with its labels."""
    selectors = re.findall(r"\b((?:inspector_\w+|process_\w+|up)(?:\{[^}]*\})?)", rule["expr"])
    assert selectors
    for selector in selectors:
        assert query(selector), selector
