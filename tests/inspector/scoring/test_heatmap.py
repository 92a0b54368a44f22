"""Anomaly maps: scale, regions and drawing."""

from __future__ import annotations

from collections import deque
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inspector.scoring import heatmap
from inspector.scoring.records import Region
from inspector.types import Pixels, Verdict

LIMIT, CEILING = 3.0, 10.0
AnomalyMap = npt.NDArray[np.float32]


def flat(value: float, height: int = 80, width: int = 120) -> AnomalyMap:
    """Return a map of one value."""
    return np.full((height, width), value, np.float32)


def with_blob(peak: float, background: float = 0.5) -> AnomalyMap:
    """Return a map with one square blob at rows 20 to 39 and columns 30 to 59."""
    anomaly_map = flat(background)
    anomaly_map[20:40, 30:60] = peak
    return anomaly_map


def grey(value: int, height: int = 80, width: int = 120) -> Pixels:
    """Return a picture of one grey."""
    return np.full((height, width, 3), value, np.uint8)


def draw(pixels: Pixels, anomaly_map: AnomalyMap, *, outlined: bool = False) -> Pixels:
    """Draw with the scale of this test."""
    regions = heatmap.find_regions(anomaly_map, LIMIT) if outlined else ()
    return heatmap.overlay(pixels, anomaly_map, limit=LIMIT, ceiling=CEILING, regions=regions)


def flood(anomaly_map: AnomalyMap, limit: float) -> list[Region]:
    """Find regions by a breadth-first search: the second implementation."""
    seen, found = np.zeros(anomaly_map.shape, bool), []
    for start in zip(*np.nonzero(anomaly_map > limit), strict=True):
        if seen[start]:
            continue
        seen[start], queue, places = True, deque([start]), []
        while queue:
            row, column = queue.popleft()
            places.append((int(row), int(column)))
            for r in range(max(row - 1, 0), min(row + 2, anomaly_map.shape[0])):
                for c in range(max(column - 1, 0), min(column + 2, anomaly_map.shape[1])):
                    if anomaly_map[r, c] > limit and not seen[r, c]:
                        seen[r, c] = True
                        queue.append((r, c))
        rows, columns = zip(*places, strict=True)
        box = {"x": min(columns), "y": min(rows)}
        size = {"width": max(columns) - box["x"] + 1, "height": max(rows) - box["y"] + 1}
        peak = max(float(anomaly_map[place]) for place in places)
        found.append(Region(**box, **size, area_pixels=len(places), peak=peak))
    return found


def order(region: Region) -> tuple[float, ...]:
    """Order regions completely."""
    return (-region.peak, region.y, region.x, region.width, region.height, region.area_pixels)


# --- regions --------------------------------------------------------------------------------


def test_region() -> None:
    """A region has the box, the area and the peak of the pixels above the limit."""
    anomaly_map = with_blob(5.0)
    anomaly_map[25, 35] = 9.2
    anomaly_map[20, 30] = 0
    (region,) = heatmap.find_regions(anomaly_map, LIMIT)
    assert (region.x, region.y, region.width, region.height) == (30, 20, 30, 20)
    assert region.area_pixels == 599
    assert region.peak == pytest.approx(9.2)


def test_equal_is_not_above() -> None:
    """A map that equals its limit has no region."""
    assert heatmap.find_regions(flat(LIMIT), LIMIT) == ()
    assert heatmap.find_regions(flat(np.nan), LIMIT) == ()


def test_whole_picture() -> None:
    """A map above its limit everywhere is one region."""
    (region,) = heatmap.find_regions(flat(LIMIT + 1), LIMIT)
    assert (region.width, region.height, region.area_pixels) == (120, 80, 9600)


def test_small_regions_are_dropped() -> None:
    """A region of fewer than four pixels is dropped, one of four stays."""
    anomaly_map = flat(0)
    anomaly_map[5, 5:8] = 9
    anomaly_map[15, 5:9] = 4
    assert [region.y for region in heatmap.find_regions(anomaly_map, LIMIT)] == [15]


