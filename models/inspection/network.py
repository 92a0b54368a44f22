"""The networks: a trunk, an auto-encoder with a spatial latent and no skips, and an anomaly head.

Shapes: B pictures, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM_CHANNELS = 16
EMBEDDING_DIM = 64  # numbers in the embedding of an 8 x 8 px patch
TRUNK_WIDTH = 32  # channels of the trunk at a quarter of the resolution; deeper layers have multiples of it
EVIDENCE_MAPS = 4  # maps of normal models that the head sees
CELL = 4  # pixels on each side of the patch of one logit


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
    """Picture to a latent for each 16 x 16 px patch."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.trunk = Trunk(TRUNK_WIDTH)
        self.to_latent = nn.Conv2d(4 * TRUNK_WIDTH, latent_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to latents (B, d, H/16, W/16)."""
        z: Tensor = self.to_latent(self.trunk(x)[2])
        return z


class Decoder(nn.Module):
    """Latent (B, d, H/16, W/16) to a picture (B, 3, H, W); nothing but the latent enters."""

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        at_16, at_8, at_4 = 2 * width, width, width // 2
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


def evidence(maps: Sequence[Tensor]) -> Tensor:
    """Put the maps of the normal models together for the head.

    Takes maps (B, 1, h, w), of which the first has the size H/8 x W/8; returns (B, maps, H/8, W/8).
    """
    size = maps[0].shape[-2:]
    same = (
        each
        if each.shape[-2:] == size
        else F.interpolate(each, size=size, mode="bilinear", align_corners=False)
        for each in maps
    )
    return torch.cat(list(same), 1)


class Head(nn.Module):
    """Fine features and the maps of the normal models to one anomaly logit for each 4 x 4 px patch.

    The head sees only the finer features, which tell a thin scratch from the grain.  From the deeper ones it
    would learn the few good pictures by heart.  The maps of the normal models stand in for them.

    Parameters
    ----------
    width : int
        The width of the trunk.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_s4 = nn.Sequential(conv(width, 32), conv(32, 32))
        self.from_s8 = conv(2 * width, 32)
        self.from_evidence = nn.Sequential(conv(EVIDENCE_MAPS, 32), conv(32, 32))
        self.join = conv(32, 32)
        self.to_logit = nn.Conv2d(32, 1, 1)
        assert self.to_logit.bias is not None
        nn.init.constant_(self.to_logit.bias, -3.0)  # defects are rare: start at p = 0.05

    def forward(self, s4: Tensor, s8: Tensor, maps: Tensor) -> Tensor:
        """Features and `evidence` to logits (B, 1, H/4, W/4)."""
        h = F.interpolate(self.from_s8(s8) + self.from_evidence(maps), scale_factor=2.0, mode="nearest")
        logits: Tensor = self.to_logit(self.join(h + self.from_s4(s4)))
        return logits


class InspectionNetwork(nn.Module):
    """The auto-encoder: an encoder with the pretrained trunk, and a decoder.

    Parameters
    ----------
    latent_dim : int
        Numbers in the latent of one patch.
    width : int
        Channels of the decoder at an eighth of the resolution.
    """

    def __init__(self, latent_dim: int = 32, width: int = 32) -> None:
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim, width)
