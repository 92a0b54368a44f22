"""Rendered parts: the same every time, with exact masks."""

from __future__ import annotations

from hashlib import sha256
from subprocess import run
from sys import executable

import cv2
import numpy as np
import pytest

from inspector.demo import photograph
from inspector.demo.flange import OUTER
from inspector.demo.photograph import KINDS, render
from inspector.errors import UsageError

SEEDS = range(6)


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_a_seed_gives_the_same_bytes_in_another_process(kind: str | None) -> None:
    """A render depends on its arguments only, not on earlier renders."""
    program = (
        "from hashlib import sha256; from inspector.demo.photograph import render\n"
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
    """Outside the mask no pixel differs from the good part; inside, every pixel visibly differs."""
    for seed in SEEDS:
        bad, good = render(seed, kind=kind, size=size), render(seed, size=size)
        change = np.abs(bad.picture.astype(int) - good.picture).max(axis=2)
        assert not change[~bad.mask].any()
        assert change[bad.mask].min() >= photograph.VISIBLE_LEVELS
        assert not good.mask.any()


@pytest.mark.parametrize("kind", KINDS)
def test_painting_only_around_the_defect_misses_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exposing the whole picture gives the same pixels as exposing only the area of the defect."""
    near = [render(seed, kind=kind) for seed in SEEDS]
    monkeypatch.setattr(photograph, "_span", lambda _centre, _reach, side: slice(0, side))
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
        assert change.mean() >= photograph.EVIDENT_LEVELS


def test_a_missing_hole_is_bright_where_holes_are_dark() -> None:
    """A hole that was not drilled shows metal instead of the dark belt."""
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
    """A picture has the given size, and shows the same part at every size."""
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
    """An error names the value that is not allowed, and the allowed values."""
    with pytest.raises(UsageError, match=named) as caught:
        render(0, **arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert "allowed" in caught.value.message
    assert caught.value.hint


def test_a_negative_seed_is_named() -> None:
    """An error names a seed below 0."""
    with pytest.raises(UsageError, match="-1"):
        render(-1)
