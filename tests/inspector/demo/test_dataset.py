"""The rendered data set: its layout, and the folders that it replaces."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.demo import dataset
from inspector.demo.dataset import write_dataset
from inspector.demo.photograph import KINDS, render
from inspector.errors import StorageError, UsageError
from inspector.imaging.decode import decode

SEEDS = range(6)


def digests(folder: Path) -> dict[str, str]:
    """Relative path and digest of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_data_set_has_the_layout_that_evaluate_reads(tmp_path: Path) -> None:
    """There are good parts to train and test on, defective parts by kind, and a mask for each defect."""
    write_dataset(tmp_path / "set", train=3, good=2, per_kind=2, size=64)
    expected = {f"train/good/{number:03d}.png" for number in range(3)}
    expected |= {f"test/good/{number:03d}.png" for number in range(2)}
    for kind in KINDS:
        expected |= {f"test/{kind}/{number:03d}.png" for number in range(2)}
        expected |= {f"ground_truth/{kind}/{number:03d}_mask.png" for number in range(2)}
    written = digests(tmp_path / "set")
    assert set(written) == expected | {dataset.NOTE}
    pictures = [digest for name, digest in written.items() if "ground_truth" not in name]
    assert len(set(pictures)) == len(pictures)


def test_files_hold_what_was_rendered(tmp_path: Path) -> None:
    """Files hold the rendered pixels in RGB, and masks as 0 and 255."""
    write_dataset(tmp_path, train=1, good=0, per_kind=1, size=96, seed=5)
    first = render(5 * dataset.SEED_STRIDE, size=96)
    pixels = decode(tmp_path / "train/good/000.png").pixels
    np.testing.assert_array_equal(pixels, first.picture)
    bad = render(5 * dataset.SEED_STRIDE + 1, kind="scratch", size=96)
    mask = cv2.imread(str(tmp_path / "ground_truth/scratch/000_mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    np.testing.assert_array_equal(mask, bad.mask * np.uint8(255))


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    """Data sets of the same seed are equal byte by byte; data sets of different seeds share no picture."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_dataset(tmp_path / name, train=2, good=1, per_kind=1, size=48, seed=seed)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    shared = {name for name in first if first[name] == other[name]}
    assert shared == {dataset.NOTE}


def test_rendering_again_leaves_no_picture_of_before(tmp_path: Path) -> None:
    """A smaller data set replaces a larger one; other files in the folder stay."""
    write_dataset(tmp_path, train=3, good=1, per_kind=1, size=48)
    (tmp_path / "mine.txt").write_text("keep me", encoding="utf-8")
    write_dataset(tmp_path, train=1, good=1, per_kind=0, size=48)
    assert set(digests(tmp_path)) == {
        "mine.txt", dataset.NOTE, "train/good/000.png", "test/good/000.png",
    }  # fmt: skip


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Pictures that were not rendered here are never replaced."""
    theirs = tmp_path / "train" / "good" / "000.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"a photograph")
    with pytest.raises(UsageError, match="not rendered here"):
        write_dataset(tmp_path, train=1, good=0, per_kind=0, size=48)
    assert digests(tmp_path) == {"train/good/000.png": sha256(b"a photograph").hexdigest()}


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    """The callback counts every picture."""
    told: list[tuple[int, int]] = []
    write_dataset(
        tmp_path,
        train=2,
        good=1,
        per_kind=1,
        size=32,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 8) for done in range(1, 9)]


@pytest.mark.parametrize("name", ["train", "good", "per_kind"])
def test_a_count_below_zero_is_named(tmp_path: Path, name: str) -> None:
    """A negative count is refused before anything is written."""
    with pytest.raises(UsageError, match=f"{name} is -1"):
        write_dataset(tmp_path / "set", **{name: -1})  # type: ignore[arg-type]  # one of three counts
    assert not (tmp_path / "set").exists()


def test_a_file_in_the_way_is_a_storage_error(tmp_path: Path) -> None:
    """An error names the folder that cannot be made."""
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="taken"):
        write_dataset(tmp_path / "taken" / "set", train=1, good=0, per_kind=0, size=32)
