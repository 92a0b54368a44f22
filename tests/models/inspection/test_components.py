"""The table of components, and everything that is read from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.inspection import components
from models.inspection.components import COMPONENTS, Component, Map
from models.inspection.detector import pooled
from models.inspection.features import View
from models.inspection.units import Units, by_position, overall


def test_columns_and_weights_are_those_of_the_table() -> None:
    """Each map has one column a share; components without a weight are shown, and do not count."""
    assert len(components.columns()) == sum(len(each.shares) for each in components.maps())
    assert [column.component for column in components.columns()[:4]] == ["reconstruction"] * 2 + [
        "latent_mmd"
    ] * 2
    assert not {"reconstruction", "latent_mmd"} & components.weights().keys()
    assert sum(components.weights().values()) == pytest.approx(1)


def test_a_row_is_all_that_a_component_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row brings its columns, its weight and the normal models that it reads."""

    def brightness(view: View) -> Tensor:
        return view.features.x.mean(1, keepdim=True)

    row = Component("brightness", (Map((brightness,), shares=(0.1, 0.5, 1.0)),), weight=0.5)
    monkeypatch.setattr(components, "COMPONENTS", (row,))
    assert [(column.component, column.share) for column in components.columns()] == [
        ("brightness", 0.1),
        ("brightness", 0.5),
        ("brightness", 1.0),
    ]
    assert components.weights() == {"brightness": 0.5}
    assert components.learned() == []


def test_normal_models_are_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head and the distance read the same banks; a model that no component reads is not learned."""
    assert len(components.learned()) == 5
    without = tuple(replace(each) for each in COMPONENTS if each.name != "latent_mmd_coarse")
    monkeypatch.setattr(components, "COMPONENTS", without)
    assert components.LATENT_BANK not in components.learned()


def test_pooling_is_the_mean_of_the_largest_values() -> None:
    """Each share's column is the mean of that many largest values."""
    values = torch.arange(1000, dtype=torch.float32)[torch.randperm(1000)].reshape(1, 1, 20, 50)
    torch.testing.assert_close(pooled(values, (0.0007, 0.005)), torch.tensor([[999.0, 997.0]]))


def test_units_are_those_of_normal_pictures() -> None:
    """The median becomes 0 and the 99th percentile 1; at each position, the mean becomes about 0."""
    maps = torch.randn(400, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 3 + 7
    in_units = overall(maps)(maps)
    assert float(in_units.median()) == pytest.approx(0, abs=1e-3)
    assert float(in_units.quantile(0.99)) == pytest.approx(1, abs=1e-3)
    ramp = torch.linspace(0, 5, 16).expand(400, 1, 16, 16)
    assert float(by_position(maps + ramp)(maps + ramp).mean((0, 1)).abs().max()) < 0.3
    flat: Units = overall(torch.ones(3, 1, 4, 4))
    assert bool(flat(torch.ones(1, 1, 4, 4)).isfinite().all())
