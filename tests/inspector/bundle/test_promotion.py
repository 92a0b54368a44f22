"""Promoting, rolling back and removing versions."""

from __future__ import annotations

import pytest
from filelock import FileLock

from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.errors import (
    DigestMismatchError,
    GoldenMismatchError,
    ModelNotFoundError,
    NoCurrentModelError,
    StoreBusyError,
    StoreError,
)
from inspector.scoring.detector import verify_bundle
from tests.inspector.bundle.stores import publish


def test_promote_and_roll_back(store: Store) -> None:
    """Promoting an older version makes its name current; rolling back promotes the version before."""
    publish(store, "tiles", versions=3)
    publish(store, "gears")
    assert store.promote("tiles", 2, verify=verify_bundle).manifest.version == 2
    assert (store.promoted("tiles"), store.current()) == (2, "tiles")
    assert store.rollback("tiles", verify=verify_bundle).manifest.version == 1
    assert store.promoted("tiles") == 1
    with pytest.raises(StoreError, match="no version before 1"):
        store.rollback("tiles", verify=verify_bundle)
    assert store.promoted("tiles") == 1
    with pytest.raises(ModelNotFoundError, match="no version 4"):
        store.promote("tiles", 4, verify=verify_bundle)


def test_promote_verifies_first(store: Store) -> None:
    """A version that does not reproduce its golden images, or has a changed byte, is not promoted."""
    publish(store, versions=2)

    def refuse(bundle: Bundle) -> None:
        raise GoldenMismatchError(f"{bundle.path} differs")

    with pytest.raises(GoldenMismatchError):
        store.promote("tiles", 1, verify=refuse)
    graph = store.path("tiles", 1) / "encoder.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatchError):
        store.promote("tiles", 1, verify=verify_bundle)
    assert store.promoted("tiles") == 2


def test_remove_keeps_what_counts(store: Store) -> None:
    """The promoted version is removed only by force; then the next lower version is promoted."""
    publish(store, versions=3)
    store.promote("tiles", 2, verify=verify_bundle)
    with pytest.raises(StoreError, match="promoted"):
        store.remove("tiles", 2)
    assert store.versions("tiles") == [1, 2, 3]
    assert store.remove("tiles", 2, force=True) == [2]
    assert (store.versions("tiles"), store.promoted("tiles")) == ([1, 3], 1)
    assert store.remove("tiles", 1, force=True) == [1]
    assert store.promoted("tiles") == 3
    assert store.remove("tiles", 3) == [3]
    assert (store.names(), store.current()) == ([], None)
    assert not (store.root / "tiles").exists()
    with pytest.raises(ModelNotFoundError):
        store.remove("tiles")


def test_a_name_that_is_fitted_goes_only_after_the_fit(store: Store) -> None:
    """A name is not removed during a fit, because its checkpoint would be lost; a single version may be."""
    publish(store, versions=2)
    work = store.workspace("tiles")
    work.mkdir()
    with FileLock(work / "lock"):
        assert store.remove("tiles", 1) == [1]
        with pytest.raises(StoreBusyError, match="the unfinished fit of 'tiles'"):
            store.remove("tiles")
        assert work.is_dir()
    assert store.remove("tiles") == [2]
    assert not work.exists()


def test_removing_the_current_model_asks_for_another(store: Store) -> None:
    """Without a current model, the hint names the models that are left; a new fit starts at version 1."""
    publish(store, "tiles", versions=2)
    publish(store, "gears")
    assert store.remove("gears") == [1]
    with pytest.raises(NoCurrentModelError) as caught:
        store.resolve()
    assert "tiles" in caught.value.hint
    publish(store, "gears")
    assert store.promoted("gears") == 1


def test_a_lost_pointer_means_the_newest(store: Store) -> None:
    """A writer that is killed between bundle and pointer leaves a usable model."""
    publish(store, versions=2)
    (store.root / "tiles" / "promoted").unlink()
    assert store.promoted("tiles") == 2
