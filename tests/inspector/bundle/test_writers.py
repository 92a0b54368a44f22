"""Writers at the same time, and writers that are killed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from inspector.bundle import atomic
from inspector.bundle import store as stores_module
from inspector.bundle.folder import Bundle
from inspector.bundle.records import Manifest
from inspector.bundle.store import Store
from inspector.errors import (
    StoreBusyError,
)
from tests.inspector.bundle.stores import process, publish, temporaries
from tests.inspector.tiny_bundle import tiny_fill


def test_two_processes_publish_at_once(store: Store) -> None:
    """Versions that two processes publish at the same time are all complete."""
    code = "for _ in range(3): print(store.publish('tiles', tiny_fill()).manifest.version)"
    writers = [process(code, store) for _ in range(2)]
    said = [writer.communicate(timeout=60) for writer in writers]
    numbers = sorted(int(line) for out, _ in said for line in out.split())
    assert numbers == [1, 2, 3, 4, 5, 6], said
    assert store.versions("tiles") == numbers
    assert store.promoted("tiles") == 6
    for version in numbers:
        assert Bundle.open(store.path("tiles", version)).manifest.version == version
    assert not temporaries(store)


def test_a_busy_store_is_one_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process writes, readers continue, and a second writer gets an error after a timeout."""
    publish(store)
    monkeypatch.setattr(stores_module, "PUBLISH_LOCK_SECONDS", 0.1)
    hold = """
        def fill(folder):
            print("filling", flush=True)
            time.sleep(60)
        store.publish("tiles", fill)
    """
    writer = process(hold, store)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "filling\n"
        with pytest.raises(StoreBusyError, match="another process"):
            store.publish("tiles", tiny_fill())
        monkeypatch.undo()
        assert Bundle.open(store.resolve()).manifest.version == 1
    finally:
        writer.kill()
        writer.communicate()
    publish(store)
    assert store.versions("tiles") == [1, 2]


@pytest.mark.parametrize("milliseconds", [0, 20, 45, 70, 100, 150])
def test_a_killed_writer_leaves_no_half_model(store: Store, milliseconds: int) -> None:
    """SIGKILL while publishing: the store opens, its model is whole, and the next writer cleans up."""
    publish(store)
    code = """
        print("ready", flush=True)
        while True:
            store.publish("tiles", tiny_fill())
    """
    writer = process(code, store)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(milliseconds / 1e3)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    for version in store.versions("tiles"):
        Bundle.open(store.path("tiles", version))
    Bundle.open(store.resolve())
    publish(store)
    assert not temporaries(store)
    assert store.promoted("tiles") == store.versions("tiles")[-1]


def test_files_of_a_killed_writer_are_removed(store: Store) -> None:
    """A temporary folder, or half a pointer, of a dead writer is gone after the next publication."""
    code = """
        import os, signal
        def fill(folder):
            tiny_fill()(folder)
            os.kill(os.getpid(), signal.SIGKILL)
        store.publish("tiles", fill)
    """
    writer = process(code, store)
    writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    (store.root / "tiles" / f"{atomic.TEMPORARY}pointer").write_text("1")
    assert temporaries(store)
    assert store.names() == []
    publish(store)
    assert not temporaries(store)
    assert store.versions("tiles") == [1]


def test_an_interrupted_fill_leaves_nothing(store: Store) -> None:
    """Ctrl-C in the middle keeps the version that was promoted, and nothing else."""
    publish(store)

    def fill(folder: Path) -> Manifest:
        tiny_fill()(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.publish("tiles", fill)
    assert store.versions("tiles") == [1]
    assert not temporaries(store)