def test_diagonal_neighbours_are_connected() -> None:
    """Pixels that touch at a corner belong to one region."""
    anomaly_map = flat(0)
    anomaly_map[range(10, 20), range(10, 20)] = 5
    (region,) = heatmap.find_regions(anomaly_map, LIMIT)
    assert region.area_pixels == 10


def test_at_most_twenty_regions() -> None:
    """The twenty regions with the highest peaks are kept, highest first."""
    anomaly_map = flat(0, 200, 200)
    for index in range(36):
        row, column = divmod((index * 5) % 36, 6)
        anomaly_map[30 * row : 30 * row + 4, 30 * column : 30 * column + 4] = 4 + index / 10
    peaks = [region.peak for region in heatmap.find_regions(anomaly_map, LIMIT)]
    assert peaks == pytest.approx([4 + index / 10 for index in range(35, 15, -1)])


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 6)),
    st.integers(-1, 5),
)
def test_regions_against_a_search(anomaly_map: AnomalyMap, limit: int) -> None:
    """On any map a breadth-first search finds the same regions."""
    expected = [region for region in flood(anomaly_map, limit) if region.area_pixels >= 4]
    found = heatmap.find_regions(anomaly_map, limit)
    assert sorted(found, key=order) == sorted(expected, key=order)
    assert [region.peak for region in found] == sorted((region.peak for region in found), reverse=True)


# --- upsampling -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(256, 256), (100, 300), (16, 16), (20, 300), (64, 64)])
def test_upsample(size: tuple[int, int]) -> None:
    """A resized map has the wanted size, is float32, and keeps its range and its mean."""
    coarse = np.random.default_rng(0).random((64, 64), np.float32) + np.linspace(0, 5, 64, dtype=np.float32)
    fine = heatmap.upsample(coarse, *size)
    assert fine.shape == size
    assert fine.dtype == np.float32
    assert coarse.min() - 1e-5 <= fine.min()
    assert fine.max() <= coarse.max() + 1e-5
    assert fine.mean() == pytest.approx(coarse.mean(), rel=0.02)


def test_upsample_keeps_places() -> None:
    """A resized peak lies over the same part of the picture."""
    coarse = np.zeros((16, 32), np.float32)
    coarse[3, 20] = 8
    fine = heatmap.upsample(coarse, 160, 640)
    rows, columns = np.nonzero(fine > 7.9 / 2)
    assert (rows.mean() + 0.5) / 160 == pytest.approx(3.5 / 16, abs=0.005)
    assert (columns.mean() + 0.5) / 640 == pytest.approx(20.5 / 32, abs=0.005)


def listed(anomaly_map: AnomalyMap, height: int = 80, width: int = 120) -> tuple[Region, ...]:
    """List the regions of a picture that failed."""
    return heatmap.listed_regions("fail", anomaly_map, (height, width), LIMIT)


def test_a_picture_that_passed_lists_no_region() -> None:
    """One rule: regions are those above the limit, unless the picture passed."""
    found = {
        verdict: heatmap.listed_regions(verdict, with_blob(6.0), (160, 240), LIMIT)
        for verdict in get_args(Verdict)
    }
    assert found["pass"] == ()
    assert all(region.above_limit for region in found["fail"])
    assert (
        found["review"]
        == found["fail"]
        == heatmap.find_regions(heatmap.upsample(with_blob(6.0), 160, 240), LIMIT)
    )


@pytest.mark.parametrize("verdict", ["review", "fail"])
@pytest.mark.parametrize("background", [-9.0, 0.0, LIMIT - 0.5])
def test_a_calm_map_lists_its_strongest_place(verdict: Verdict, background: float) -> None:
    """If the map stays under its limit, the area around its peak is listed, and marked as below the limit."""
    calm = with_blob(LIMIT - 0.1, background)
    calm[60:70, 80:100] = background + (LIMIT - 0.1 - background) * 0.9  # another place, which is weaker
    (place,) = heatmap.listed_regions(verdict, calm, calm.shape, LIMIT)
    assert (place.x, place.y, place.width, place.height) == (30, 20, 30, 20)
    assert (place.area_pixels, place.above_limit) == (600, False)
    assert place.peak == pytest.approx(LIMIT - 0.1)


