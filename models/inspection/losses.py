"""The training losses: reconstruction and MMD of the auto-encoder, and the loss of a head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.mmd import imq_mmd

MMD_PATCHES = 384  # latents compared with the prior in one step
GOOD_LABEL = 0.05  # a patch whose label stays below counts as uncorrupted
BRIGHT, CONTRAST = 0.01, 0.09  # the stabilising constants of SSIM


def box_mean(x: Tensor, window: int) -> Tensor:
    """Return the mean over each window of (B, C, H, W).

    The same as `avg_pool2d` with stride 1, in a twentieth of the time.
    """
    across = F.pad(x.cumsum(-1), (1, 0))
    across = across[..., window:] - across[..., :-window]
    down = F.pad(across.cumsum(-2), (0, 0, 1, 0))
    return (down[..., window:, :] - down[..., :-window, :]) / window**2


def ssim(x: Tensor, y: Tensor, window: int = 7) -> Tensor:
    """Structural similarity with a box window, mean over all positions; 1 for identical pictures.

    `(2·m_x·m_y + c1)(2·cov + c2) / ((m_x² + m_y² + c1)(v_x + v_y + c2))`

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 2004.
    """
    moments = box_mean(torch.cat([x, y, x * x, y * y, x * y], 1), window)
    mean_x, mean_y, square_x, square_y, product = moments.chunk(5, 1)
    var_x, var_y = square_x - mean_x.square(), square_y - mean_y.square()
    cov = product - mean_x * mean_y
    top = (2 * mean_x * mean_y + BRIGHT) * (2 * cov + CONTRAST)
    bottom = (mean_x.square() + mean_y.square() + BRIGHT) * (var_x + var_y + CONTRAST)
    return (top / bottom).mean()


def reconstruction_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """`L1 + 0.5·(1 − SSIM)` at half and quarter resolution, and L1 alone at full; (B, 3, H, W) both.

    The term at full resolution keeps the decoder from painting checkerboards.
    """
    total = F.l1_loss(x_hat, x)
    for factor in (2, 4):
        small, small_hat = F.avg_pool2d(x, factor), F.avg_pool2d(x_hat, factor)
        total = total + F.l1_loss(small_hat, small) + 0.5 * (1 - ssim(small_hat, small))
    return total / 2


def focal_bce(logits: Tensor, label: Tensor) -> Tensor:
    """Binary cross-entropy weighted by `|y − p|` (focal, γ = 1), mean over all patches."""
    weight = (label - torch.sigmoid(logits)).abs().detach()
    return (weight * F.binary_cross_entropy_with_logits(logits, label, reduction="none")).mean()


def dice(logits: Tensor, label: Tensor) -> Tensor:
    """`1 − (2·Σpy + 1) / (Σp² + Σy² + 1)` over the batch."""
    p = torch.sigmoid(logits)
    return 1 - (2 * (p * label).sum() + 1) / (p.square().sum() + label.square().sum() + 1)


def head_loss(logits: Tensor, label: Tensor) -> Tensor:
    """`10·focal_bce + 0.3·dice` of logits and labels (B, 1, h, w)."""
    return 10 * focal_bce(logits, label) + 0.3 * dice(logits, label)


def mmd_of_good_patches(z: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
    """Squared MMD between N(0, I) and the vectors of at most 384 patches without a defect.

    Takes vectors (B, d, h, w) and labels (B, 1, h, w).
    """
    good = z.permute(0, 2, 3, 1)[label[:, 0] < GOOD_LABEL]  # (patches, d)
    pick = torch.randperm(len(good), generator=generator)[:MMD_PATCHES].to(z.device)
    if len(pick) < 2:
        return z.new_zeros(())
    prior = torch.randn(good[pick].shape, generator=generator).to(z.device)
    return imq_mmd(good[pick], prior)
