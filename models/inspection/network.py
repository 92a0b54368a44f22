"""The inspection network: encoder with a spatial latent, decoder without skips, and anomaly head.

At 256 x 256 about 0.6 G multiply-adds, with the look at half the size, and 0.7 M parameters.
Shapes: B pictures, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM_CHANNELS = 16
FINE_DIM = 64  # numbers in the code of an 8 x 8 px place
DECODER_CHANNELS = (64, 32, 16)  # at a sixteenth, an eighth and a quarter of the resolution
CELL = 4  # pixels on each side of what a logit is about
RESIDUALS = 6  # of a cell: mean size of x − x_hat, and size of its mean, for each colour


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


# Fine codes, and those of the half size, to `nearness`.
Distances = Callable[[Tensor, Tensor], Tensor]


class Codes(NamedTuple):
    """What the encoder sees of a picture; w is the trunk's width."""

    s4: Tensor  # (B, w, H/4, W/4)
    s8: Tensor  # (B, 2w, H/8, W/8)
    fine: Tensor  # (B, FINE_DIM, H/8, W/8)
    z: Tensor  # (B, d, H/16, W/16)


class Trunk(nn.Module):
    """Picture (B, 3, H, W) to features at a quarter, an eighth and a sixteenth of its resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(conv(3, STEM_CHANNELS, 5, 2), conv(STEM_CHANNELS, w, 3, 2), Residual(w))
        self.s8 = nn.Sequential(conv(w, 2 * w, 3, 2), Residual(2 * w))
        self.s16 = nn.Sequential(conv(2 * w, 4 * w, 3, 2), Residual(4 * w))
        self.to_fine = nn.Conv2d(6 * w, FINE_DIM, 1)
        self.fine_norm = nn.BatchNorm2d(FINE_DIM, affine=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, 3, H, W) to features of w, 2w and 4w channels, and fine codes."""
        s4 = self.stem(x)
        s8 = self.s8(s4)
        s16 = self.s16(s8)
        return s4, s8, s16, self.fine_norm(self._to_fine(s8, s16))

    def _to_fine(self, s8: Tensor, s16: Tensor) -> Tensor:
        """`to_fine` of s8 beside s16 at twice its size; what is linear may as well be done before that."""
        weight, bias = self.to_fine.weight, self.to_fine.bias
        context = F.conv2d(s16, weight[:, s8.shape[1] :])
        context = F.interpolate(context, scale_factor=2.0, mode="bilinear", align_corners=False)
        return F.conv2d(s8, weight[:, : s8.shape[1]], bias) + context


