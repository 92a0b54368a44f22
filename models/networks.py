"""The inspection network: encoder with a spatial latent, decoder without skips, and anomaly head.

At 256 x 256 about 0.7 G multiply-adds (0.8 with the look at half the size) and 1.0 M parameters.
Shapes: B pictures, C channels, H x W pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM_CHANNELS = 16
FINE_DIM = 64  # numbers in the code of an 8 x 8 px place
DECODER_WIDTH = 12


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


class Codes(NamedTuple):
    """What the encoder sees of a picture; w is the trunk's width."""

    s4: Tensor  # (B, w, H/4, W/4)
    s8: Tensor  # (B, 2w, H/8, W/8)
    s16: Tensor  # (B, 4w, H/16, W/16)
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
        """(B, 3, H, W) to the features of `Codes` without z."""
        s4 = self.stem(x)
        s8 = self.s8(s4)
        s16 = self.s16(s8)
        context = F.interpolate(s16, scale_factor=2.0, mode="bilinear", align_corners=False)
        fine = self.fine_norm(self.to_fine(torch.cat([s8, context], 1)))
        return s4, s8, s16, fine


class Encoder(nn.Module):
    """Picture (B, 3, H, W) to a code of d numbers for each 16 x 16 px place, and finer ones for 8 x 8 px."""

    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__()
        self.trunk = Trunk(width)
        self.to_latent = nn.Conv2d(4 * width, latent_dim, 1)

    def forward(self, x: Tensor) -> Codes:
        """(B, 3, H, W) to features and codes."""
        s4, s8, s16, fine = self.trunk(x)
        return Codes(s4, s8, s16, fine, self.to_latent(s16))

    def wide(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to the fine codes of the picture at half its size, (B, FINE_DIM, H/16, W/16)."""
        codes: Tensor = self.trunk(F.avg_pool2d(x, 2))[3]
        return codes


class Decoder(nn.Module):
    """Codes (B, d, H/16, W/16) to a picture (B, 3, H, W); all of it passes through the codes."""

    def __init__(self, latent_dim: int, width: int = DECODER_WIDTH) -> None:
        super().__init__()
        w = width
        self.body = nn.Sequential(
            conv(latent_dim, 6 * w),
            Residual(6 * w),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            conv(6 * w, 4 * w),
            Residual(4 * w),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            conv(4 * w, 2 * w),
            Residual(2 * w),
            nn.Conv2d(2 * w, 16 * 3, 3, 1, 1),
            nn.PixelShuffle(4),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(B, d, h, w) to (B, 3, 16h, 16w)."""
        picture: Tensor = self.body(z)
        return picture


class Head(nn.Module):
    """Features and reconstruction residual to one anomaly logit for each 4 x 4 px place.

    The trunk may be one that does not learn, so the finer features pass through 3x3 convolutions of the
    head's own: a thin scratch is told from the grain there.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.s32 = nn.Sequential(conv(4 * w, 64, 3, 2), Residual(64))
        self.from_s16 = nn.Conv2d(4 * w, 64, 1)
        self.from_s8 = conv(2 * w, 48)
        self.from_s4 = nn.Sequential(conv(w, 32), conv(32, 32))
        self.down_16 = conv(64, 48)
        self.down_8 = conv(48, 32)
        self.join = conv(32 + 6, 32)
        self.to_logit = nn.Conv2d(32, 1, 1)
        assert self.to_logit.bias is not None
        nn.init.constant_(self.to_logit.bias, -3.0)  # defects are rare: start at p = 0.05

    def forward(self, codes: Codes, residual: Tensor) -> Tensor:
        """Features and x − x_hat (B, 3, H, W) to logits (B, 1, H/4, W/4)."""
        up = F.interpolate(self.s32(codes.s16), size=codes.s16.shape[-2:], mode="nearest")
        h = F.relu(up + self.from_s16(codes.s16))
        h = F.interpolate(self.down_16(h), scale_factor=2.0, mode="nearest")
        h = h + self.from_s8(codes.s8)
        h = F.interpolate(self.down_8(h), scale_factor=2.0, mode="nearest")
        h = h + self.from_s4(codes.s4)
        seen = [h, F.avg_pool2d(residual.abs(), 4), F.avg_pool2d(residual, 4).abs()]
        logits: Tensor = self.to_logit(self.join(torch.cat(seen, 1)))
        return logits


class InspectionNetwork(nn.Module):
    """Encoder, decoder and head, trained together.

    Parameters
    ----------
    width : int
        Channels of the trunk at a quarter of the resolution; the deeper ones are multiples of it.
    latent_dim : int
        Numbers in the code of one place.
    """

    def __init__(self, width: int = 32, latent_dim: int = 32) -> None:
        super().__init__()
        self.encoder = Encoder(width, latent_dim)
        self.decoder = Decoder(latent_dim)
        self.head = Head(width)

    def forward(self, x: Tensor) -> tuple[Codes, Tensor, Tensor]:
        """Picture (B, 3, H, W) to codes, reconstruction and logits; the head teaches no decoder."""
        codes = self.encoder(x)
        x_hat = self.decoder(codes.z)
        return codes, x_hat, self.head(codes, x - x_hat.detach())