def test_a_peak_at_the_limit_is_not_above_it() -> None:
    """A map that just reaches its limit has a place below it."""
    assert [place.above_limit for place in listed(with_blob(LIMIT))] == [False]


@given(arrays.arrays(np.float32, (6, 9), elements=st.floats(-4, 2.875, width=16)))
def test_the_strongest_place_is_around_the_peak(anomaly_map: AnomalyMap) -> None:
    """On any calm map the place holds the peak of the map, and at most half of the picture."""
    found = listed(anomaly_map, 6, 9)
    if anomaly_map.max() - np.median(anomaly_map) <= 0.01 * LIMIT:
        assert found == ()
        return
    (place,) = found
    peaks = zip(*np.nonzero(anomaly_map == anomaly_map.max()), strict=True)
    rows, columns = range(place.y, place.y + place.height), range(place.x, place.x + place.width)
    assert any(row in rows and column in columns for row, column in peaks)
    assert place.peak == anomaly_map.max()
    assert place.area_pixels <= anomaly_map.size / 2
    assert not place.above_limit


def test_a_peak_of_few_pixels_is_a_place() -> None:
    """A failed picture has a place even if the area above the limit is too small for a region."""
    anomaly_map = flat(0.0)
    anomaly_map[7, 11] = LIMIT + 2
    (place,) = listed(anomaly_map)
    assert (place.x, place.y, place.area_pixels, place.above_limit) == (11, 7, 1, True)
    shrunk = heatmap.upsample(anomaly_map, 40, 60)
    assert len(heatmap.listed_regions("fail", anomaly_map, shrunk.shape, LIMIT)) == 1


@pytest.mark.parametrize("value", [-3.0, 0.0, LIMIT, np.nan])
def test_no_place_of_a_flat_map_stands_out(value: float) -> None:
    """If the whole picture is unusual alike, no place is invented; noise of the arithmetic is none."""
    noise = np.random.default_rng(0).normal(0, 1e-5, (80, 120)).astype(np.float32)
    assert listed(flat(value) - np.abs(noise)) == ()


# --- drawing --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-4.0, 0.0, LIMIT / 2])
@pytest.mark.parametrize("ground", [0, 128, 255])
def test_good_part_is_untouched(value: float, ground: int) -> None:
    """Up to half the limit no pixel changes."""
    np.testing.assert_array_equal(draw(grey(ground), flat(value)), grey(ground))


def test_never_rescaled_by_the_picture() -> None:
    """A value has the same colour whatever the largest value of the map is."""
    alone = draw(grey(90), with_blob(4.0))
    beside = with_blob(4.0)
    beside[60:70, 80:100] = 40.0
    np.testing.assert_array_equal(draw(grey(90), beside)[20:40, 30:60], alone[20:40, 30:60])


@pytest.mark.parametrize("ground", [0, 60, 128, 200])
def test_hotter_is_redder(ground: int) -> None:
    """From half the limit to the ceiling the picture turns steadily from its own grey to red."""
    levels = np.linspace(LIMIT / 2, CEILING, 40)
    drawn = np.array([draw(grey(ground), flat(level))[0, 0] for level in levels], float)
    redness = drawn[:, 0] - drawn[:, 1]
    assert (np.diff(redness) >= -1).all()
    assert redness[-1] > 60
    assert np.abs(drawn[1] - ground).max() <= 12


def test_ceiling() -> None:
    """Values above the ceiling, even infinity, have the ceiling's colour."""
    ceiling = draw(grey(90), flat(CEILING))
    np.testing.assert_array_equal(draw(grey(90), flat(CEILING * 100)), ceiling)
    np.testing.assert_array_equal(draw(grey(90), flat(np.inf)), ceiling)


