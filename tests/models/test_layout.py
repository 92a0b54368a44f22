"""The layout: brightness and edges of places, judged by what the other places say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.layout import FEATURES, GRIDS, SIZES, Gaussian, GoodLayouts, Layout, features, misfit

SIDE = 128
PLACES = GRIDS[0]


def pictures(count: int, seed: int) -> Tensor:
    """Pictures (n, 3, 128, 128): a gradient whose strength varies, under light that varies, and noise."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(-1, 1, SIDE).expand(SIDE, SIDE)
    strength, light = (torch.rand(count, 1, 1, 1, generator=generator) for _ in range(2))
    x = 0.5 + 0.2 * strength * ramp + 0.01 * torch.randn(count, 3, SIDE, SIDE, generator=generator)
    return x * (0.6 + 0.6 * light)


@pytest.fixture(scope="module")
def layout() -> Layout:
    """Learned from 60 of them."""
    rows = features(pictures(60, 0))
    return Layout(GoodLayouts(rows, np.arange(60), seed=0).without(np.array([])))


def by_place(values: np.ndarray, places: int) -> np.ndarray:
    """Means over equal places: (n, 128, 128) to (n, places, places), by way of a third of a pixel."""
    fine = values.repeat(3, 1).repeat(3, 2)  # 384 divides by 16, 12 and 8
    side = fine.shape[1] // places
    means: np.ndarray = fine.reshape(-1, places, side, places, side).mean((2, 4))
    return means


def grids(rows: Tensor) -> list[Tensor]:
    """Features (n, 2320) as (n, 5, places, places), grid by grid."""
    parts = zip(torch.split(rows, SIZES, 1), GRIDS, strict=True)
    return [part.reshape(-1, FEATURES, places, places) for part, places in parts]


def test_features_are_logs_of_brightness_and_of_differences() -> None:
    """Computed a second time with numpy; a flat picture has no edge anywhere, not at its border either."""
    x = pictures(2, 5)
    grey = x.mean(1).numpy().astype(np.float64)
    padded = np.pad(grey, ((0, 0), (1, 0), (1, 1)), mode="edge")
    neighbours = [padded[:, 1:, :-2], padded[:, :-1, 1:-1], padded[:, :-1, :-2], padded[:, :-1, 2:]]
    for places, found in zip(GRIDS, grids(features(x)), strict=True):
        mean = by_place(grey, places)
        whole = mean.mean((1, 2), keepdims=True)
        differences = [by_place(np.abs(grey - each), places) / whole for each in neighbours]
        expected = [
            np.log(mean / whole),
            *(np.log(each + 0.03) for each in differences),
        ]
        np.testing.assert_allclose(found, np.stack(expected, 1), atol=1e-4)
    for flat in grids(features(torch.full((1, 3, SIDE, SIDE), 0.3))):
        torch.testing.assert_close(flat[:, 0], torch.zeros_like(flat[:, 0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(flat[:, 1:], torch.full_like(flat[:, 1:], np.log(0.03)), atol=1e-3, rtol=0)


def test_a_line_shows_in_the_directions_across_it() -> None:
    """A horizontal line differs from what is above it, and not from what is left of it."""
    x = torch.full((1, 3, SIDE, SIDE), 0.5)
    x[..., 60, :] = 0.3
    _, left, above, above_left, above_right = grids(features(x))[0][0]
    assert left[7].std() < 1e-5
    for across in (above, above_left, above_right):
        assert (across[7] > left[7] + 0.5).all()


def test_the_misfit_of_a_place_is_the_root_mean_square_of_its_features() -> None:
    """By hand, where no feature says anything about another; less counts where much is unusual."""
    rows = [torch.zeros(1, FEATURES, places, places) for places in GRIDS]
    rows[0][0, :2, 3, 4] = torch.tensor([3.0, 4.0])
    free = tuple(
        Gaussian(torch.zeros(size), torch.ones(size), torch.zeros(size, 1), torch.zeros(1, size))
        for size in SIZES
    )

    def found(rows: list[Tensor]) -> Tensor:
        return misfit(torch.cat([each.flatten(1) for each in rows], 1), free)

    size = 5 / FEATURES**0.5
    expected = torch.zeros(1, 1, PLACES, PLACES)
    expected[0, 0, 3, 4] = size / (size / PLACES**2) ** 0.5 / len(GRIDS)
    torch.testing.assert_close(found(rows), expected)
    rows[0][0, :, :, 8:] = 1.0
    assert found(rows)[0, 0, 3, 4] < 0.5 * expected[0, 0, 3, 4]
    everywhere = [torch.full_like(each, 4.0) for each in rows]
    torch.testing.assert_close(found(everywhere), torch.full((1, 1, PLACES, PLACES), 2.0))


def test_light_and_gradients_that_good_pictures_have_are_no_misfit(layout: Layout) -> None:
    """Other good pictures fit; a dark place and a rough one stand out."""
    good, spoilt = layout(pictures(20, 1)), pictures(2, 2)
    spoilt[0, :, 40:48, 64:72] *= 0.8
    spoilt[1, :, 80:88, 16:24] += 0.05 * torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
    dark, rough = layout(spoilt)
    assert good.max() < 3
    assert dark.argmax() == 5 * PLACES + 8
    assert rough.argmax() == 10 * PLACES + 2
    assert min(dark.max(), rough.max()) > 2 * good.max()


def test_a_picture_is_judged_by_others() -> None:
    """Look-alikes do not vouch for each other apart, and do alone; nobody vouches for itself."""
    rows = features(pictures(24, 4))
    rows[20:22, 7] += 1.0  # two look-alikes that differ from all the others
    owners = np.r_[np.arange(20), 20, 20, 21, 22]
    layouts = GoodLayouts(rows, owners, seed=0)
    known = misfit(rows, layouts.without(np.array([])))
    alone, apart = layouts.alone(), layouts.apart()
    assert apart.shape == alone.shape == (24, 1, PLACES, PLACES)
    assert (apart[20, 0, 0, 7] > 2 * known[20, 0, 0, 7]).all()
    torch.testing.assert_close(
        misfit(rows[20:22], layouts.without(np.array([20])))[0, 0, 0, 7], apart[20, 0, 0, 7], rtol=0.5, atol=0
    )
    torch.testing.assert_close(layouts.again(rows[3:5], np.array([3, 4])), apart[3:5])


def test_another_layout_for_a_while(layout: Layout) -> None:
    """It judges by the other one, and afterwards by its own again."""
    x = pictures(1, 9)
    before = layout(x)
    other = GoodLayouts(features(pictures(10, 8)), np.arange(10), seed=0).without(np.array([]))
    with layout.instead(other):
        assert not torch.equal(layout(x), before)
    assert torch.equal(layout(x), before)
