"""Pictures as rows of numbers: brightness and edges, and embeddings, of each patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.inspection.patches import EMBEDDING_GRIDS, LIGHT_GRIDS, EmbeddingPatches, light_patches, sizes

SIDE = 128


def by_patch(values: np.ndarray, patches: int) -> np.ndarray:
    """Means over equal patches: (n, 128, 128) to (n, patches, patches), by way of a third of a pixel."""
    fine = values.repeat(3, 1).repeat(3, 2)  # 384 divides by 16, 12 and 8
    side = fine.shape[1] // patches
    means: np.ndarray = fine.reshape(-1, patches, side, patches, side).mean((2, 4))
    return means


def grids(rows: Tensor) -> list[Tensor]:
    """Features (n, 2320) as (n, 5, patches, patches), grid by grid."""
    parts = zip(torch.split(rows, sizes(LIGHT_GRIDS), 1), LIGHT_GRIDS, strict=True)
    return [part.reshape(-1, numbers, patches, patches) for part, (patches, numbers) in parts]


def test_features_are_logs_of_brightness_and_of_differences() -> None:
    """Computed a second time with numpy; a flat picture has no edge anywhere, not at its border either."""
    x = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    grey = x.mean(1).numpy().astype(np.float64)
    padded = np.pad(grey, ((0, 0), (1, 0), (1, 1)), mode="edge")
    neighbours = [padded[:, 1:, :-2], padded[:, :-1, 1:-1], padded[:, :-1, :-2], padded[:, :-1, 2:]]
    for patches, found in zip((each for each, _ in LIGHT_GRIDS), grids(light_patches(x)), strict=True):
        mean = by_patch(grey, patches)
        whole = mean.mean((1, 2), keepdims=True)
        differences = [by_patch(np.abs(grey - each), patches) / whole for each in neighbours]
        expected = [
            np.log(mean / whole),
            *(np.log(each + 0.03) for each in differences),
        ]
        np.testing.assert_allclose(found, np.stack(expected, 1), atol=1e-4)
    for flat in grids(light_patches(torch.full((1, 3, SIDE, SIDE), 0.3))):
        torch.testing.assert_close(flat[:, 0], torch.zeros_like(flat[:, 0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(flat[:, 1:], torch.full_like(flat[:, 1:], np.log(0.03)), atol=1e-3, rtol=0)


def test_a_line_shows_in_the_directions_across_it() -> None:
    """A horizontal line differs from the pixels above it, and not from those on its left."""
    x = torch.full((1, 3, SIDE, SIDE), 0.5)
    x[..., 60, :] = 0.3
    _, left, above, above_left, above_right = grids(light_patches(x))[0][0]
    assert left[7].std() < 1e-5
    for across in (above, above_left, above_right):
        assert (across[7] > left[7] + 0.5).all()


@pytest.mark.parametrize("side", [16, 32, 24])
def test_embeddings_of_a_patch_are_means_along_the_principal_axes(side: int) -> None:
    """Embeddings that vary in their last 16 numbers are described by these, whatever the picture's size."""
    generator = torch.Generator().manual_seed(0)
    fine = 1e-3 * torch.randn(6, 64, side, side, generator=generator)
    fine[:, 48:] = torch.randn(6, 16, side, side, generator=generator)
    wide = torch.randn(6, 64, side // 2, side // 2, generator=generator)
    rows = EmbeddingPatches(fine, wide)(fine, wide)
    assert rows.shape == (6, sum(sizes(EMBEDDING_GRIDS)))
    found = rows[:, : sizes(EMBEDDING_GRIDS)[0]].reshape(6, 16, 256)
    means = torch.nn.functional.interpolate(fine[:, 48:], scale_factor=2 if side == 24 else 1)
    means = torch.nn.functional.avg_pool2d(means, means.shape[-1] // 16).flatten(2)
    torch.testing.assert_close(
        found.square().sum(1), means.square().sum(1), rtol=0.05, atol=0.01
    )  # turned, not stretched
