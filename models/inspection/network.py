"""The inspection network: an encoder with a spatial latent, a decoder without skips, and an anomaly head.

Shapes: B pictures, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM_CHANNELS = 16
EMBEDDING_DIM = 64  # numbers in the embedding of an 8 x 8 px patch
DECODER_CHANNELS = (64, 32, 16)  # at a sixteenth, an eighth and a quarter of the resolution
CELL = 4  # pixels on each side of the patch of one logit
RESIDUALS = 6  # numbers of a cell: mean of |x − x_hat| and size of the mean of x − x_hat, for each colour


def conv(c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """`relu(x + f(x))` with f two 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return F.relu(x + self.body(x))


# Embeddings of crops, and of the crops at half their size, to `head_distances`.
Distances = Callable[[Tensor, Tensor], Tensor]


class Encoded(NamedTuple):
    """The encoder's output; w is the width of the trunk, d the dimension of the latent."""

    s4: Tensor  # (B, w, H/4, W/4)
    s8: Tensor  # (B, 2w, H/8, W/8)
    embedding: Tensor  # (B, EMBEDDING_DIM, H/8, W/8)
    z: Tensor  # (B, d, H/16, W/16): the latent


class Trunk(nn.Module):
    """Picture (B, 3, H, W) to features at a quarter, an eighth and a sixteenth of its resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(conv(3, STEM_CHANNELS, 5, 2), conv(STEM_CHANNELS, w, 3, 2), Residual(w))
        self.s8 = nn.Sequential(conv(w, 2 * w, 3, 2), Residual(2 * w))
        self.s16 = nn.Sequential(conv(2 * w, 4 * w, 3, 2), Residual(4 * w))
        self.to_fine = nn.Conv2d(6 * w, EMBEDDING_DIM, 1)
        self.fine_norm = nn.BatchNorm2d(EMBEDDING_DIM, affine=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, 3, H, W) to features of w, 2w and 4w channels, and the embedding."""
        s4 = self.stem(x)
        s8 = self.s8(s4)
        s16 = self.s16(s8)
        return s4, s8, s16, self.fine_norm(self._to_fine(s8, s16))

    def _to_fine(self, s8: Tensor, s16: Tensor) -> Tensor:
        """`to_fine` of s8 and the enlarged s16; enlarging after the convolution is the same, and cheaper."""
        weight, bias = self.to_fine.weight, self.to_fine.bias
        context = F.conv2d(s16, weight[:, s8.shape[1] :])
        context = F.interpolate(context, scale_factor=2.0, mode="bilinear", align_corners=False)
        return F.conv2d(s8, weight[:, : s8.shape[1]], bias) + context