def test_defect_is_seen_through() -> None:
    """Under the hottest colour the picture keeps at least two fifths of its contrast."""
    dark, light = (int(draw(grey(value), flat(CEILING))[0, 0].sum()) for value in (50, 150))
    assert light - dark >= 0.4 * 300


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_outline(ground: int) -> None:
    """The line around a region lies outside of it and has contrast on any ground."""
    anomaly_map = with_blob(6.0)
    plain, outlined = draw(grey(ground), anomaly_map), draw(grey(ground), anomaly_map, outlined=True)
    np.testing.assert_array_equal(outlined[21:39, 31:59], plain[21:39, 31:59])
    np.testing.assert_array_equal(outlined[:10], plain[:10])
    rim = outlined[10:50, 20:70].astype(int).sum(axis=2)
    assert rim.max() - rim.min() > 600


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_the_strongest_place_has_a_dashed_line(ground: int) -> None:
    """The line around a place below the limit has gaps, lies outside of it, and is seen on any ground."""
    calm = with_blob(LIMIT - 0.1)
    plain, dashed, solid = (
        heatmap.overlay(grey(ground), calm, limit=LIMIT, ceiling=CEILING, regions=regions).astype(int)
        for regions in (
            (),
            listed(calm),
            [place.model_copy(update={"above_limit": True}) for place in listed(calm)],
        )
    )
    np.testing.assert_array_equal(dashed[21:39, 31:59], plain[21:39, 31:59])
    rim = dashed[10:50, 20:70].sum(axis=2)
    assert rim.max() - rim.min() > 600
    drawn, whole = (np.count_nonzero((each != plain).any(axis=2)) for each in (dashed, solid))
    assert 0.3 * whole < drawn < 0.8 * whole


def test_outline_of_regions_only() -> None:
    """Pixels above the limit that belong to no region are not outlined."""
    anomaly_map = with_blob(6.0)
    anomaly_map[70, 100:103] = 6.0
    plain, outlined = draw(grey(90), anomaly_map), draw(grey(90), anomaly_map, outlined=True)
    np.testing.assert_array_equal(outlined[60:], plain[60:])


@pytest.mark.parametrize("region", [(0, 0), (72, 110)])
def test_region_at_the_border(region: tuple[int, int]) -> None:
    """A region that touches the border is drawn."""
    anomaly_map = flat(0)
    anomaly_map[region[0] : region[0] + 8, region[1] : region[1] + 10] = 9
    assert (draw(grey(90), anomaly_map, outlined=True) != 90).any()


def test_the_picture_is_not_changed() -> None:
    """Drawing changes neither the given picture nor the map, and accepts read-only pictures."""
    pixels, anomaly_map = grey(90), with_blob(8.0)
    pixels.flags.writeable = False
    drawn = draw(pixels, anomaly_map, outlined=True)
    assert drawn.flags.writeable
    np.testing.assert_array_equal(pixels, grey(90))
    np.testing.assert_array_equal(anomaly_map, with_blob(8.0))


@pytest.mark.parametrize("side", [1, 12])
def test_regions_are_outlined_in_a_drawing_of_another_size(side: int) -> None:
    """A smaller drawing outlines the picture's regions, even one whose peak the smaller map loses."""
    anomaly_map = flat(0.0)
    anomaly_map[20 : 20 + 4 * side, 30 : 30 + side] = LIMIT + 0.1
    found = heatmap.find_regions(anomaly_map, LIMIT)
    plain, outlined = (
        heatmap.overlay(
            grey(90, 40, 60),
            anomaly_map,
            limit=LIMIT,
            ceiling=CEILING,
            regions=regions,
            picture_size=anomaly_map.shape,
        )
        for regions in ((), found)
    )
    rows, columns = np.nonzero((plain != outlined).any(axis=2))
    assert len(found) == 1
    assert abs(rows.mean() - (20 + 2 * side) / 2) < 2
    assert abs(columns.mean() - (30 + side / 2) / 2) < 2


@pytest.mark.parametrize(("limit", "ceiling"), [(0.0, 0.0), (-2.0, -1.0), (3.0, 3.0), (3.0, 1.0)])
def test_odd_scales(limit: float, ceiling: float) -> None:
    """Pixels above the limit are drawn even if the limit is not positive or the ceiling not above it."""
    drawn = heatmap.overlay(grey(90), with_blob(limit + 2, limit - 3), limit=limit, ceiling=ceiling)
    assert (drawn[25, 40] != 90).any()
    assert (drawn[0, 0] == 90).all()


def test_not_a_number() -> None:
    """A map of NaN draws nothing."""
    np.testing.assert_array_equal(draw(grey(90), flat(np.nan), outlined=True), grey(90))