class Encoder(nn.Module):
    """Picture (B, 3, H, W) to a code of d numbers for each 16 x 16 px place, and finer ones for 8 x 8 px."""

    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__()
        self.trunk = Trunk(width)
        self.to_latent = nn.Conv2d(4 * width, latent_dim, 1)

    def forward(self, x: Tensor) -> Codes:
        """(B, 3, H, W) to features and codes."""
        s4, s8, s16, fine = self.trunk(x)
        return Codes(s4, s8, fine, self.to_latent(s16))

    def wide(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to the fine codes of the picture at half its size, (B, FINE_DIM, H/16, W/16)."""
        codes: Tensor = self.trunk(F.avg_pool2d(x, 2))[3]
        return codes


class Decoder(nn.Module):
    """Codes (B, d, H/16, W/16) to a picture (B, 3, H, W); all of it passes through the codes."""

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
        """(B, d, h, w) to the picture cell by cell, (B, 48, 4h, 4w): the pixels of one colour together."""
        cells: Tensor = self.body(z)
        return cells


def cells_of(x: Tensor) -> Tensor:
    """Picture (B, C, H, W) cell by cell, (B, 16·C, H/4, W/4), as `F.pixel_unshuffle`.

    In two steps ONNX Runtime does it in a fifth of the time: whole rows change places first.
    """
    b, c, height, width = x.shape
    h, w = height // CELL, width // CELL
    rows = x.reshape(b, c, h, CELL, width).transpose(2, 3)
    return rows.reshape(b, c * CELL, h * w, CELL).transpose(2, 3).reshape(b, c * CELL**2, h, w)


def residual_means(cells: Tensor) -> Tensor:
    """x − x_hat cell by cell, (B, 48, h, w), to mean size and size of the mean by colour, (B, 6, h, w)."""
    b, _, h, w = cells.shape
    pixels = cells.reshape(b, 3, CELL**2, h, w)
    return torch.cat([pixels.abs().mean(2), pixels.mean(2).abs()], 1)


def nearness(fine: Tensor, wide: Tensor) -> Tensor:
    """Kernel distances (B, 1, H/8, W/8) and, of the half size, (B, 1, H/16, W/16), as the head sees them."""
    wide = F.interpolate(wide, size=fine.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat([fine, wide], 1)  # (B, 2, H/8, W/8)


class Head(nn.Module):
    """Features, reconstruction residual and distances to one anomaly logit for each 4 x 4 px place.

    Of the features it sees the finer ones alone, where a thin scratch is told from the grain.  What larger
    surroundings look like it would learn from few pictures, and take any other good part for a defect; for
    that there are the distances, which say how far the codes are from those of other good pictures.

    Parameters
    ----------
    width : int
        Of the trunk.
    compares : bool
        Whether it sees the distances.
    """

    def __init__(self, width: int, *, compares: bool) -> None:
        super().__init__()
        self.from_s4 = nn.Sequential(conv(width, 32), conv(32, 32))
        self.from_s8 = conv(2 * width, 32)
        self.from_distances = nn.Sequential(conv(2, 32), conv(32, 32)) if compares else None
        self.from_residual = nn.Conv2d(RESIDUALS, 32, 1)
        self.join = conv(32, 32)
        self.to_logit = nn.Conv2d(32, 1, 1)
        assert self.to_logit.bias is not None
        nn.init.constant_(self.to_logit.bias, -3.0)  # defects are rare: start at p = 0.05

    def forward(self, codes: Codes, residual: Tensor, near: Tensor) -> Tensor:
        """Features, `residual_means` (B, 6, H/4, W/4), `nearness` (B, 2, H/8, W/8) to (B, 1, H/4, W/4)."""
        h = self.from_s8(codes.s8)
        if self.from_distances is not None:
            h = h + self.from_distances(near)
        h = F.interpolate(h, scale_factor=2.0, mode="nearest")
        logits: Tensor = self.to_logit(self.join(h + self.from_s4(codes.s4) + self.from_residual(residual)))
        return logits


class InspectionNetwork(nn.Module):
    """Encoder, decoder and head, trained together.

    Parameters
    ----------
    width : int
        Channels of the trunk at a quarter of the resolution; the deeper ones are multiples of it.
    latent_dim : int
        Numbers in the code of one place.
    compares : bool
        Whether the head sees distances to landmarks, which a trunk that learns would move.
    """

    def __init__(self, width: int = 32, latent_dim: int = 32, *, compares: bool = True) -> None:
        super().__init__()
        self.encoder = Encoder(width, latent_dim)
        self.decoder = Decoder(latent_dim)
        self.head = Head(width, compares=compares)

    def forward(self, x: Tensor, distances: Distances | None = None) -> tuple[Codes, Tensor, Tensor]:
        """Picture (B, 3, H, W) to codes, reconstruction and logits; the head teaches no decoder.

        Without `distances` the head takes every code for that of a good picture.
        """
        codes = self.encoder(x)
        cells = self.decoder.cells(codes.z)
        residual = residual_means(cells_of(x) - cells.detach())
        if distances is None:
            near = torch.zeros_like(codes.fine[:, :2])
        else:
            near = distances(codes.fine, self.encoder.wide(x))
        return codes, F.pixel_shuffle(cells, CELL), self.head(codes, residual, near)
