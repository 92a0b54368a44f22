"""The article's networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.article.networks import DcganDecoder, DcganEncoder


def trainable(module: nn.Module) -> int:
    """Count parameters that a gradient reaches."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("latent_dim", "encoder", "modified", "plain"),
    [(2, 17_251_330, 17_412_099, 17_264_643), (64, 18_267_200, 21_475_331, 18_280_451)],
)
def test_parameter_counts_equal_the_reference(
    latent_dim: int, encoder: int, modified: int, plain: int
) -> None:
    """At width 1024 each network has as many parameters as the authors' has."""
    assert trainable(DcganEncoder(latent_dim)) == encoder
    assert trainable(DcganDecoder(latent_dim, modified=True)) == modified
    assert trainable(DcganDecoder(latent_dim)) == plain


@pytest.mark.parametrize("modified", [False, True])
def test_a_picture_comes_back_in_its_shape_and_range(modified: bool) -> None:
    """Encoder and either decoder fit together; the output lies in −1 to 1."""
    torch.manual_seed(0)
    z = DcganEncoder(3, 32)(torch.rand(2, 3, 64, 64) * 2 - 1)
    picture = DcganDecoder(3, 32, modified=modified)(z)
    assert z.shape == (2, 3)
    assert picture.shape == (2, 3, 64, 64)
    assert float(picture.detach().abs().max()) <= 1


def test_transposed_convolution_is_the_adjoint_of_same_padding() -> None:
    """The decoder's padding of 1 and dropped edge match the encoder's SAME padding."""
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    y = nn.functional.conv2d(nn.functional.pad(x, (1, 2, 1, 2)), weight, stride=2)
    probe = torch.randn_like(y)
    (adjoint,) = torch.autograd.grad(y, x, probe)
    transposed = nn.functional.conv_transpose2d(probe, weight, stride=2, padding=1)[..., :-1, :-1]
    torch.testing.assert_close(transposed, adjoint)


def test_weights_start_as_the_reference_starts_them() -> None:
    """Standard deviation 0.01, convolutions cut off at two of them, biases zero."""
    torch.manual_seed(0)
    encoder = DcganEncoder(8, 256)
    last = list(encoder.convolutions.parameters())[-2]
    assert float(last.detach().abs().max()) <= 0.02
    assert float(encoder.to_latent.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert float(encoder.to_latent.bias.detach().abs().max()) == 0
