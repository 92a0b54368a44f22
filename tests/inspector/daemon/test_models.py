"""The daemon follows the store: promoted, broken, repaired and removed models."""

from __future__ import annotations

import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from inspector.bundle.store import Store
from inspector.scoring.detector import verify_bundle
from inspector.scoring.registry import ModelRegistry
from inspector.settings import Settings
from tests.inspector.daemon.conftest import GOOD, Start
from tests.inspector.tiny_bundle import tiny_bundle, tiny_fill
from tests.serving import Daemon, until


def latest_version(answers: list[httpx.Response]) -> int | None:
    """The version that gave the latest answer."""
    return int(answers[-1].json()["model"]["version"]) if answers else None


def test_a_promotion_fails_no_request(daemon: Daemon, store: Store) -> None:
    """No request fails during a promotion; each answer has the threshold of the version that it names."""
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
            until(lambda: latest_version(answers) == 1)
            for version in (2, 3, 4):
                store.publish("tiny", tiny_fill(threshold=20.0 + version))
                until(lambda wanted=version: latest_version(answers) == wanted, 5)  # type: ignore[misc]
        finally:
            stop.set()
        for done in sending:
            done.result()
    assert {answer.status_code for answer in answers} == {200}
    found = {(answer.json()["model"]["version"], answer.json()["threshold"]) for answer in answers}
    assert found == {(1, 20.0), (2, 22.0), (3, 23.0), (4, 24.0)}
    assert daemon.metric('inspector_model_reloads_total{result="ok"}') == 4


def test_another_name_changes_nothing(daemon: Daemon, store: Store) -> None:
    """The daemon stays with the name that was current at its start; other names answer if they are named."""
    url = f"{daemon.url}/v1/score"
    store.publish("other", tiny_fill(threshold=30.0))
    store.publish("tiny", tiny_fill(threshold=40.0))
    until(lambda: httpx.post(url, content=GOOD).json()["threshold"] == 40.0)
    store.promote("other", verify=verify_bundle)
    assert httpx.post(url, params={"model": "other"}, content=GOOD).json()["model"]["name"] == "other"
    assert daemon.metric("inspector_ready") == 1
    store.remove("tiny", force=True)
    until(lambda: httpx.get(f"{daemon.url}/readyz").status_code == 503)
    assert daemon.metric("inspector_ready") == 0  # although another model is open
    problem = httpx.post(url, content=GOOD)
    assert (problem.status_code, problem.json()["hint"]) == (
        503,
        "fit, import or promote tiny, or start again with another --model",
    )
    store.publish("tiny", tiny_fill(threshold=50.0))
    until(lambda: httpx.post(url, content=GOOD).status_code == 200)
    answer = httpx.post(url, content=GOOD).json()
    assert (answer["model"]["name"], answer["threshold"]) == ("tiny", 50.0)


def test_an_empty_store(store: Store, start: Start) -> None:
    """A daemon that starts with an empty store takes the first name that becomes current, for good."""
    daemon = start(ready=False)
    until(lambda: httpx.get(f"{daemon.url}/readyz").status_code == 503)
    store.publish("tiny", tiny_fill())
    until(daemon.is_ready)
    store.publish("other", tiny_fill())
    store.publish("tiny", tiny_fill())
    until(lambda: len(daemon.events("model opened")) == 2)
    assert {line["model"] for line in daemon.events("model opened")} == {"tiny"}


def test_a_ready_daemon_needs_the_store_no_more(daemon: Daemon, store: Store) -> None:
    """A store that goes away before the first picture holds up no verdict."""
    store.root.rename(store.root.with_name("away"))
    try:
        answer = httpx.post(f"{daemon.url}/v1/score", content=GOOD)
    finally:
        store.root.with_name("away").rename(store.root)
    assert (answer.status_code, answer.json()["verdict"]) == (200, "pass")


def test_a_broken_model_is_refused_once(daemon: Daemon, store: Store) -> None:
    """The refusal is logged and counted once, and the previous version stays in use."""
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
    """A refused model that is removed and published again under the same number is opened."""
    broken = store.publish("tiny", tiny_fill())
    (broken.path / "detector.onnx").write_bytes(b"broken")
    daemon = start(ready=False)
    until(lambda: bool(daemon.events("model refused")))
    assert httpx.get(f"{daemon.url}/readyz").status_code == 503
    store.remove("tiny", force=True)
    store.publish("tiny", tiny_fill())
    until(daemon.is_ready)


def test_a_model_that_is_repaired_in_place_is_opened(daemon: Daemon, store: Store) -> None:
    """The opened model stays in use while its file is damaged, and is opened again once the file is whole."""
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


def test_several_models_share_the_memory(store: Store, start: Start) -> None:
    """Other models are opened on demand; the least recently used one is closed."""
    for name in ("a", "b", "c"):
        store.publish(name, tiny_fill())
    daemon = start("--model", "a", "--max-model-bytes", "1")
    for name in ("b", "c"):
        assert httpx.post(f"{daemon.url}/v1/score?model={name}", content=GOOD).json()["model"]["name"] == name
    held = httpx.get(f"{daemon.url}/v1/models").json()
    assert [(row["model"]["name"], row["default"]) for row in held] == [("a", True), ("c", False)]
    assert httpx.get(f"{daemon.url}/v1/models/b@1").json()["model"]["version"] == 1
    assert httpx.get(f"{daemon.url}/v1/models/x").status_code == 404


