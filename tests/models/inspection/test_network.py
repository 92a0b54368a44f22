"""The inspection network."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models.inspection.features import features_of
from models.inspection.losses import box_mean, dice, focal_bce, reconstruction_loss, ssim
from models.inspection.network import (
    EMBEDDING_DIM,
    EVIDENCE_MAPS,
    TRUNK_WIDTH,
    Head,
    InspectionNetwork,
    cells_of,
    evidence,
)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_shapes(size: int) -> None:
    """Embeddings have an eighth of the resolution, latents a sixteenth, logits a quarter."""
    network, head = InspectionNetwork(12, 8).eval(), Head(TRUNK_WIDTH).eval()
    features = features_of(network, torch.rand(2, 3, size, size))
    assert features.embedding.shape == (2, EMBEDDING_DIM, size // 8, size // 8)
    assert features.half_size_embedding.shape == (2, EMBEDDING_DIM, size // 16, size // 16)
    assert features.latent.shape == (2, 12, size // 16, size // 16)
    assert features.error.shape == (2, 1, size // 4, size // 4)
    assert network.decoder(features.latent).shape == (2, 3, size, size)
    maps = torch.rand(2, EVIDENCE_MAPS, size // 8, size // 8)
    assert head(features.s4, features.s8, maps).shape == (2, 1, size // 4, size // 4)


def test_size_of_the_default_network() -> None:
    """The defaults make an auto-encoder and a head of 0.7 million parameters."""
    parts = InspectionNetwork(), Head(TRUNK_WIDTH)
    assert 0.65e6 < sum(p.numel() for part in parts for p in part.parameters()) < 0.75e6


def test_the_picture_passes_through_the_latent() -> None:
    """The decoder sees nothing but the latent: equal latents give equal pictures."""
    network = InspectionNetwork(12, 8).eval()
    z = torch.randn(1, 12, 4, 4)
    torch.testing.assert_close(network.decoder(z), network.decoder(z.clone()))
    assert not torch.equal(network.decoder(z), network.decoder(z + 1))


def test_the_error_is_the_mean_difference_of_a_cell() -> None:
    """Of all colours over 4 x 4 px."""
    network = InspectionNetwork(12, 8).eval()
    x = torch.rand(2, 3, 64, 64)
    found = features_of(network, x)
    whole = functional.avg_pool2d((x - network.decoder(found.latent)).abs().mean(1, keepdim=True), 4)
    torch.testing.assert_close(found.error, whole, atol=1e-5, rtol=1e-4)


def test_evidence_has_the_size_of_its_first_map() -> None:
    """Coarser maps are enlarged."""
    fine, coarse = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 4, 4)
    found = evidence([fine, coarse])
    assert found[:, :1].equal(fine)
    larger = functional.interpolate(coarse, size=(8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found[:, 1:], larger)


def test_cells_are_those_that_pixel_shuffle_puts_together() -> None:
    """Cell by cell a picture has the same pixels, in any layout of memory."""
    x = torch.rand(2, 3, 32, 48)
    for each in (x, x.contiguous(memory_format=torch.channels_last)):
        assert functional.pixel_shuffle(cells_of(each), 4).equal(x)
    network = InspectionNetwork(12, 8).eval()
    z = torch.randn(1, 12, 4, 4)
    assert cells_of(network.decoder(z)).equal(network.decoder.cells(z))


def test_ssim_is_one_for_equal_pictures_and_less_for_others() -> None:
    """SSIM is 1 at equality and falls with noise."""
    x = torch.rand(1, 3, 32, 32)
    assert float(ssim(x, x)) == pytest.approx(1)
    assert float(ssim(x, x + 0.2 * torch.randn_like(x))) < 0.95
    assert float(reconstruction_loss(x, x)) == pytest.approx(0, abs=1e-6)


def test_the_mean_over_windows_is_that_of_average_pooling() -> None:
    """Sums of sums give each window's mean, and its gradient, as pooling does."""
    x = torch.rand(2, 3, 20, 31, requires_grad=True)
    results = []
    for found in (box_mean(x, 7), functional.avg_pool2d(x, 7, 1)):
        (gradient,) = torch.autograd.grad(found.square().sum(), x)
        results.append((found, gradient))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_focal_and_dice_prefer_the_truth() -> None:
    """Both losses are smaller for logits that agree with the label."""
    label = torch.zeros(1, 1, 8, 8)
    label[..., :4] = 1
    right = (label * 2 - 1) * 5
    for loss in (focal_bce, dice):
        assert float(loss(right, label)) < 0.05 < float(loss(-right, label))
