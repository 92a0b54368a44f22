"""No picture is lost when a folder or disk disappears or fills up."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from inspector.imaging.encode import encode_png
from tests.conftest import Mount
from tests.inspector.tiny_bundle import good_picture
from tests.inspector.watch.watching import (
    BAD,
    GOOD,
    SETTLE,
    Watcher,
    fill,
    other_disk,
    rows,
    rows_so_far,
    told,
    write,
)
from tests.serving import until


def test_a_folder_that_vanishes(folder: Path) -> None:
    """A missing folder is reported in one line and never created; the watch goes on when it is back."""
    results, away = folder / "inspections.jsonl", folder.parent / "away"
    write(folder / "a.png", GOOD)
    with Watcher(folder) as watcher:
        until(lambda: len(rows(results)) == 1)
        folder.rename(away)
        until(lambda: len(watcher.said) == 1)
        write(away / "b.png", BAD)
        time.sleep(3 * SETTLE)
        assert not folder.exists()
        away.rename(folder)
        until(lambda: len(rows(results)) == 2)
        until(lambda: len(watcher.said) == 2)
    assert told(results) == [("a.png", "pass"), ("b.png", "fail")]
    assert watcher.said == [
        f"error: {folder} is out of reach: No such file or directory; trying again",
        f"{folder} is watched again, and all is well",
    ]


@pytest.mark.system
def test_a_share_that_is_unmounted_under_load(folder: Path) -> None:
    """The disk disappears and comes back at any moment: in the end each picture has one line."""
    disk = folder.parent / "disk"
    with other_disk(disk):
        for number in range(150):
            write(disk / f"{number}.png", encode_png(good_picture(number, 60, 60)))
        share = ["mount", "--bind", str(disk), str(folder)]
        subprocess.run(share, check=True)
        try:
            with Watcher(folder) as watcher:
                for turn in (10, 60, 110):
                    until(lambda least=turn: len(rows_so_far(disk / "inspections.jsonl")) >= least)  # type: ignore[misc]
                    subprocess.run(["umount", "--lazy", folder], check=True)
                    time.sleep(2 * SETTLE)
                    subprocess.run(share, check=True)
                until(lambda: len(rows_so_far(disk / "inspections.jsonl")) >= 150)
            found = Counter(name for name, _ in told(disk / "inspections.jsonl"))
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    assert found == Counter(f"{number}.png" for number in range(150))
    assert not any("Traceback" in line for line in watcher.said)


def test_a_full_disk_under_the_results(folder: Path, mount: Mount) -> None:
    """A full disk is reported in one line; once there is room, every picture gets its whole line."""
    disk = mount("size=64k")
    results, filler = disk / "results.jsonl", disk / "filler"
    with Watcher(folder, "--output", results) as watcher:
        until(results.exists)
        fill(filler)
        for number in range(20):
            write(folder / f"{number}.png", GOOD)
        until(lambda: len(watcher.said) == 1)
        time.sleep(3 * SETTLE)
        assert len(rows(results)) < 20
        filler.unlink()
        until(lambda: len(rows_so_far(results)) == 20)
        until(lambda: len(watcher.said) == 2)
    assert {name for name, _ in told(results)} == {f"{number}.png" for number in range(20)}
    assert watcher.said[0].startswith(f"error: no space left for {results}: ")
    assert watcher.said[1] == f"{folder} is watched again, and all is well"


def test_heatmaps_on_a_full_disk(folder: Path, mount: Mount) -> None:
    """A full disk for heatmaps is reported once, and once when it has room; verdicts go on."""
    disk = mount("size=64k")
    results = folder / "inspections.jsonl"
    with Watcher(folder, "--heatmaps", disk) as watcher:
        until(results.exists)
        fill(disk / "filler")
        for number in range(3):
            write(folder / f"{number}.png", GOOD)
            until(lambda number=number: len(rows_so_far(results)) == number + 1)  # type: ignore[misc]
            time.sleep(2 * SETTLE)
        assert len(watcher.said) == 1
        (disk / "filler").unlink()
        write(folder / "3.png", BAD)
        until(lambda: len(watcher.said) == 2)
    assert watcher.said[0].startswith("error: no space left")
    assert watcher.said[1] == f"{folder} is watched again, and all is well"
    assert [row["heatmap"] is None for row in rows(results)] == [True, True, True, False]
