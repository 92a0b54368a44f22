"""The model store: versions, pointers, locks, and what happens when a writer dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

from inspector.bundle import atomic
from inspector.bundle.folder import Bundle
from inspector.bundle.records import Manifest
from inspector.bundle.store import Store, slug
from inspector.errors import (
    BundleError,
    DigestMismatchError,
    GoldenMismatchError,
    ModelNotFoundError,
    NoCurrentModelError,
    StorageError,
    StoreBusyError,
    StoreError,
    UsageError,
)
from inspector.scoring.detector import verify_bundle
from tests.conftest import Mount
from tests.inspector.tiny_bundle import tiny_fill
from tests.privileges import unprivileged

ROOT = Path(__file__).parents[3]


def publish(store: Store, name: str = "tiles", versions: int = 1) -> None:
    """Publish versions 1, 2, … that differ in their thresholds."""
    for version in range(1, versions + 1):
        store.publish(name, tiny_fill(threshold=10.0 * version))


def process(code: str, store: Store) -> subprocess.Popen[str]:
    """Start another Python that has `store` and `tiny_fill` at hand."""
    head = f"""
        import sys, time
        from pathlib import Path
        from inspector.bundle.store import Store
        from tests.inspector.tiny_bundle import tiny_fill
        store = Store(Path({str(store.root)!r}))
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def fill_up(disk: Path) -> None:
    """Leave no space on a disk."""
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


def temporaries(store: Store) -> list[Path]:
    """What writers have left."""
    return list(store.root.rglob(f"{atomic.TEMPORARY}*"))


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiles", "tiles"),
        ("Gear Wheels", "gear-wheels"),
        ("Größe_2.1", "groe_2.1"),
        ("..hidden..", "hidden"),
        ("a" * 100, "a" * 64),
        ("a/b\\c\nd", "a-b-c-d"),
    ],
)
def test_any_name_becomes_one_that_the_store_takes(name: str, expected: str) -> None:
    """A folder's name is turned into plain letters, and turning it twice changes nothing."""
    assert slug(name) == expected
    assert slug(slug(name)) == slug(name)


@pytest.mark.parametrize("name", ["", "...", "日本", "current", "CURRENT"])
def test_a_name_without_letters_is_refused(name: str) -> None:
    """Where nothing is left, or the store uses the name itself, another one is asked for."""
    with pytest.raises(UsageError, match="cannot name a model"):
        slug(name)


@pytest.mark.parametrize("name", ["../x", "current", "UPPER", "", ".tmp-1"])
def test_nothing_is_published_under_a_wrong_name(store: Store, name: str) -> None:
    """A name that `slug` would not return never becomes a folder."""
    with pytest.raises(StoreError):
        store.publish(name, tiny_fill())
    assert not store.root.exists()


# --- publishing and finding -----------------------------------------------------------------


def test_an_empty_store_is_no_error(store: Store) -> None:
    """Reading a store that does not exist finds nothing and makes nothing."""
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
    """Nothing, a name, a version and a path each lead to a bundle; a name in the store goes first."""
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
def test_what_is_not_there_is_named_with_what_is(store: Store, reference: str) -> None:
    """The error names the reference, and the hint what there is."""
    publish(store, "tiles", versions=2)
    with pytest.raises(StoreError) as caught:
        store.resolve(reference)
    assert reference.partition("@")[0][:20] in caught.value.message
    if len(reference) < 100:
        assert "tiles" in caught.value.hint or "1, 2" in caught.value.hint


