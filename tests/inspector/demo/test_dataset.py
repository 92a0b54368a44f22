"""The rendered parts: the same every time, with masks that are exact."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from subprocess import run
from sys import executable

import cv2
import numpy as np
import pytest

from inspector.demo import dataset
from inspector.demo.dataset import KINDS, render, write_dataset
from inspector.demo.flange import OUTER
from inspector.errors import StorageError, UsageError
from inspector.imaging.decode import decode

SEEDS = range(6)


def digests(folder: Path) -> dict[str, str]:
    """Relative path and digest of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_a_seed_gives_the_same_bytes_in_another_process(kind: str | None) -> None:
    """A render is a function of its arguments alone, whatever was rendered before."""
    program = (
        "from hashlib import sha256; from inspector.demo.dataset import render\n"
        f"part = render(11, kind={kind!r}, size=160)\n"
        "print(sha256(part.picture.tobytes() + part.mask.tobytes()).hexdigest())"
    )
    elsewhere = run([executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    render(12, kind="stain", size=160)
    part = render(11, kind=kind, size=160)
    assert sha256(part.picture.tobytes() + part.mask.tobytes()).hexdigest() == elsewhere


def test_the_number_of_threads_changes_nothing() -> None:
    """OpenCV's threads do not change a byte."""
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = render(3, kind="scratch")
        cv2.setNumThreads(4)
        together = render(3, kind="scratch")
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(alone.picture, together.picture)
    np.testing.assert_array_equal(alone.mask, together.mask)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [128, 320])
def test_the_mask_is_exactly_where_the_picture_differs(kind: str, size: int) -> None:
    """Outside the mask nothing differs from the good part; inside every pixel visibly does."""
    for seed in SEEDS:
        bad, good = render(seed, kind=kind, size=size), render(seed, size=size)
        change = np.abs(bad.picture.astype(int) - good.picture).max(axis=2)
        assert not change[~bad.mask].any()
        assert change[bad.mask].min() >= dataset.VISIBLE_LEVELS
        assert not good.mask.any()


@pytest.mark.parametrize("kind", KINDS)
def test_painting_only_around_the_defect_misses_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exposing the whole picture anew gives the same part as exposing only the defect's surroundings."""
    near = [render(seed, kind=kind) for seed in SEEDS]
    monkeypatch.setattr(dataset, "_span", lambda _centre, _reach, side: slice(0, side))
    for seed, part in zip(SEEDS, near, strict=True):
        whole = render(seed, kind=kind)
        np.testing.assert_array_equal(part.mask, whole.mask)
        np.testing.assert_array_equal(part.picture, whole.picture)


@pytest.mark.parametrize("kind", ["missing_hole", "chip", "dent"])
def test_a_mask_has_no_stray_pixels(kind: str) -> None:
    """A compact defect has a compact mask, within a fifth of the part's radius of its middle."""
    for seed in SEEDS:
        rows, columns = np.nonzero(render(seed, kind=kind).mask)
        distance = np.hypot(rows - np.median(rows), columns - np.median(columns))
        assert distance.max() < 0.3 * OUTER * 320


@pytest.mark.parametrize(
    ("kind", "largest"),
    [("scratch", 2600), ("dent", 2400), ("stain", 5000), ("missing_hole", 1000), ("chip", 2200)],
)
def test_each_defect_is_evident_but_not_absurd(kind: str, largest: int) -> None:
    """A defect changes 60 pixels or more of a picture of 320, by 20 levels on average, but no large part."""
    for seed in range(20):
        good, bad = render(seed).picture, render(seed, kind=kind)
        change = np.abs(bad.picture.astype(int) - good).max(axis=2)[bad.mask]
        assert 60 <= bad.mask.sum() <= largest
        assert change.mean() >= dataset.EVIDENT_LEVELS


def test_a_missing_hole_is_bright_where_holes_are_dark() -> None:
    """Where a hole was not drilled there is metal in place of the dark belt."""
    bad, good = render(4, kind="missing_hole"), render(4)
    assert bad.picture[bad.mask].mean() > good.picture[bad.mask].mean() + 30


def test_a_chip_is_at_the_rim() -> None:
    """A chip lies in the outer fifth of the part, and shows the dark belt."""
    part = render(5, kind="chip")
    rows, columns = np.nonzero(part.mask)
    distance = np.hypot(rows - 160, columns - 160) / (OUTER * 320)
    assert distance.min() > 0.75
    assert part.picture[part.mask].mean() < render(5).picture[part.mask].mean()


def test_good_parts_vary_but_share_their_design() -> None:
    """Two good parts differ all over, while the metal ring and the bore stay where they are."""
    first, second = (render(seed).picture.astype(float).mean(axis=2) for seed in (0, 1))
    assert np.abs(first - second).mean() > 4
    for grey in (first, second):
        ring = grey[160, 160 + 75]  # on the flange, between hub and rim, or in a hole
        assert grey[150:170, 150:170].mean() < 40 < 90 < np.median(grey[40:280, 60:100].max(axis=0))
        assert ring > grey[:20, :20].mean() or ring < 40


def test_seeds_are_independent() -> None:
    """Noise and lathe marks of different seeds are uncorrelated, and so are their angles."""
    pictures = [render(seed, size=160).picture[..., 1].astype(float) for seed in range(20)]
    corners = np.array([picture[:30, :30].ravel() for picture in pictures])
    noise = np.corrcoef(corners - corners.mean(axis=0)) - np.eye(20)
    assert np.abs(noise).max() < 0.5
    assert np.abs(noise).mean() < 0.12
    assert len({picture.tobytes() for picture in pictures}) == 20


@pytest.mark.parametrize("size", [32, 64, 97, 200, 512])
def test_any_size_shows_the_same_scene(size: int) -> None:
    """A picture has the size asked for, and shows the part of its seed at that size."""
    part = render(8, kind="stain", size=size)
    assert part.picture.shape == (size, size, 3)
    assert part.picture.dtype == np.uint8
    assert part.mask.shape == (size, size)
    assert part.mask.dtype == np.bool_
    small, reference = (
        cv2.resize(render(8, size=side).picture, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
        for side in (size, 320)
    )
    assert np.abs(small - reference).mean() < 10


def test_edges_are_smooth() -> None:
    """The outline has pixels of every coverage: the rim is anti-aliased."""
    grey = render(9, size=320).picture.astype(float).mean(axis=2)
    rows, columns = np.mgrid[:320, :320]
    outer = np.hypot(rows - 160, columns - 160) / (OUTER * 320)
    rim = grey[(outer > 0.9) & (outer < 1.12)]
    shares = np.histogram(rim, bins=8, range=(rim.min(), rim.max()))[0] / rim.size
    assert shares.min() > 0.005


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"kind": "rust"}, "'rust'"),
        ({"kind": ""}, "''"),
        ({"size": 31}, "31"),
        ({"size": 5000}, "5000"),
    ],
)
def test_a_bad_argument_is_named(arguments: dict[str, str | int], named: str) -> None:
    """A value that is not allowed is an error that names it and what is allowed."""
    with pytest.raises(UsageError, match=named) as caught:
        render(0, **arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert "allowed" in caught.value.message
    assert caught.value.hint


def test_a_negative_seed_is_named() -> None:
    """A seed below 0 is an error that names it."""
    with pytest.raises(UsageError, match="-1"):
        render(-1)


def test_the_data_set_has_the_layout_that_evaluate_reads(tmp_path: Path) -> None:
    """Good parts to train and test on, defective ones by kind, and a mask for each of these."""
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
    """Pictures come back pixel by pixel in RGB, masks as 0 and 255."""
    write_dataset(tmp_path, train=1, good=0, per_kind=1, size=96, seed=5)
    first = render(5 * dataset.SEED_STRIDE, size=96)
    pixels = decode(tmp_path / "train/good/000.png").pixels
    np.testing.assert_array_equal(pixels, first.picture)
    bad = render(5 * dataset.SEED_STRIDE + 1, kind="scratch", size=96)
    mask = cv2.imread(str(tmp_path / "ground_truth/scratch/000_mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    np.testing.assert_array_equal(mask, bad.mask * np.uint8(255))


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    """Two data sets of one seed are equal byte by byte; another seed shares no picture with them."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_dataset(tmp_path / name, train=2, good=1, per_kind=1, size=48, seed=seed)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    shared = {name for name in first if first[name] == other[name]}
    assert shared == {dataset.NOTE}


def test_rendering_again_leaves_no_picture_of_before(tmp_path: Path) -> None:
    """A smaller set over a larger one leaves only the smaller one, and files beside it stay."""
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
    """The callback is told how far the writing is, up to the last picture."""
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
    """A folder that cannot be made is one error that names it."""
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="taken"):
        write_dataset(tmp_path / "taken" / "set", train=1, good=0, per_kind=0, size=32)
