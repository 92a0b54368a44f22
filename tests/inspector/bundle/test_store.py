"""The store: publishing, and the model that a reference means."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.bundle import atomic
from inspector.bundle.folder import Bundle
from inspector.bundle.records import Manifest
from inspector.bundle.store import Store
from inspector.errors import (
    ModelNotFoundError,
    NoCurrentModelError,
    StoreError,
)
from tests.inspector.bundle.stores import publish, temporaries
from tests.inspector.tiny_bundle import tiny_fill


@pytest.mark.parametrize("name", ["../x", "current", "UPPER", "", ".tmp-1"])
def test_nothing_is_published_under_a_wrong_name(store: Store, name: str) -> None:
    """A name that `slug` would not return never becomes a folder."""
    with pytest.raises(StoreError):
        store.publish(name, tiny_fill())
    assert not store.root.exists()


def test_an_empty_store_is_no_error(store: Store) -> None:
    """Reading a store that does not exist finds nothing and creates nothing."""
    assert store.names() == []
    assert store.versions("tiles") == []
    assert store.current() is None
    with pytest.raises(NoCurrentModelError) as caught:
        store.resolve()
    assert "inspector fit" in caught.value.hint
    with pytest.raises(ModelNotFoundError, match="'tiles'"):
        store.resolve("tiles")
    assert not store.root.exists()


def test_published_is_promoted_and_current(store: Store) -> None:
    """Each publication is the next version, is promoted, and makes its name the current one."""
    publish(store, "tiles", versions=2)
    publish(store, "gears")
    assert store.names() == ["gears", "tiles"]
    assert store.versions("tiles") == [1, 2]
    assert (store.promoted("tiles"), store.promoted("gears"), store.current()) == (2, 1, "gears")
    opened = Bundle.open(store.resolve("tiles"))
    assert (opened.manifest.name, opened.manifest.version) == ("tiles", 2)
    assert not temporaries(store)


def test_references(store: Store, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None, a name, a version and a path each resolve to a bundle; a name takes precedence over a path."""
    publish(store, "tiles", versions=2)
    versions = store.root / "tiles" / "versions"
    assert store.resolve() == store.resolve("tiles") == store.resolve("tiles@2") == versions / "2"
    assert store.resolve("tiles@1") == versions / "1"
    assert store.resolve(own) == store.resolve(str(own)) == own
    monkeypatch.chdir(own.parent)
    assert store.resolve(own.name) == Path(own.name)
    own.rename("tiles")
    assert store.resolve("tiles") == versions / "2"
    assert store.resolve("./tiles") == Path("tiles")


@pytest.mark.parametrize(
    "reference", ["gears", "tiles@7", "tiles@0", "tiles@x", "./nothing", "@1", "a" * 5000]
)
def test_an_unknown_reference_is_named(store: Store, reference: str) -> None:
    """The error names the reference, and the hint lists the names in the store."""
    publish(store, "tiles", versions=2)
    with pytest.raises(StoreError) as caught:
        store.resolve(reference)
    assert reference.partition("@")[0][:20] in caught.value.message
    if len(reference) < 100:
        assert "tiles" in caught.value.hint or "1, 2" in caught.value.hint


def test_a_data_folder_is_not_a_model(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of pictures with the name of a model is not taken for a model."""
    (tmp_path / "tiles").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError, match="'tiles'"):
        store.resolve("tiles")


def test_parse_knows_names_only(store: Store) -> None:
    """Commands that change a model accept names, but no paths."""
    publish(store)
    assert store.parse("tiles") == ("tiles", None)
    assert store.parse("tiles@1") == ("tiles", 1)
    with pytest.raises(ModelNotFoundError, match="NAME@VERSION"):
        store.parse("./tiles")


def test_a_store_can_be_moved(store: Store, tmp_path: Path) -> None:
    """Pointers are relative, so a moved store works."""
    publish(store, versions=2)
    moved = Store(tmp_path / "elsewhere" / "models")
    moved.root.parent.mkdir()
    store.root.rename(moved.root)
    assert Bundle.open(moved.resolve()).manifest.version == 2


def test_graphs_can_be_shared(store: Store) -> None:
    """A version that shares the graphs of another version opens, also after the other is removed."""
    publish(store)
    first = store.resolve()

    def fill(folder: Path) -> Manifest:
        (folder / "golden").mkdir()
        opened = Bundle.open(first)
        for name in opened.manifest.files:
            atomic.link_or_copy(first / name, folder / name)
        return opened.manifest

    shared = store.publish("tiles", fill)
    assert (shared.path / "detector.onnx").samefile(first / "detector.onnx")
    store.remove("tiles", 1)
    Bundle.open(shared.path)


def test_the_workspace_is_no_model(store: Store) -> None:
    """The folder of an unfinished fit is not listed as a model."""
    store.workspace("tiles").mkdir(parents=True)
    assert store.names() == []
    assert store.current() is None
