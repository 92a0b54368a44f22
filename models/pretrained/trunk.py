"""Trains the trunk to find the patches of rendered scenes that do not fit.

A patch with a defect must be farther from the good patches of the scene's other pictures than good patches
are (`ranking`), and a good patch must find its nearest neighbour in its own scene rather than in another one
(`identity`).  Two more losses keep information that the rendered defects do not need: an embedding must be
found again under other light (`matching`), and a picture of its patch is drawn from it (`detail`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.inspection.network import EMBEDDING_DIM, Trunk
from models.pretrained.episodes import COMPARABLE, PICTURES, Episode
from models.pretrained.learner import EpisodeLearner
from models.pretrained.weights import PRETRAINED_WIDTH

EMA_DECAY = 0.998
DEEP_WEIGHT, IDENTITY_WEIGHT, DETAIL_WEIGHT, MATCHING_WEIGHT = 0.5, 0.3, 0.5, 0.1
GOOD, BAD = 0.02, 0.5  # a patch is good below the first label, and bad above the second
MARGIN, SOFTNESS = 0.3, 0.3  # of log distances
HARD = 3.0  # weight of the farthest good patches


def ranking(embeddings: Tensor, label: Tensor, border: int, generator: torch.Generator) -> Tensor:
    """Return a loss that is high if good patches lie farther from the scene's other pictures than bad ones.

    `mean_ij w_j · softplus((s_j − s_i + m) / τ)` over bad patches i and good patches j of each scene, with
    `s = log(min_r ‖e − e_r‖² / d)` over the good patches r of the scene's other pictures.  w_j is greater for
    the farthest good patches, because a picture is judged by those.

    Parameters
    ----------
    embeddings : Tensor (B, d, h, w)
    label : Tensor (B, 1, h, w)
    border : int
        Patches that are left out at each border, because they see beyond the picture.
    generator : torch.Generator
        Draws the patches that are compared.
    """
    inner = slice(border, -border or None)
    embeddings, label = embeddings[:, :, inner, inner], label[:, :, inner, inner]
    d, patches = embeddings.shape[1], embeddings.shape[2] * embeddings.shape[3]
    e = embeddings.permute(0, 2, 3, 1).reshape(-1, PICTURES * patches, d)  # (scenes, pictures·h·w, d)
    flat = label.reshape(-1, PICTURES * patches)
    squares = e.square().sum(-1)
    far = (squares[:, :, None] + squares[:, None, :] - 2 * e @ e.transpose(1, 2)).clamp_min(0) / d
    picture = torch.arange(PICTURES).repeat_interleave(patches)
    excluded = (picture[:, None] == picture[None]) | (flat > COMPARABLE)[:, None, :]
    logs = torch.log(far.masked_fill(excluded, 1e4).min(-1).values + 1e-3)  # (scenes, pictures·h·w)
    losses = [
        _ranked(s[y < GOOD], s[y > BAD], generator)
        for s, y in zip(logs, flat, strict=True)
        if int((y > BAD).sum()) >= 2
    ]
    return torch.stack(losses).sum() / max(len(losses), 1) if losses else embeddings.new_zeros(())


def _ranked(good: Tensor, bad: Tensor, generator: torch.Generator) -> Tensor:
    """Return the ranking loss of one scene: log distances of good and of bad patches to a scalar."""
    good = good[torch.randperm(len(good), generator=generator)[:160]]
    bad = bad[torch.randperm(len(bad), generator=generator)[:96]]
    far = good.detach() > good.detach().topk(max(1, len(good) // 6)).values.mean()
    weight = 1 + (HARD - 1) * far.float()
    gap = (good[None] + MARGIN - bad[:, None]) / SOFTNESS
    return SOFTNESS * (weight * F.softplus(gap) / weight.sum()).sum(1).mean()


def identity(embeddings: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
    """Return a loss that is low if the patch nearest to a good patch belongs to the same scene.

    It is the cross-entropy of the scene, predicted by the nearest patch in each scene's pictures.
    """
    embeddings, label = embeddings[:, :, 1:-1, 1:-1], label[:, :, 1:-1, 1:-1]
    b, d = embeddings.shape[:2]
    e = embeddings.permute(0, 2, 3, 1).flatten(1, 2)  # (B, h·w, d)
    flat = label.flatten(1)
    q, q_label, q_picture = _sampled(e, flat, 24, generator)
    r, r_label, r_picture = _sampled(e, flat, 40, generator)
    far = (q.square().sum(1)[:, None] + r.square().sum(1)[None] - 2 * q @ r.T).clamp_min(0) / d
    excluded = (q_picture[:, None] == r_picture[None]) | (r_label > COMPARABLE)[None]
    nearest = far.masked_fill(excluded, 1e4).reshape(len(q), b // PICTURES, -1).min(-1).values
    logits = -3 * torch.log(nearest + 1e-2)  # (patches, scenes)
    good = q_label < COMPARABLE
    return F.cross_entropy(logits[good], (q_picture // PICTURES)[good])


def matching(embeddings: Tensor, again: Tensor) -> Tensor:
    """Return a loss that is low if each patch is the nearest to itself in a second look at the picture.

    It is the cross-entropy of the patch, predicted by the distances.

    Parameters
    ----------
    embeddings, again : Tensor (B, d, h, w)
        Embeddings of the same pictures under two lights.
    """
    a, b = (e[:, :, 1:-1, 1:-1].permute(0, 2, 3, 1).flatten(1, 2) for e in (embeddings, again))  # (B, h·w, d)
    far = torch.cdist(a, b).square() / a.shape[-1]  # (B, h·w, h·w)
    same = torch.arange(a.shape[1]).repeat(len(a))
    return F.cross_entropy((-3 * torch.log(far + 1e-2)).flatten(0, 1), same)


def detail(drawn: Tensor, pictures: Tensor) -> Tensor:
    """Return the L1 distance of drawn patches from the fine detail of the pictures, at two resolutions.

    The fine detail is `x − lowpass(x)`, 16 px wide, divided by its standard deviation: light does not count.

    Parameters
    ----------
    drawn, pictures : Tensor (B, 3, H, W)
    """
    low = F.interpolate(
        F.avg_pool2d(pictures, 16), size=pictures.shape[-2:], mode="bilinear", align_corners=False
    )
    target = pictures - low
    target = target / (target.flatten(1).std(1)[:, None, None, None] + 0.03)
    coarser = (F.avg_pool2d(drawn, 2) - F.avg_pool2d(target, 2)).abs().mean()
    return (drawn - target).abs().mean() + coarser


def second_look(pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose one picture of each scene, and relight it; rows (scenes,) and pictures (scenes, 3, H, W)."""
    scenes = len(pictures) // PICTURES
    chosen = torch.arange(scenes) * PICTURES + torch.randint(PICTURES, (scenes,), generator=generator)
    x = pictures[chosen]
    mean = x.mean((1, 2, 3), keepdim=True)
    contrast, gain = (
        torch.empty(scenes, 1, 1, 1).uniform_(low, high, generator=generator)
        for low, high in ((0.8, 1.25), (0.9, 1.1))
    )
    x = (x - mean) * contrast + mean * gain
    uneven = F.interpolate(
        torch.randn(scenes, 1, 3, 3, generator=generator), size=x.shape[-1], mode="bicubic"
    )
    noise = torch.randn(x.shape, generator=generator)
    return chosen, (x * (1 + 0.12 * uneven) + 0.015 * noise).clamp(0, 1)


