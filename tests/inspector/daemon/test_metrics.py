"""The daemon's metrics, as Debian's Prometheus reads them."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from inspector.bundle.folder import write_bundle
from inspector.bundle.store import Store
from inspector.daemon.metrics import DEPRECATED, Metrics
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import Detector
from tests.inspector.image_samples import write_twelve_bits
from tests.inspector.tiny_bundle import (
    COMPONENTS,
    TWELVE_BITS,
    bad_picture,
    good_picture,
    tiny_bundle,
    tiny_fill,
)
from tests.serving import Daemon, until

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: inspector
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by their label values."""
    families = metrics.registry.collect()
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return {tuple(sample.labels.values()): sample.value for sample in samples}


def renamed(detector: Detector, old: str, new: str) -> Detector:
    """The same model with another digest and another name of a component."""
    columns = tuple(
        column.model_copy(update={"component": new}) if column.component == old else column
        for column in detector.manifest.columns
    )
    manifest = detector.manifest.model_copy(update={"columns": columns, "version": 2})
    return Detector(replace(detector.bundle, manifest=manifest, digest="sha256:2"))


def test_every_component_of_a_model_has_its_series(tmp_path: Path) -> None:
    """The manifest names the components: at 0 from the start, each counted, gone with the model."""
    metrics = Metrics(queue_depth=lambda: 0, ready=lambda: True)
    detector = Detector(tiny_bundle(tmp_path / "tiny"))
    assert values(metrics, "inspector_component_score_count") == {}
    metrics.set_models([detector], {"tiny": detector}, has=lambda _name: True)
    expected = {("tiny", component): 0.0 for component in COMPONENTS}
    assert values(metrics, "inspector_component_score_count") == expected

    inspection = detector.score(encode_png(good_picture(7)))
    metrics.count(inspection, 0.0)
    assert values(metrics, "inspector_component_score_count") == dict.fromkeys(expected, 1.0)
    buckets = values(metrics, "inspector_component_score_bucket")
    assert inspection.components is not None
    for component, score in inspection.components.items():
        below = [float(le) for _, name, le in buckets if name == component and float(le) >= score]
        counted = [float(le) for (_, name, le), count in buckets.items() if name == component and count == 1]
        assert sorted(counted) == sorted(below)
    for component, series in DEPRECATED.items():
        assert values(metrics, f"{series}_count") == {("tiny",): 1}
        assert values(metrics, f"{series}_bucket") == {
            ("tiny", le): count for (_, name, le), count in buckets.items() if name == component
        }

    metrics.set_models([], {}, has=lambda _name: False)
    assert values(metrics, "inspector_component_score_count") == {}


def test_clipped_pictures_are_counted(tmp_path: Path) -> None:
    """The counter starts at 0, and counts pictures with samples beyond the model's full scale."""
    metrics = Metrics(queue_depth=lambda: 0, ready=lambda: True)
    detector = Detector(write_bundle(tmp_path / "tiny", tiny_fill(contract=TWELVE_BITS)))
    metrics.set_models([detector], {"tiny": detector}, has=lambda _name: True)
    assert values(metrics, "inspector_clipped_images_total") == {("tiny",): 0}
    for brighter in (0, 1, 7):
        path = write_twelve_bits(tmp_path / "part.png", good_picture(7), brighter)
        metrics.count(detector.score(path), 0.0)
    assert values(metrics, "inspector_clipped_images_total") == {("tiny",): 2}


def test_a_new_version_with_other_components(tmp_path: Path) -> None:
    """A component that the promoted version no longer has loses its series, a new one starts at 0."""
    metrics = Metrics(queue_depth=lambda: 0, ready=lambda: True)
    first = Detector(tiny_bundle(tmp_path / "tiny"))
    for detector in (first, renamed(first, "head", "novelty")):
        metrics.set_models([detector], {"tiny": detector}, has=lambda _name: True)
    found = {component for _, component in values(metrics, "inspector_component_score_count")}
    assert found == {*COMPONENTS, "novelty"} - {"head"}


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
