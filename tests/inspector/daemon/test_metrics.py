"""The daemon's metrics, as Debian's Prometheus reads them."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill
from tests.serving import Daemon, until

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: inspector
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@pytest.fixture
def inspected(store: Store) -> Daemon:
    """A daemon that has seen five good pictures, two bad ones and one that is none."""
    store.publish("tiny", tiny_fill())
    daemon = Daemon()
    for data in [encode_png(good_picture())] * 5 + [encode_png(bad_picture())] * 2 + [b"x"]:
        httpx.post(f"{daemon.url}/v1/score", content=data)
    return daemon


@pytest.mark.system
def test_promtool_has_nothing_to_say(inspected: Daemon) -> None:
    """Names, units and help texts are by the book."""
    with inspected as daemon:
        checked = subprocess.run(
            ["promtool", "check", "metrics"],
            input=httpx.get(f"{daemon.url}/metrics").text,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.system
def test_prometheus_counts_what_was_sent(inspected: Daemon, tmp_path: Path) -> None:
    """A real one scrapes the daemon, and a query gives the number of pictures."""
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(port=inspected.port))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address={address}"]

    def query(text: str) -> dict[str, float]:
        answer = httpx.get(f"http://{address}/api/v1/query", params={"query": text})
        rows = answer.json()["data"]["result"] if answer.status_code == 200 else []
        return {row["metric"].get("verdict", ""): float(row["value"][1]) for row in rows}

    with inspected, subprocess.Popen(command, stderr=subprocess.DEVNULL) as prometheus:
        try:
            until(lambda: query("sum(inspector_inspections_total)") == {"": 8})
            by_verdict = query('sum by (verdict) (inspector_inspections_total{model="tiny"})')
            assert by_verdict == {"pass": 5, "fail": 2, "invalid": 1, "review": 0}
            assert query('up{job="inspector"}') == {"": 1}
        finally:
            prometheus.terminate()