def _sampled(
    e: Tensor, label: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw patches of each picture; embeddings (B·count, d), labels and picture numbers (B·count,)."""
    b, patches, d = e.shape
    pick = torch.randint(patches, (b, count), generator=generator)
    drawn = torch.gather(e, 1, pick[..., None].expand(-1, -1, d)).reshape(-1, d)
    return drawn, torch.gather(label, 1, pick).flatten(), torch.arange(b).repeat_interleave(count)


class TrunkLearner(EpisodeLearner):
    """Trains the trunk, with a layer that draws patches from their embeddings.

    Parameters
    ----------
    seed : int
        Decides the weights at the start.
    steps : int
        The learning rate falls to 0 at this step.
    """

    def __init__(self, seed: int, steps: int) -> None:
        torch.manual_seed(seed)
        self.trunk = Trunk(PRETRAINED_WIDTH).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
        self.to_detail = nn.Sequential(nn.Conv2d(EMBEDDING_DIM, 3 * 64, 1), nn.PixelShuffle(8))
        self.norms = nn.ModuleList(nn.BatchNorm2d(k * PRETRAINED_WIDTH, affine=False) for k in (2, 4))
        super().__init__(self.trunk, [self.to_detail, self.norms], steps=steps, decay=EMA_DECAY)

    def losses(self, episode: Episode, step: int) -> dict[str, Tensor]:
        """Return each loss, and their weighted sum as `total`."""
        generator = torch.Generator().manual_seed(step)
        x, b = episode.pictures, len(episode.pictures)
        chosen, relit = second_look(x, generator)
        with torch.autocast("cpu", torch.bfloat16):
            _, s8, s16, embeddings = self.trunk(
                torch.cat([x, relit]).contiguous(memory_format=torch.channels_last)
            )
        fine, again = embeddings.float().split([b, len(relit)])
        at_8, at_16 = F.max_pool2d(episode.label, 8), F.max_pool2d(episode.label, 16)
        losses = {
            "fine": ranking(fine, at_8, 1, generator),
            "s8": ranking(self.norms[0](s8[:b].float()), at_8, 1, generator),
            "s16": ranking(self.norms[1](s16[:b].float()), at_16, 0, generator),
            "identity": identity(fine, at_8, generator),
            "detail": detail(self.to_detail(fine), x),
            "matching": matching(fine[chosen], again),
        }
        losses["total"] = (
            losses["fine"]
            + DEEP_WEIGHT * (losses["s8"] + losses["s16"])
            + IDENTITY_WEIGHT * losses["identity"]
            + DETAIL_WEIGHT * losses["detail"]
            + MATCHING_WEIGHT * losses["matching"]
        )
        return losses
