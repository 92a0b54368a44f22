"""The costs of reconstructions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.article.costs import COSTS, squared_error


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Two pairs in float64."""
    generator = torch.Generator().manual_seed(0)
    both = torch.rand(2, 2, 3, 5, 5, generator=generator, dtype=torch.float64) * 2 - 1
    return both[0], both[1]


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("l2sq", lambda d: 0.05 * (d**2).sum((1, 2, 3))),
        ("l2", lambda d: 0.2 * np.sqrt(1e-8 + (d**2).sum((1, 2, 3)))),
        ("l1", lambda d: 0.02 * np.abs(d).sum((1, 2, 3))),
    ],
)
def test_costs_are_sums_over_pixels_and_means_over_pictures(name: str, formula: object) -> None:
    """Each cost equals the reference's formula in numpy."""
    x_hat, x = pictures()
    expected = formula((x_hat - x).numpy()).mean()  # type: ignore[operator]
    assert float(COSTS[name](x_hat, x)) == pytest.approx(expected)


def test_a_perfect_reconstruction_has_finite_gradients() -> None:
    """The root's floor keeps the gradient of `l2` finite where nothing differs."""
    x = torch.zeros(1, 3, 4, 4, requires_grad=True)
    torch.autograd.backward(COSTS["l2"](x, torch.zeros(1, 3, 4, 4)))
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_squared_error_is_one_number_a_picture() -> None:
    """`Σ d²` of each, so that 0.05 of its mean is the default cost."""
    x_hat, x = pictures()
    assert squared_error(x_hat, x).shape == (2,)
    assert float(squared_error(x_hat, x).mean()) == pytest.approx(float(COSTS["l2sq"](x_hat, x)) / 0.05)
