"""Metrics, logs, request ids and the API description of a running daemon."""

from __future__ import annotations

import asyncio
import json
import re
import time

import httpx
import numpy as np
import pytest

from inspector.bundle.store import Store
from inspector.daemon.middleware import RequestMiddleware
from inspector.imaging.encode import encode_png
from tests.inspector.daemon.conftest import BAD, GOOD, Start
from tests.inspector.tiny_bundle import COMPONENTS, good_picture, tiny_fill
from tests.serving import Daemon, until
from tests.soak import schema


def test_metrics_count_requests(daemon: Daemon) -> None:
    """Every series exists at 0 from the start; afterwards the numbers are those of the requests."""
    assert daemon.metric('inspector_inspections_total{model="tiny",verdict="fail"}') == 0
    assert daemon.metric('inspector_last_inspection_timestamp_seconds{model="tiny"}') == 0
    for component in COMPONENTS:
        series = f'inspector_component_score_count{{component="{component}",model="tiny"}}'
        assert daemon.metric(series) == 0
    before = time.time()
    for data in (GOOD, BAD, BAD, b"no picture"):
        httpx.post(f"{daemon.url}/v1/score", content=data)
    for verdict, count in (("pass", 1), ("fail", 2), ("invalid", 1), ("review", 0)):
        assert daemon.metric(f'inspector_inspections_total{{model="tiny",verdict="{verdict}"}}') == count
    assert daemon.metric('inspector_invalid_images_total{reason="unknown_format"}') == 1
    assert daemon.metric('inspector_stage_seconds_count{stage="infer"}') == 3
    assert daemon.metric('inspector_stage_seconds_count{stage="queue"}') == 4
    assert daemon.metric('inspector_score_count{model="tiny"}') == 3
    assert daemon.metric('inspector_component_score_count{component="head",model="tiny"}') == 3
    assert daemon.metric('inspector_threshold{model="tiny"}') == 20
    assert daemon.metric('inspector_promised_false_reject_rate{model="tiny"}') == 0.05
    last = daemon.metric('inspector_last_inspection_timestamp_seconds{model="tiny"}')
    assert before <= last <= time.time()
    assert daemon.metric("inspector_queue_depth") == 0


def test_gauges_are_of_the_promoted_version(store: Store, start: Start) -> None:
    """Scoring with an older version changes no gauge, and a removed model leaves no gauge."""
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


def test_unexpected_errors_are_counted() -> None:
    """The client gets a problem with the request id; the answer and the error are counted."""
    counted: list[object] = []

    async def broken(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async def ask() -> httpx.Response:
        application = RequestMiddleware(
            broken, count=lambda *seen: counted.append(seen), failed=lambda: counted.append("failed")
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url="http://x"
        ) as client:
            return await client.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["x-request-id"]
    assert counted == ["failed", ("unknown", 500)]


def test_drift_is_tested(store: Store, start: Start) -> None:
    """Sixty pictures like the normals keep the p-value high; as many bright ones bring it down."""
    store.publish("tiny", tiny_fill())
    daemon = start(constants={"inspector.daemon.drift_monitor.INTERVAL_SECONDS": 0.5})
    with httpx.Client(base_url=daemon.url, timeout=30) as client:
        for seed in range(60):
            client.post("/v1/score", content=encode_png(good_picture(300 + seed)))
        until(lambda: daemon.metric('inspector_drift_p_value{model="tiny"}') < 1)
        assert daemon.metric('inspector_drift_p_value{model="tiny"}') > 0.01
        for seed in range(140):
            bright = np.clip(good_picture(seed).astype(int) + 30, 0, 255).astype(np.uint8)
            client.post("/v1/score", content=encode_png(bright))
    until(lambda: daemon.metric('inspector_drift_p_value{model="tiny"}') < 0.01)
    assert any(line["event"] == "drift" for line in daemon.lines)


def test_request_ids_and_security_headers(shared_daemon: Daemon) -> None:
    """A valid request id comes back and is logged, another is replaced; every answer has security headers."""
    given = httpx.get(f"{shared_daemon.url}/v1/models", headers={"X-Request-Id": "line-7.part-12"})
    assert given.headers["x-request-id"] == "line-7.part-12"
    strange = httpx.get(f"{shared_daemon.url}/v1/models", headers={"X-Request-Id": "a b\tc"})
    assert len(strange.headers["x-request-id"]) == 32
    for answer in (given, httpx.get(f"{shared_daemon.url}/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    until(lambda: any(line.get("request_id") == "line-7.part-12" for line in shared_daemon.lines))


def test_the_api_description(shared_daemon: Daemon) -> None:
    """OpenAPI lists the routes; the page shows them without scripts and without other servers."""
    description = httpx.get(f"{shared_daemon.url}/openapi.json").json()
    assert {"/v1/score", "/v1/score/batch", "/v1/models", "/livez", "/readyz"} <= description["paths"].keys()
    page = httpx.get(f"{shared_daemon.url}/docs").text
    assert "/v1/score/batch" in page
    assert "<script" not in page
    assert "src=" not in page


def test_the_description_is_true(shared_daemon: Daemon) -> None:
    """Errors are problems only, and 422 is listed only where it occurs; headers are described."""
    description = httpx.get(f"{shared_daemon.url}/openapi.json").json()
    unprocessable = set()
    for path, methods in description["paths"].items():
        for operation in methods.values():
            for status, reply in operation["responses"].items():
                assert reply["description"] != "Successful Response"
                if status >= "400":
                    assert list(reply["content"]) == ["application/problem+json"]
            unprocessable |= {path} if "422" in operation["responses"] else set()
    assert unprocessable == {"/v1/score", "/v1/inspections/{number}/judgement"}
    score = description["paths"]["/v1/score"]["post"]["responses"]
    assert "X-Inspection-Id" in score["200"]["headers"]
    assert "Retry-After" in score["503"]["headers"]
    assert "HTTPValidationError" not in json.dumps(description)
    assert "8080" not in json.dumps(description)


@pytest.mark.parametrize("host", ["line-7.example", "127.0.0.1:9123", "[::1]:80", ""])
def test_the_docs_name_the_daemon_that_was_asked(shared_daemon: Daemon, host: str) -> None:
    """The examples of the page have the address of the request; texts are shown without their markup."""
    page = httpx.get(f"{shared_daemon.url}/docs", headers={"Host": host}).text
    address = f"http://{host or f'127.0.0.1:{shared_daemon.port}'}"
    assert set(re.findall(r"http://[^/ ]+", page)) == {address}
    assert page.count(f"{address}/v1/score") == 3
    assert "`" not in page
    assert "<code>X-Inspection-Id</code>" in page


def test_generated_requests_are_answered_as_described() -> None:
    """A hundred generated requests, as `make fuzz` sends by the thousand, get the described answers."""
    schema.verify(100, 0)
