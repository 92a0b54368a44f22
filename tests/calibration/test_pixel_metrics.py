"""Streaming pixel AUROC and AUPRO agree with an exact implementation and with examples by hand."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from calibration.pixel_metrics import PixelScores, _ordered_keys

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Pair = tuple[NDArray[np.float32], Bools]


def flood(mask: Bools) -> list[list[tuple[int, int]]]:
    """8-connected regions as lists of pixels, found by walking from neighbour to neighbour."""
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    regions = []
    while left:
        region, edge = [], [left.pop()]
        while edge:
            row, column = edge.pop()
            region.append((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        regions.append(region)
    return regions


def exact_aupro(pairs: list[Pair], limit: float = 0.3) -> float:
    """AUPRO by keeping every map, with every distinct value as threshold, region by region."""
    background = np.concatenate([values[~mask] for values, mask in pairs])
    regions = [
        np.array([values[pixel] for pixel in region]) for values, mask in pairs for region in flood(mask)
    ]
    points = [(0.0, 0.0)]
    for threshold in sorted({float(v) for values, _ in pairs for v in values.ravel()}, reverse=True):
        rate = np.count_nonzero(background >= threshold) / background.size
        points.append((rate, sum(float((region >= threshold).mean()) for region in regions) / len(regions)))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 <= limit:
            area += (x1 - x0) * (y0 + y1) / 2
        else:
            at_limit = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            return (area + (limit - x0) * (y0 + at_limit) / 2) / limit
    return area / limit


def streamed(pairs: list[Pair], max_bins: int = 2**20) -> PixelScores:
    """All pairs of map and mask, added one by one."""
    pixels = PixelScores(max_bins)
    for values, mask in pairs:
        pixels.add(values, mask if mask.any() else None)
    return pixels


def scene(rng: np.random.Generator, *, levels: int = 0, offset: float = 0.0) -> Pair:
    """A map that rises on blobs of defect, with pixels that differ in sharpness."""
    height, width = rng.integers(20, 40, 2)
    mask = np.zeros((height, width), dtype=np.bool_)
    for _ in range(rng.integers(0, 4)):
        row, column = rng.integers(0, height - 3), rng.integers(0, width - 3)
        mask[row : row + rng.integers(1, 9), column : column + rng.integers(1, 9)] = True
    values = rng.gamma(2.0, size=(height, width)) + 2.0 * mask * rng.random((height, width))
    if levels:
        values = np.floor(values * levels)
    return (values + offset).astype(np.float32), mask


def test_by_hand_perfect_and_worst() -> None:
    """A map equal to the mask has AUROC and AUPRO 1; its negative has 0."""
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[2:4, 2:4] = mask[7, 5] = True
    perfect, worst = PixelScores(), PixelScores()
    perfect.add(mask.astype(np.float32), mask)
    worst.add(-mask.astype(np.float32), mask)
    assert (perfect.auroc(), perfect.aupro()) == (1.0, 1.0)
    assert (worst.auroc(), worst.aupro()) == (0.0, 0.0)


def test_by_hand_constant_map() -> None:
    """A constant map has an AUROC of one half, and an AUPRO of half the limit."""
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[0, 0] = True
    pixels = PixelScores()
    pixels.add(np.full((10, 10), 3.0), mask)
    assert pixels.auroc() == pytest.approx(0.5)
    assert pixels.aupro() == pytest.approx(0.15)


def test_by_hand_two_regions() -> None:
    """Ten background pixels, a region of one pixel and one of four: AUPRO equals that computed by hand."""
    # Falling: region of 1 (9), two of four (8), one background (7), two of four (6), the other background.
    values = np.array([[9, 0, 8, 8, 0], [0, 0, 6, 6, 0], [7, 0, 0, 0, 0]], dtype=np.float32)
    mask = np.zeros((3, 5), dtype=np.bool_)
    mask[0, 0] = mask[0:2, 2:4] = True
    pixels = PixelScores()
    pixels.add(values, mask)
    assert pixels.regions == 2
    # PRO is 3/4 up to a rate of 1/10, from there on 1.
    assert pixels.aupro() == pytest.approx((0.1 * 0.75 + 0.2 * 1.0) / 0.3)
    # Of 5 x 10 pairs all are right but two defect pixels against the background one at 7.
    assert pixels.auroc() == pytest.approx(48 / 50)


def test_regions_touch_at_corners() -> None:
    """Pixels that touch at a corner are one region, pixels a gap apart are two."""
    corner, gap = np.zeros((4, 4), dtype=np.bool_), np.zeros((4, 4), dtype=np.bool_)
    corner[0, 0] = corner[1, 1] = True
    gap[0, 0] = gap[2, 2] = True
    for mask, regions in ((corner, 1), (gap, 2)):
        pixels = PixelScores()
        pixels.add(np.zeros((4, 4)), mask)
        assert pixels.regions == regions


def test_small_regions_count_as_much_as_large_ones() -> None:
    """A missed tiny region lowers AUPRO as much as a missed large one, and AUROC hardly at all."""
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[0:20, 0:20] = mask[30, 30] = True
    values = np.where(mask, 1.0, np.random.default_rng(0).random((40, 40)))
    values[30, 30] = -1.0
    pixels = PixelScores()
    pixels.add(values, mask)
    assert pixels.aupro() == pytest.approx(0.5, abs=0.01)
    assert (pixels.auroc() or 0) > 0.99


@pytest.mark.parametrize("levels", [0, 3])
@pytest.mark.parametrize("offset", [0.0, -3.0, 1000.0])
@pytest.mark.parametrize("seed", range(3))
def test_against_exact(seed: int, levels: int, offset: float) -> None:
    """Both figures equal the exact ones within 1e-4, with ties, negative values and little contrast."""
    rng = np.random.default_rng(seed)
    pairs = [scene(rng, levels=levels, offset=offset) for _ in range(6)]
    pixels = streamed(pairs)
    truth = np.concatenate([mask.ravel() for _, mask in pairs])
    values = np.concatenate([values.ravel() for values, _ in pairs])
    assert pixels.auroc() == pytest.approx(roc_auc_score(truth, values), abs=1e-4)
    assert pixels.aupro() == pytest.approx(exact_aupro(pairs), abs=1e-4)
    assert pixels.aupro(0.05) == pytest.approx(exact_aupro(pairs, 0.05), abs=1e-4)
    assert pixels.aupro(1.0) == pytest.approx(exact_aupro(pairs, 1.0), abs=1e-4)


def test_order_and_range_do_not_matter() -> None:
    """Pictures with different ranges give the same figures in any order, although bins merge."""
    rng = np.random.default_rng(5)
    pairs = [
        (values * np.float32(10.0**power), mask)
        for power, (values, mask) in zip((-6, 3, 0, -2, 5, -4), (scene(rng) for _ in range(6)), strict=True)
    ]
    forward, backward = streamed(pairs), streamed(pairs[::-1])
    assert forward.auroc() == pytest.approx(backward.auroc(), abs=1e-5)
    assert forward.aupro() == pytest.approx(backward.aupro(), abs=1e-5)
    assert forward.aupro() == pytest.approx(exact_aupro(pairs), abs=1e-4)


def test_few_bins_stay_close() -> None:
    """A thousand times fewer bins change the figures by less than 0.01; their number is never exceeded."""
    rng = np.random.default_rng(6)
    pairs = [scene(rng) for _ in range(6)]
    coarse = streamed(pairs, max_bins=2**10)
    assert coarse._bins.shape[1] <= 2**10
    assert coarse.aupro() == pytest.approx(exact_aupro(pairs), abs=0.01)


def test_nothing_is_lost_when_bins_merge() -> None:
    """Merging of bins keeps the numbers of background pixels, defect pixels and regions."""
    rng = np.random.default_rng(7)
    pairs = [(scene(rng)[0] * np.float32(10.0**power), scene(rng)[1]) for power in (0, -8, 8)]
    pairs = [(values[:15, :15], mask[:15, :15]) for values, mask in pairs]
    pixels = streamed(pairs, max_bins=64)
    background, defect, share = pixels._bins.sum(axis=1)
    assert background == sum(np.count_nonzero(~mask) for _, mask in pairs)
    assert defect == sum(np.count_nonzero(mask) for _, mask in pairs)
    assert share == pytest.approx(sum(len(flood(mask)) for _, mask in pairs))


def test_good_pictures_are_background() -> None:
    """A picture without a mask, or with an empty one, adds background only."""
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[3, 3] = True
    values = np.where(mask, 5.0, 1.0)
    alone, joined = PixelScores(), PixelScores()
    alone.add(values, mask)
    joined.add(values, mask)
    joined.add(np.full((8, 8), 9.0))
    joined.add(np.full((8, 8), 0.0), np.zeros((8, 8), dtype=np.bool_))
    assert alone.auroc() == 1.0
    assert joined.auroc() == pytest.approx((63 + 64) / (63 + 64 + 64))
    assert joined.regions == 1


def test_without_defect_or_background_there_is_no_figure() -> None:
    """No pictures, good pictures alone, or defects that fill their pictures give None."""
    nothing, good, filled = PixelScores(), PixelScores(), PixelScores()
    good.add(np.zeros((5, 5)))
    filled.add(np.zeros((5, 5)), np.ones((5, 5), dtype=np.bool_))
    for pixels in (nothing, good, filled):
        assert pixels.auroc() is None
        assert pixels.aupro() is None


def test_bad_maps_are_refused() -> None:
    """A mask of another size and a map with a NaN are refused."""
    with pytest.raises(ValueError, match=r"the map has shape \(3, 4\), its mask \(4, 3\)"):
        PixelScores().add(np.zeros((3, 4)), np.zeros((4, 3), dtype=np.bool_))
    with pytest.raises(ValueError, match="not a number"):
        PixelScores().add(np.full((3, 4), np.nan))


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=50))
def test_keys_keep_the_order(values: list[float]) -> None:
    """The keys have the order of the numbers; equal numbers, including 0 and -0, have equal keys."""
    array = np.array(values, dtype=np.float32)
    keys = _ordered_keys(array)
    np.testing.assert_array_equal(keys[:, None] < keys[None, :], array[:, None] < array[None, :])


def test_memory_does_not_grow_with_the_number_of_pictures() -> None:
    """Forty more large maps need no more memory than the first ten."""
    rng = np.random.default_rng(8)
    pixels = PixelScores()
    base = rng.gamma(2.0, size=(480, 640)).astype(np.float32)
    mask = np.zeros((480, 640), dtype=np.bool_)
    mask[100:130, 200:260] = True

    def add(count: int) -> int:
        tracemalloc.start()
        for _ in range(count):
            pixels.add(base * np.float32(1 + rng.random()), mask)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    first = add(10)
    assert add(40) < 1.1 * first + 1e6
    assert first < 150e6
