"""On full and read-only disks every verb that writes ends with 6, and earlier files stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inspector.demo.dataset import write_dataset
from tests.conftest import Mount
from tests.journey.program import FIT, PROGRAM, Fitted, Run, complaint, listing, run


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten good pictures."""
    folder = tmp_path_factory.mktemp("few") / "d"
    write_dataset(folder, train=10, good=0, per_kind=0, size=96)
    return folder / "train" / "good"


@pytest.mark.parametrize(
    ("kilobytes", "where"),
    [(40, "the first picture"), (400, "the checkpoint"), (10_000, "the bundle")],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_fit_on_a_full_disk(kilobytes: int, where: str, few: Path, mount: Mount) -> None:
    """Wherever space runs out, no model is left, whole or half."""
    disk = mount(f"size={kilobytes}k")
    words = ("fit", few, "--name", "x", *FIT)
    # In a process of its own, because a disk cannot be unmounted before all that is mapped from it is freed.
    message, hint = complaint(run(*words, store=disk / "store", program=PROGRAM, code=6))
    assert "space" in message
    assert "INSPECTOR_STORE" in hint
    left = listing(disk)
    assert not {name for name in left if "versions/" in name or ".tmp" in name}, (where, left)
    assert "store/current" not in left


def unchanged(disk: Path, *words: str | Path) -> Run:
    """Run a command that fails on the store of a disk, and check that the store stays as it was."""
    store = disk / "store"
    before = listing(store)
    ended = run(*words, store=store, code=6)
    assert listing(store) == before
    return ended


def test_a_full_store_keeps_its_model(fitted: Fitted, mount: Mount) -> None:
    """Calibrate and export fail on a full disk; the model there still scores."""
    disk = mount("size=64m")
    shutil.copytree(fitted.store, disk / "store")
    with (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            try:
                filler.write(bytes(65_536))
            except OSError:
                break
    writing: list[list[str | Path]] = [
        ["calibrate", fitted.test / "good"],
        ["models", "export", "flange", "--output", disk / "x.inspector"],
    ]
    for words in writing:
        assert "space" in complaint(unchanged(disk, *words))[0]
    assert not (disk / "x.inspector").exists()
    score = ("score", fitted.good_part, "--exit-zero")
    ended = run(*score, "--heatmaps", disk / "maps", store=disk / "store", code=6)
    assert "space" in ended.stderr
    run(*score, store=disk / "store")


def test_a_read_only_store_scores_and_refuses_to_be_written(fitted: Fitted, few: Path, mount: Mount) -> None:
    """Models on a read-only disk can be used; every command that writes ends with 6."""
    disk = mount("size=64m")
    shutil.copytree(fitted.store, disk / "store")
    mount("ro")
    run("score", fitted.good_part, "--exit-zero", store=disk / "store")
    run("models", "verify", "flange", store=disk / "store")
    writing: list[list[str | Path]] = [
        ["fit", few, "--name", "x", *FIT],
        ["calibrate", fitted.test / "good"],
        ["models", "promote", "flange"],
        ["models", "remove", "flange"],
    ]
    for words in writing:
        assert "read-only" in complaint(unchanged(disk, *words))[0]
