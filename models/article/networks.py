"""The article's auto-encoder for 64 x 64 px colour pictures: a DCGAN encoder and two decoders.

The networks are those of the authors' implementation of Tolstikhin et al., "Wasserstein Auto-Encoders",
ICLR 2018, with TensorFlow's SAME padding: for kernel 5 and stride 2 that is one pixel before, two after.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.article.regularizers import Regularizer

SIDE = 64  # px
KERNEL = 5
WEIGHT_STD = 0.01


class DcganEncoder(nn.Module):
    """Picture to one latent vector: four strided convolutions, then a linear layer.

    Parameters
    ----------
    latent_dim : int
    width : int
        Channels of the last convolution; the ones before have an eighth, a quarter and a half.
    """

    def __init__(self, latent_dim: int, width: int = 1024) -> None:
        super().__init__()
        channels = [3, width // 8, width // 4, width // 2, width]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(c_in, c_out, KERNEL, 2) for c_in, c_out in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c, eps=1e-5, momentum=0.1) for c in channels[1:])
        self.to_latent = nn.Linear(4 * 4 * width, latent_dim)
        _initialise(self)

    def features(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, 64, 64) in −1 to 1 to the input of the linear layer, (B, 16·width)."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(F.pad(x, (1, 2, 1, 2)))))  # halves H and W
        return x.flatten(1)  # (B, width, 4, 4) -> (B, 16·width)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, 3, 64, 64) in −1 to 1 to latents (B, latent_dim)."""
        z: Tensor = self.to_latent(self.features(x))
        return z


class DcganDecoder(nn.Module):
    """Decodes a latent vector to a picture.

    The plain form begins at 4 x 4 px and ends with a stride of 2; the modified one (*dcgan_mod*)
    begins at 8 x 8 px and ends with a stride of 1.

    Parameters
    ----------
    latent_dim : int
    width : int
        Channels at the start.
    modified : bool
        *dcgan_mod* instead of *dcgan*.
    """

    def __init__(self, latent_dim: int, width: int = 1024, *, modified: bool = False) -> None:
        super().__init__()
        self.start = 8 if modified else 4
        self.modified, self.width = modified, width
        channels = [width, width // 2, width // 4, width // 8]
        self.from_latent = nn.Linear(latent_dim, self.start**2 * width)
        self.blocks = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, KERNEL, 2, padding=1) for c_in, c_out in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c, eps=1e-5, momentum=0.1) for c in channels[1:])
        stride, padding = (1, 2) if modified else (2, 1)
        self.to_picture = nn.ConvTranspose2d(channels[-1], 3, KERNEL, stride, padding=padding)
        _initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents (B, latent_dim) to pictures (B, 3, 64, 64) in −1 to 1."""
        x = F.relu(self.from_latent(z))
        x = x.reshape(-1, self.width, self.start, self.start)  # (B, width·start²) -> (B, width, start, start)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = F.relu(norm(_cropped(block(x))))  # doubles H and W
        x = self.to_picture(x)
        return (x if self.modified else _cropped(x)).tanh()


class AutoEncoder(nn.Module):
    """Encoder, decoder, and the regularizer that turns the encoder's output into latents.

    Parameters
    ----------
    latent_dim, width : int
    decoder : str
        `dcgan` or `dcgan_mod`.
    regularizer : Regularizer
    """

    def __init__(self, latent_dim: int, width: int, decoder: str, regularizer: Regularizer) -> None:
        super().__init__()
        self.encoder = DcganEncoder(latent_dim * regularizer.outputs, width)
        self.decoder = DcganDecoder(latent_dim, width, modified=decoder == "dcgan_mod")
        self.regularizer = regularizer

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents (B, d) by which pictures (B, 3, 64, 64) are scored; nothing is drawn."""
        return self.regularizer.mean(self.encoder(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstructions of pictures (B, 3, 64, 64)."""
        x_hat: Tensor = self.decoder(self.encode(x))
        return x_hat

    @torch.no_grad()
    def scale_latents(self, factor: float) -> None:
        """Multiply all latents by a factor; the decoder divides by it, so reconstructions stay the same."""
        self.encoder.to_latent.weight.mul_(factor)
        self.encoder.to_latent.bias.mul_(factor)
        self.decoder.from_latent.weight.div_(factor)


def _cropped(x: Tensor) -> Tensor:
    """Drop the last row and column, which TensorFlow's SAME padding does not have."""
    return x[..., :-1, :-1]


def _initialise(module: nn.Module) -> None:
    """Draw normal weights of standard deviation 0.01, truncated at 0.02 in convolutions; biases are 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=WEIGHT_STD)
        elif isinstance(layer, nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=WEIGHT_STD, a=-2 * WEIGHT_STD, b=2 * WEIGHT_STD)
        elif isinstance(layer, nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=WEIGHT_STD)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
