"""The layout: places of a picture, judged by what the other places say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.inspection.context import DIRECTIONS, Gaussian, GoodLayouts, Layout, misfit
from models.inspection.patches import LIGHT, light, sizes

SIDE = 128
PLACES = LIGHT[0][0]


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
    return good_layouts(light(pictures(60, 0)), np.arange(60)).layout()


def good_layouts(rows: Tensor, owners: np.ndarray) -> GoodLayouts:
    """Of pictures' light."""
    return GoodLayouts(rows, LIGHT, owners, seed=0)


def test_the_misfit_of_a_place_is_the_root_mean_square_of_its_features() -> None:
    """By hand, where no feature says anything about another; less counts where much is unusual."""
    rows = [torch.zeros(1, numbers, places, places) for places, numbers in LIGHT]
    rows[0][0, :2, 3, 4] = torch.tensor([3.0, 4.0])
    free = tuple(
        Gaussian(torch.zeros(size), torch.ones(size), torch.zeros(size, 1), torch.zeros(1, size))
        for size in sizes(LIGHT)
    )

    def found(rows: list[Tensor]) -> Tensor:
        return misfit(torch.cat([each.flatten(1) for each in rows], 1), free, LIGHT)

    size = 5 / LIGHT[0][1] ** 0.5
    expected = torch.zeros(1, 1, PLACES, PLACES)
    expected[0, 0, 3, 4] = size / (size / PLACES**2) ** 0.5 / len(LIGHT)
    torch.testing.assert_close(found(rows), expected)
    rows[0][0, :, :, 8:] = 1.0
    assert found(rows)[0, 0, 3, 4] < 0.5 * expected[0, 0, 3, 4]
    everywhere = [torch.full_like(each, 4.0) for each in rows]
    torch.testing.assert_close(found(everywhere), torch.full((1, 1, PLACES, PLACES), 2.0))


def test_light_and_gradients_that_good_pictures_have_are_no_misfit(layout: Layout) -> None:
    """Other good pictures fit; a dark place and a rough one stand out."""
    good, spoilt = layout(light(pictures(20, 1))), pictures(2, 2)
    spoilt[0, :, 40:48, 64:72] *= 0.8
    spoilt[1, :, 80:88, 16:24] += 0.05 * torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
    dark, rough = layout(light(spoilt))
    assert good.max() < 3
    assert dark.argmax() == 5 * PLACES + 8
    assert rough.argmax() == 10 * PLACES + 2
    assert min(dark.max(), rough.max()) > 2 * good.max()


def test_a_picture_is_judged_by_others() -> None:
    """Look-alikes do not vouch for each other apart, and do alone; nobody vouches for itself."""
    rows = light(pictures(24, 4))
    rows[20:22, 7] += 1.0  # two look-alikes that differ from all the others
    owners = np.r_[np.arange(20), 20, 20, 21, 22]
    layouts = good_layouts(rows, owners)
    known = layouts.layout()(rows)
    alone, apart = layouts.alone(), layouts.apart()
    assert apart.shape == alone.shape == (24, 1, PLACES, PLACES)
    assert (apart[20, 0, 0, 7] > 2 * known[20, 0, 0, 7]).all()
    torch.testing.assert_close(
        misfit(rows[20:22], layouts.without(np.array([20])), LIGHT)[0, 0, 0, 7],
        apart[20, 0, 0, 7],
        rtol=0.5,
        atol=0,
    )
    torch.testing.assert_close(layouts.again(rows[3:5], np.array([3, 4])), apart[3:5])


def test_another_layout_for_a_while(layout: Layout) -> None:
    """It judges by the other one, and afterwards by its own again."""
    rows = light(pictures(1, 9))
    before = layout(rows)
    other = good_layouts(light(pictures(10, 8)), np.arange(10)).without(np.array([]))
    with layout.instead(other):
        assert not torch.equal(layout(rows), before)
    assert torch.equal(layout(rows), before)


def test_what_is_learned_does_not_grow_with_the_number_of_pictures() -> None:
    """At most so many directions, also without some of the pictures."""
    layouts = good_layouts(light(pictures(DIRECTIONS + 20, 6)), np.arange(DIRECTIONS + 20))
    for gaussians in (layouts.without(np.array([])), layouts.without(np.arange(40))):
        assert {gaussian.along.shape[1] for gaussian in gaussians} == {DIRECTIONS}
