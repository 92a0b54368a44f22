"""Full disks, read-only disks, and missing permissions."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.bundle import atomic
from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.errors import (
    StorageError,
)
from inspector.scoring.detector import verify_bundle
from tests.conftest import Mount
from tests.inspector.bundle.stores import fill_up, publish, temporaries
from tests.privileges import unprivileged


def test_a_full_disk_keeps_the_old_version(mount: Mount) -> None:
    """Publishing on a full disk raises one line, and the older model still opens."""
    store = Store(mount("size=1m") / "store")
    publish(store)
    fill_up(store.root.parent)
    with pytest.raises(StorageError, match="no space left"):
        publish(store)
    assert store.versions("tiles") == [1]
    assert not temporaries(store)
    Bundle.open(store.resolve())


def test_a_read_only_store_can_be_read(mount: Mount) -> None:
    """On a read-only disk models open, and each writing method raises one line."""
    store = Store(mount("size=1m") / "store")
    publish(store, versions=2)
    mount("ro,size=1m")
    Bundle.open(store.resolve("tiles@1"))
    assert store.names() == ["tiles"]
    for write in (
        lambda: publish(store),
        lambda: store.promote("tiles", 1, verify=verify_bundle),
        lambda: store.remove("tiles"),
    ):
        with pytest.raises(StorageError, match="read-only"):
            write()
    assert store.versions("tiles") == [1, 2]


def test_a_store_of_somebody_else(store: Store) -> None:
    """A process that may not read the store gets one line for each method."""
    publish(store)
    store.root.chmod(0)
    try:
        for read in (store.names, store.resolve, lambda: store.resolve("tiles")):
            with unprivileged(), pytest.raises(StorageError, match=f"not permitted: {store.root}"):
                read()
    finally:
        store.root.chmod(0o755)


def test_a_file_is_copied_between_disks(tmp_path: Path, mount: Mount) -> None:
    """Between two disks a file is copied, because it cannot be linked."""
    disk = mount("size=1m")
    (tmp_path / "a").write_bytes(b"graph")
    atomic.link_or_copy(tmp_path / "a", disk / "b")
    assert (disk / "b").read_bytes() == b"graph"
