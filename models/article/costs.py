"""The three reconstruction costs of the article's implementation."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

ROOT_FLOOR = 1e-8  # keeps the gradient of the root finite at 0


def l2sq(x_hat: Tensor, x: Tensor) -> Tensor:
    """Return `0.05·Σ d²` over channels and pixels, averaged over pictures (B, C, H, W) in −1 to 1."""
    return 0.05 * (x_hat - x).square().flatten(1).sum(1).mean()


def l2(x_hat: Tensor, x: Tensor) -> Tensor:
    """Return `0.2·√(1e-8 + Σ d²)` over channels and pixels, averaged over the pictures."""
    return 0.2 * (ROOT_FLOOR + (x_hat - x).square().flatten(1).sum(1)).sqrt().mean()


def l1(x_hat: Tensor, x: Tensor) -> Tensor:
    """Return `0.02·Σ |d|` over channels and pixels, averaged over the pictures."""
    return 0.02 * (x_hat - x).abs().flatten(1).sum(1).mean()


COSTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l2sq": l2sq, "l2": l2, "l1": l1}


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Return `Σ d²` of each picture (B, C, H, W), shape (B,); fits are compared by it."""
    return (x_hat - x).square().flatten(1).sum(1)
