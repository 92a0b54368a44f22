"""The context model: patches of a picture, predicted from the rest of the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.inspection.context import DIRECTIONS, ContextModel
from models.inspection.patches import LIGHT_GRIDS, light_patches, sizes

SIDE = 128
PATCHES = LIGHT_GRIDS[0][0]


def pictures(count: int, seed: int) -> Tensor:
    """Pictures (n, 3, 128, 128): a gradient whose strength varies, under light that varies, and noise."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(-1, 1, SIDE).expand(SIDE, SIDE)
    strength, light = (torch.rand(count, 1, 1, 1, generator=generator) for _ in range(2))
    x = 0.5 + 0.2 * strength * ramp + 0.01 * torch.randn(count, 3, SIDE, SIDE, generator=generator)
    return x * (0.6 + 0.6 * light)


@pytest.fixture(scope="module")
def model() -> ContextModel:
    """Learned from 60 pictures."""
    return ContextModel(light_patches(pictures(60, 0)), LIGHT_GRIDS)


def test_the_misfit_is_the_root_mean_square_of_the_residuals() -> None:
    """By hand, where no number predicts another; less counts where much of the picture is unusual."""
    rows = [torch.zeros(1, numbers, patches, patches) for patches, numbers in LIGHT_GRIDS]
    rows[0][0, :2, 3, 4] = torch.tensor([3.0, 4.0])
    free = ContextModel(torch.randn(4, sum(sizes(LIGHT_GRIDS))), LIGHT_GRIDS)
    for grid in free.residuals:
        for name, value in (("middle", 0.0), ("scale", 1.0), ("along", 0.0)):
            getattr(grid, name).fill_(value)

    def found(rows: list[Tensor]) -> Tensor:
        misfit: Tensor = free(torch.cat([each.flatten(1) for each in rows], 1))
        return misfit

    size = 5 / LIGHT_GRIDS[0][1] ** 0.5
    expected = torch.zeros(1, 1, PATCHES, PATCHES)
    expected[0, 0, 3, 4] = size / (size / PATCHES**2) ** 0.5 / len(LIGHT_GRIDS)
    torch.testing.assert_close(found(rows), expected)
    rows[0][0, :, :, 8:] = 1.0
    assert found(rows)[0, 0, 3, 4] < 0.5 * expected[0, 0, 3, 4]
    everywhere = [torch.full_like(each, 4.0) for each in rows]
    torch.testing.assert_close(found(everywhere), torch.full((1, 1, PATCHES, PATCHES), 2.0))


def test_usual_light_and_gradients_are_no_misfit(model: ContextModel) -> None:
    """Other good pictures fit; a dark patch and a rough one stand out."""
    good, spoilt = model(light_patches(pictures(20, 1))), pictures(2, 2)
    spoilt[0, :, 40:48, 64:72] *= 0.8
    spoilt[1, :, 80:88, 16:24] += 0.05 * torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
    dark, rough = model(light_patches(spoilt))
    assert good.max() < 3
    assert dark.argmax() == 5 * PATCHES + 8
    assert rough.argmax() == 10 * PATCHES + 2
    assert min(dark.max(), rough.max()) > 2 * good.max()


def test_without_a_picture_its_oddity_is_a_misfit() -> None:
    """A patch that is odd in two pictures fits a model that knows both, and no model without them."""
    rows = light_patches(pictures(24, 4))
    rows[20:22, 7] += 1.0
    known = ContextModel(rows, LIGHT_GRIDS)
    without = known.without(np.isin(np.arange(24), (20, 21)))
    assert float(without(rows[20:21])[0, 0, 0, 7]) > 2 * float(known(rows[20:21])[0, 0, 0, 7])
    torch.testing.assert_close(
        without(rows[:5]), ContextModel(torch.cat([rows[:20], rows[22:]]), LIGHT_GRIDS)(rows[:5])
    )


def test_the_model_does_not_grow_with_the_number_of_pictures() -> None:
    """It has at most 128 directions."""
    model = ContextModel(light_patches(pictures(DIRECTIONS + 20, 6)), LIGHT_GRIDS)
    assert {grid.get_buffer("along").shape[1] for grid in model.residuals} == {DIRECTIONS}