class Encoder(nn.Module):
    """Picture to a latent for each 16 x 16 px patch, and an embedding for each 8 x 8 px patch."""

    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__()
        self.trunk = Trunk(width)
        self.to_latent = nn.Conv2d(4 * width, latent_dim, 1)

    def forward(self, x: Tensor) -> Encoded:
        """(B, 3, H, W) to features, embedding and latent."""
        s4, s8, s16, embedding = self.trunk(x)
        return Encoded(s4, s8, embedding, self.to_latent(s16))

    def half_size_embedding(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to the embedding of the picture at half its size, (B, EMBEDDING_DIM, H/16, W/16)."""
        embedding: Tensor = self.trunk(F.avg_pool2d(x, 2))[3]
        return embedding


class Decoder(nn.Module):
    """Latent (B, d, H/16, W/16) to a picture (B, 3, H, W); nothing but the latent enters."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        at_16, at_8, at_4 = DECODER_CHANNELS
        self.body = nn.Sequential(
            conv(latent_dim, at_16),
            Residual(at_16),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            conv(at_16, at_8),
            Residual(at_8),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            conv(at_8, at_4),
            Residual(at_4),
            nn.Conv2d(at_4, 3 * CELL**2, 3, 1, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(B, d, h, w) to (B, 3, 16h, 16w)."""
        return F.pixel_shuffle(self.cells(z), CELL)

    def cells(self, z: Tensor) -> Tensor:
        """(B, d, h, w) to the picture cell by cell, (B, 48, 4h, 4w), colour after colour."""
        cells: Tensor = self.body(z)
        return cells


def cells_of(x: Tensor) -> Tensor:
    """Picture (B, C, H, W) cell by cell, (B, 16·C, H/4, W/4), as `F.pixel_unshuffle`.

    ONNX Runtime does these two steps in a fifth of the time.
    """
    b, c, height, width = x.shape
    h, w = height // CELL, width // CELL
    rows = x.reshape(b, c, h, CELL, width).transpose(2, 3)
    return rows.reshape(b, c * CELL, h * w, CELL).transpose(2, 3).reshape(b, c * CELL**2, h, w)


def residual_means(cells: Tensor) -> Tensor:
    """Return `mean |x − x_hat|` and `|mean (x − x_hat)|` of each cell, by colour, (B, 6, h, w).

    Takes `x − x_hat` cell by cell, (B, 48, h, w).
    """
    b, _, h, w = cells.shape
    pixels = cells.reshape(b, 3, CELL**2, h, w)
    return torch.cat([pixels.abs().mean(2), pixels.mean(2).abs()], 1)


def head_distances(embedding: Tensor, half_size: Tensor) -> Tensor:
    """Put two maps of distances to memory banks together for the head.

    Takes distances of embeddings (B, 1, H/8, W/8), and of embeddings of the picture at half its size
    (B, 1, H/16, W/16); returns (B, 2, H/8, W/8).
    """
    half_size = F.interpolate(half_size, size=embedding.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat([embedding, half_size], 1)


class Head(nn.Module):
    """Features, reconstruction residual and distances to one anomaly logit for each 4 x 4 px patch.

    The head sees only the finer features, which tell a thin scratch from the grain.  From the deeper ones it
    would learn the few training pictures by heart.  The distances to the memory banks stand in for them.

    Parameters
    ----------
    width : int
        The width of the trunk.
    sees_distances : bool
        False ignores the distances.
    """

    def __init__(self, width: int, *, sees_distances: bool) -> None:
        super().__init__()
        self.from_s4 = nn.Sequential(conv(width, 32), conv(32, 32))
        self.from_s8 = conv(2 * width, 32)
        self.from_distances = nn.Sequential(conv(2, 32), conv(32, 32)) if sees_distances else None
        self.from_residual = nn.Conv2d(RESIDUALS, 32, 1)
        self.join = conv(32, 32)
        self.to_logit = nn.Conv2d(32, 1, 1)
        assert self.to_logit.bias is not None
        nn.init.constant_(self.to_logit.bias, -3.0)  # defects are rare: start at p = 0.05

    def forward(self, s4: Tensor, s8: Tensor, residual: Tensor, distances: Tensor) -> Tensor:
        """Features, `residual_means` and `head_distances` to logits (B, 1, H/4, W/4)."""
        h = self.from_s8(s8)
        if self.from_distances is not None:
            h = h + self.from_distances(distances)
        h = F.interpolate(h, scale_factor=2.0, mode="nearest")
        logits: Tensor = self.to_logit(self.join(h + self.from_s4(s4) + self.from_residual(residual)))
        return logits


class InspectionNetwork(nn.Module):
    """Encoder, decoder and head, trained together.

    Parameters
    ----------
    width : int
        Channels of the trunk at a quarter of the resolution; the deeper layers have a multiple of it.
    latent_dim : int
        Numbers in the latent of one patch.
    sees_distances : bool
        True if the head sees distances to memory banks.  A trunk that learns would move away from the banks.
    """

    def __init__(self, width: int = 32, latent_dim: int = 32, *, sees_distances: bool = True) -> None:
        super().__init__()
        self.encoder = Encoder(width, latent_dim)
        self.decoder = Decoder(latent_dim)
        self.head = Head(width, sees_distances=sees_distances)

    def forward(self, x: Tensor, distances: Distances | None = None) -> tuple[Encoded, Tensor, Tensor]:
        """Picture (B, 3, H, W) to the encoder's output, the reconstruction, and logits.

        No gradient of the head reaches the decoder.  Without `distances` the head sees distances of 0.
        """
        encoded = self.encoder(x)
        cells = self.decoder.cells(encoded.z)
        residual = residual_means(cells_of(x) - cells.detach())
        if distances is None:
            to_bank = torch.zeros_like(encoded.embedding[:, :2])
        else:
            to_bank = distances(encoded.embedding, self.encoder.half_size_embedding(x))
        logits = self.head(encoded.s4, encoded.s8, residual, to_bank)
        return encoded, F.pixel_shuffle(cells, CELL), logits
