"""The inspection network."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models.inspection.losses import box_mean, dice, focal_bce, objective, reconstruction_loss, ssim
from models.inspection.network import EMBEDDING_DIM, InspectionNetwork, cells_of, residual_means


@pytest.mark.parametrize("size", [64, 128, 256])
def test_shapes(size: int) -> None:
    """Embeddings have an eighth of the resolution, latents a sixteenth, logits a quarter."""
    network = InspectionNetwork(8, 12).eval()
    encoded, x_hat, logits = network(torch.rand(2, 3, size, size))
    assert encoded.embedding.shape == (2, EMBEDDING_DIM, size // 8, size // 8)
    assert encoded.z.shape == (2, 12, size // 16, size // 16)
    assert x_hat.shape == (2, 3, size, size)
    assert logits.shape == (2, 1, size // 4, size // 4)


def test_size_of_the_default_network() -> None:
    """The defaults make a network of 0.7 million parameters."""
    assert 0.65e6 < sum(p.numel() for p in InspectionNetwork().parameters()) < 0.75e6


def test_the_picture_passes_through_the_latent() -> None:
    """The decoder sees nothing but the latent: equal latents give equal pictures."""
    network = InspectionNetwork(8, 12).eval()
    z = torch.randn(1, 12, 4, 4)
    torch.testing.assert_close(network.decoder(z), network.decoder(z.clone()))
    assert not torch.equal(network.decoder(z), network.decoder(z + 1))


def test_cells_are_those_that_pixel_shuffle_puts_together() -> None:
    """Cell by cell a picture has the same pixels, in any layout of memory."""
    x = torch.rand(2, 3, 32, 48)
    for each in (x, x.contiguous(memory_format=torch.channels_last)):
        assert functional.pixel_shuffle(cells_of(each), 4).equal(x)
    network = InspectionNetwork(8, 12).eval()
    z = torch.randn(1, 12, 4, 4)
    assert cells_of(network.decoder(z)).equal(network.decoder.cells(z))


def test_residual_means_are_those_of_average_pooling() -> None:
    """Of each colour the mean size of its residuals, then the size of their mean, over 4 x 4 px."""
    residual = torch.randn(2, 3, 32, 48)
    pooled = functional.avg_pool2d(residual.abs(), 4), functional.avg_pool2d(residual, 4).abs()
    torch.testing.assert_close(residual_means(cells_of(residual)), torch.cat(pooled, 1))


def test_the_head_teaches_no_decoder() -> None:
    """A loss on the logits leaves the decoder without a gradient, and reaches the encoder."""
    network = InspectionNetwork(8, 12)
    _, _, logits = network(torch.rand(2, 3, 64, 64))
    logits.sum().backward()
    assert all(p.grad is None for p in network.decoder.parameters())
    assert all(p.grad is not None for p in network.encoder.trunk.stem.parameters())


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


def test_without_its_weight_the_mmd_is_not_computed() -> None:
    """`mmd_weight=0` gives an MMD of exactly zero."""
    from models.inspection.batches import Batch

    torch.manual_seed(0)
    picture = torch.rand(4, 3, 64, 64)
    batch = Batch(picture, picture, torch.zeros(4, 1, 64, 64), torch.arange(4))
    network = InspectionNetwork(8, 12)
    off = objective(network, batch, torch.Generator().manual_seed(0), mmd_weight=0)
    on = objective(network, batch, torch.Generator().manual_seed(0))
    assert float(off["mmd"]) == 0
    assert float(on["mmd"].detach()) != 0