def test_a_bundle_outside_the_store_is_served(store: Store, start: Start, tmp_path: Path) -> None:
    """A bundle given by its path is also served under its own name."""
    bundle = tiny_bundle(tmp_path / "bundle")
    daemon = start("--model", bundle.path)
    for name in ("tiny", "tiny@1"):
        answer = httpx.post(f"{daemon.url}/v1/score?model={name}", content=GOOD)
        assert answer.json()["model"]["digest"] == bundle.digest
        assert httpx.get(f"{daemon.url}/v1/models/{name}/card").status_code == 200
    number = answer.headers["x-inspection-id"]
    assert httpx.get(f"{daemon.url}/v1/inspections/{number}/views/reconstruction").status_code == 200
    assert httpx.get(f"{daemon.url}/v1/models/tiny@2").status_code == 404


def test_a_removed_model(store: Store, start: Start) -> None:
    """The name of a removed model is 404; without the default model the daemon is not ready."""
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


def test_a_newer_store_is_copied_over_a_live_one(daemon: Daemon, store: Store, tmp_path: Path) -> None:
    """A version that is promoted before it is whole is refused once; the opened one answers until then."""
    newer = Store(tmp_path / "newer")
    newer.publish("tiny", tiny_fill())
    whole = newer.publish("tiny", tiny_fill(threshold=40.0)).path
    versions = store.resolve("tiny").parent
    url = f"{daemon.url}/v1/score"
    (versions.parent / "promoted").write_text("2\n")
    until(lambda: bool(daemon.events("model refused")))
    for file in sorted(whole.rglob("*")):
        assert httpx.post(url, content=GOOD).json()["threshold"] == 20
        target = versions / "2" / file.relative_to(whole)
        if file.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(file, target)
    until(lambda: httpx.post(url, content=GOOD).json()["threshold"] == 40)
    assert httpx.get(f"{daemon.url}/readyz").status_code == 200
    (line,) = daemon.events("model refused")
    assert line["reason"] == "model 'tiny' has no version 2"
    assert daemon.metric('inspector_model_reloads_total{result="failed"}') == 1
    assert not daemon.events("model removed")


def test_a_pointer_to_nothing_is_refused_once(daemon: Daemon, store: Store) -> None:
    """The opened version stays in use, until its own files are gone."""
    url = f"{daemon.url}/v1/score"
    pointer = store.root / "tiny" / "promoted"
    pointer.write_text("99\n")
    until(lambda: len(daemon.events("model refused")) == 1)
    pointer.write_text("98\n")
    until(lambda: len(daemon.events("model refused")) == 2)
    assert httpx.post(url, content=GOOD).status_code == 200
    assert daemon.metric("inspector_ready") == 1
    store.remove("tiny", force=True)
    until(lambda: httpx.post(url, content=GOOD).status_code == 503)
    assert len(daemon.events("model removed")) == 1


def test_a_hard_link_is_no_change(store: Store, tmp_path: Path) -> None:
    """A second name for a file of an opened model, as `calibrate` makes one, does not open it again."""
    bundle = store.publish("tiny", tiny_fill())
    outcomes: list[str] = []
    registry = ModelRegistry(
        Settings(store=store.root), listener=lambda outcome, _detector, _error: outcomes.append(outcome)
    )
    registry.refresh()
    for file in bundle.path.glob("*.*"):
        os.link(file, tmp_path / file.name)
    for _ in range(3):
        registry.refresh()
    assert outcomes == ["ok"]


def test_the_log_tells_why_there_is_no_model(store: Store, start: Start) -> None:
    """One line when there begins to be no model, one for each new reason, one when there is a model."""
    daemon = start("--model", "tiny", ready=False)
    until(lambda: len(daemon.events("no model")) == 1)
    store.publish("tiny", tiny_fill(threshold=40.0))
    until(daemon.is_ready)
    until(lambda: len(daemon.events("model available")) == 1)
    store.remove("tiny", force=True)
    until(lambda: len(daemon.events("no model")) == 2)
    line = daemon.events("no model")[-1]
    assert (line["level"], line["code"]) == ("warning", "model_not_found")
    assert line["reason"] == f"no model 'tiny' in {store.root}"
    assert line["hint"] == "fit, import or promote tiny, or start again with another --model"


def test_the_log_tells_that_the_store_is_a_file(store: Store, start: Start) -> None:
    """A store that cannot be read is the reason."""
    store.root.parent.mkdir(parents=True, exist_ok=True)
    store.root.write_text("no folder")
    daemon = start(ready=False)
    until(lambda: bool(daemon.events("no model")))
    (line,) = daemon.events("no model")
    assert str(store.root) in line["reason"]
    assert line["hint"]