def test_a_data_folder_is_not_a_model(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of pictures that has the name asked for is not mistaken for a model."""
    (tmp_path / "tiles").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError, match="'tiles'"):
        store.resolve("tiles")


def test_parse_knows_names_only(store: Store) -> None:
    """Commands that change a model take names, and not paths."""
    publish(store)
    assert store.parse("tiles") == ("tiles", None)
    assert store.parse("tiles@1") == ("tiles", 1)
    with pytest.raises(ModelNotFoundError, match="NAME@VERSION"):
        store.parse("./tiles")


def test_a_store_can_be_moved(store: Store, tmp_path: Path) -> None:
    """Pointers are relative, so the store works at another place."""
    publish(store, versions=2)
    moved = Store(tmp_path / "elsewhere" / "models")
    moved.root.parent.mkdir()
    store.root.rename(moved.root)
    assert Bundle.open(moved.resolve()).manifest.version == 2


def test_graphs_can_be_shared(store: Store) -> None:
    """A version that links the graphs of another one opens, and outlives it."""
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


def test_what_cannot_be_linked_is_copied(tmp_path: Path, mount: Mount) -> None:
    """Between two disks a file is copied, since it cannot be shared."""
    disk = mount("size=1m")
    (tmp_path / "a").write_bytes(b"graph")
    atomic.link_or_copy(tmp_path / "a", disk / "b")
    assert (disk / "b").read_bytes() == b"graph"


def test_the_workspace_is_no_model(store: Store) -> None:
    """A fit that is going on has a folder, and is not listed."""
    store.workspace("tiles").mkdir(parents=True)
    assert store.names() == []
    assert store.current() is None


# --- promote, roll back, remove -------------------------------------------------------------


def test_promote_and_roll_back(store: Store) -> None:
    """An older version can be promoted, which makes its name current; rolling back goes one down."""
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
    """A version whose golden images do not come out, or with a changed byte, is not promoted."""
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
    """The promoted version stays unless forced; then the next lower one takes its place."""
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
    """Its checkpoint would go, too; one version of several may go meanwhile."""
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
    """Without a current model, the hint names those that are left; a new fit starts at version 1."""
    publish(store, "tiles", versions=2)
    publish(store, "gears")
    assert store.remove("gears") == [1]
    with pytest.raises(NoCurrentModelError) as caught:
        store.resolve()
    assert "tiles" in caught.value.hint
    publish(store, "gears")
    assert store.promoted("gears") == 1


def test_a_lost_pointer_means_the_newest(store: Store) -> None:
    """A writer that dies between the bundle and its pointer leaves a model that can be used."""
    publish(store, versions=2)
    (store.root / "tiles" / "promoted").unlink()
    assert store.promoted("tiles") == 2


# --- many writers, dying writers ------------------------------------------------------------


def test_two_processes_publish_at_once(store: Store) -> None:
    """Versions published at the same time by several processes are all there, each complete."""
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


def test_a_busy_store_is_one_line(store: Store) -> None:
    """While another process writes, readers go on and a writer is told after its time."""
    publish(store)
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
            store.publish("tiles", tiny_fill(), lock_seconds=0.1)
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


def test_what_a_killed_writer_left_is_cleaned(store: Store) -> None:
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


# --- disks ----------------------------------------------------------------------------------


def test_a_full_disk_keeps_the_old_version(mount: Mount) -> None:
    """Publishing on a full disk raises one line, and the model that was there still opens."""
    store = Store(mount("size=1m") / "store")
    publish(store)
    fill_up(store.root.parent)
    with pytest.raises(StorageError, match="no space left"):
        publish(store)
    assert store.versions("tiles") == [1]
    assert not temporaries(store)
    Bundle.open(store.resolve())


def test_a_read_only_store_can_be_read(mount: Mount) -> None:
    """Where nothing can be written, models open; each writing method raises one line."""
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
    """An unprivileged process that may not read the store is told so in one line, whatever it asks."""
    publish(store)
    store.root.chmod(0)
    try:
        for read in (store.names, store.resolve, lambda: store.resolve("tiles")):
            with unprivileged(), pytest.raises(StorageError, match=f"not permitted: {store.root}"):
                read()
    finally:
        store.root.chmod(0o755)


# --- one model as one file ------------------------------------------------------------------


def test_export_and_import(store: Store, tmp_path: Path) -> None:
    """A model that travels keeps name, version and digest, and becomes current where it arrives."""
    publish(store, versions=3)
    sent = store.export_model("tiles@2", tmp_path / "usb" / "tiles.inspector")
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
    """Where the number is taken by another model, the imported one becomes the next version."""
    publish(store, versions=2)
    other = Store(tmp_path / "other")
    other.publish("tiles", tiny_fill(threshold=99.0))
    other.export_model("tiles", tmp_path / "tiles.inspector")
    received, is_new = store.import_model(tmp_path / "tiles.inspector", verify=verify_bundle)
    assert is_new
    assert received.manifest.version == 3
    assert Bundle.open(store.resolve()).calibration.threshold == 99.0
    assert store.import_model(tmp_path / "tiles.inspector", verify=verify_bundle) == (received, False)


def test_import_beside_a_damaged_version(store: Store, tmp_path: Path) -> None:
    """It is brought once more, as the next version; damage to another one does not keep it out."""
    publish(store, versions=2)
    store.export_model("tiles@2", tmp_path / "tiles.inspector")
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
    """A model that this computer cannot reproduce is not imported, and the error names the file."""
    other = Store(tmp_path / "other")
    publish(other)
    file = tmp_path / "tiles.inspector"
    other.export_model("tiles", file)

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
