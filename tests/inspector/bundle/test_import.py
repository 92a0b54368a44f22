"""A model as one file: exported from one store, imported into another."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.bundle.archive import pack
from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.errors import (
    BundleError,
    GoldenMismatchError,
)
from inspector.scoring.detector import verify_bundle
from tests.inspector.bundle.stores import publish, temporaries
from tests.inspector.tiny_bundle import tiny_fill


def export(store: Store, reference: str, output: Path) -> Bundle:
    """Write a model of a store as one file."""
    bundle = Bundle.open(store.resolve(reference))
    pack(bundle, output)
    return bundle


def test_export_and_import(store: Store, tmp_path: Path) -> None:
    """An imported model keeps name, version and digest, and becomes the current model."""
    publish(store, versions=3)
    sent = export(store, "tiles@2", tmp_path / "usb" / "tiles.inspector")
    there = Store(tmp_path / "line-pc")
    received, is_new = there.import_model(tmp_path / "usb" / "tiles.inspector", verify=verify_bundle)
    assert is_new
    assert received.digest == sent.digest
    assert (there.current(), there.promoted("tiles"), there.versions("tiles")) == ("tiles", 2, [2])
    again, is_new = there.import_model(tmp_path / "usb" / "tiles.inspector", verify=verify_bundle)
    assert not is_new
    assert again.digest == sent.digest
    assert there.versions("tiles") == [2]


def test_import_never_replaces_a_version(store: Store, tmp_path: Path) -> None:
    """If another model has its version number, the imported model becomes the next version."""
    publish(store, versions=2)
    other = Store(tmp_path / "other")
    other.publish("tiles", tiny_fill(threshold=99.0))
    export(other, "tiles", tmp_path / "tiles.inspector")
    received, is_new = store.import_model(tmp_path / "tiles.inspector", verify=verify_bundle)
    assert is_new
    assert received.manifest.version == 3
    assert Bundle.open(store.resolve()).calibration.threshold == 99.0
    assert store.import_model(tmp_path / "tiles.inspector", verify=verify_bundle) == (received, False)


def test_import_beside_a_damaged_version(store: Store, tmp_path: Path) -> None:
    """A model whose stored version is damaged is imported again, as the next version."""
    publish(store, versions=2)
    export(store, "tiles@2", tmp_path / "tiles.inspector")
    (store.path("tiles", 1) / "detector.onnx").write_bytes(b"")
    graph = store.path("tiles", 2) / "detector.onnx"
    content = bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.unlink()  # versions may share it
    graph.write_bytes(content)
    received, is_new = store.import_model(tmp_path / "tiles.inspector", verify=verify_bundle)
    assert (is_new, received.manifest.version) == (True, 3)
    assert Bundle.open(store.resolve("tiles")).manifest.version == 3


def test_import_verifies_first(store: Store, tmp_path: Path) -> None:
    """A model that fails verification is not imported, and the error names the file."""
    other = Store(tmp_path / "other")
    publish(other)
    file = tmp_path / "tiles.inspector"
    export(other, "tiles", file)

    def refuse(bundle: Bundle) -> None:
        raise GoldenMismatchError(f"{bundle.path}/golden differs", hint="fit here")

    with pytest.raises(GoldenMismatchError, match=r"tiles\.inspector/golden"):
        store.import_model(file, verify=refuse)
    content = bytearray(file.read_bytes())
    content[content.index(b"<!doctype")] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"tiles\.inspector/report\.html was changed"):
        store.import_model(file, verify=verify_bundle)
    assert store.names() == []
    assert not temporaries(store)
