"""Trains the pretrained trunk on invented scenes.

Usage: `python -m models.pretrained.trunk WORK --output models/pretrained/trunk.safetensors`.

The trunk learns to find what does not fit: a place with a defect must be farther from the good places of
the scene's other pictures than good places are (the ranking), and a good place must find its nearest
neighbour in its own scene rather than in another one (the identity).  So that a code keeps what the
invented defects do not ask for, it must also be found again under other light (the place), and tell what
its place looks like (the detail).
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.inspection.network import FINE_DIM, Trunk
from models.pretrained.episodes import PICTURES, Episode
from models.pretrained.schooling import (
    CLIP,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Schooling,
    arguments,
    card,
    run,
    write_prior,
)
from models.pretrained.weights import PRIOR_WIDTH

EMA_DECAY = 0.998
DEEP_WEIGHT, IDENTITY_WEIGHT, DETAIL_WEIGHT, PLACE_WEIGHT = 0.5, 0.3, 0.5, 0.1
GOOD, BAD, USABLE = 0.02, 0.5, 0.05  # labels below, above, and at most so for a place to compare with
MARGIN, SOFTNESS = 0.3, 0.3  # of log distances
HARD = 3.0  # weight of the farthest good places


def ranking(codes: Tensor, label: Tensor, border: int, generator: torch.Generator) -> Tensor:
    """How often good places are farther from the scene's other pictures than bad ones are.

    `mean_ij w_j · softplus((s_j − s_i + m) / τ)` over bad places i and good places j of each scene, with
    `s = log(min_r ‖z − z_r‖² / d)` over the good places r of the scene's other pictures; w_j is greater for
    the farthest good places, because a picture is judged by those.

    Parameters
    ----------
    codes : Tensor (B, d, h, w)
    label : Tensor (B, 1, h, w)
    border : int
        Places at the border that are left out: they see beyond the picture.
    """
    inner = slice(border, -border or None)
    codes, label = codes[:, :, inner, inner], label[:, :, inner, inner]
    d, places = codes.shape[1], codes.shape[2] * codes.shape[3]
    e = codes.permute(0, 2, 3, 1).reshape(-1, PICTURES * places, d)  # (scenes, pictures·h·w, d)
    flat = label.reshape(-1, PICTURES * places)
    squares = e.square().sum(-1)
    far = (squares[:, :, None] + squares[:, None, :] - 2 * e @ e.transpose(1, 2)).clamp_min(0) / d
    picture = torch.arange(PICTURES).repeat_interleave(places)
    barred = (picture[:, None] == picture[None]) | (flat > USABLE)[:, None, :]
    logs = torch.log(far.masked_fill(barred, 1e4).min(-1).values + 1e-3)  # (scenes, pictures·h·w)
    losses = [
        _ranked(s[y < GOOD], s[y > BAD], generator)
        for s, y in zip(logs, flat, strict=True)
        if int((y > BAD).sum()) >= 2
    ]
    return torch.stack(losses).sum() / max(len(losses), 1) if losses else codes.new_zeros(())


def _ranked(good: Tensor, bad: Tensor, generator: torch.Generator) -> Tensor:
    good = good[torch.randperm(len(good), generator=generator)[:160]]
    bad = bad[torch.randperm(len(bad), generator=generator)[:96]]
    far = good.detach() > good.detach().topk(max(1, len(good) // 6)).values.mean()
    weight = 1 + (HARD - 1) * far.float()
    gap = (good[None] + MARGIN - bad[:, None]) / SOFTNESS
    return SOFTNESS * (weight * F.softplus(gap) / weight.sum()).sum(1).mean()


def identity(codes: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
    """Cross-entropy of a good place's scene, by the nearest places of each scene's other pictures."""
    codes, label = codes[:, :, 1:-1, 1:-1], label[:, :, 1:-1, 1:-1]
    b, d = codes.shape[:2]
    e = codes.permute(0, 2, 3, 1).flatten(1, 2)  # (B, h·w, d)
    flat = label.flatten(1)
    q, q_label, q_picture = _sampled(e, flat, 24, generator)
    r, r_label, r_picture = _sampled(e, flat, 40, generator)
    far = (q.square().sum(1)[:, None] + r.square().sum(1)[None] - 2 * q @ r.T).clamp_min(0) / d
    barred = (q_picture[:, None] == r_picture[None]) | (r_label > USABLE)[None]
    nearest = far.masked_fill(barred, 1e4).reshape(len(q), b // PICTURES, -1).min(-1).values
    logits = -3 * torch.log(nearest + 1e-2)  # (places, scenes)
    good = q_label < USABLE
    return F.cross_entropy(logits[good], (q_picture // PICTURES)[good])


def place(codes: Tensor, again: Tensor) -> Tensor:
    """Cross-entropy of finding each place again in a second look at the same picture, by nearness.

    Parameters
    ----------
    codes, again : Tensor (B, d, h, w)
        Of the same pictures under two lights.
    """
    a, b = (c[:, :, 1:-1, 1:-1].permute(0, 2, 3, 1).flatten(1, 2) for c in (codes, again))  # (B, h·w, d)
    far = torch.cdist(a, b).square() / a.shape[-1]  # (B, h·w, h·w)
    same = torch.arange(a.shape[1]).repeat(len(a))
    return F.cross_entropy((-3 * torch.log(far + 1e-2)).flatten(0, 1), same)


def detail(drawn: Tensor, pictures: Tensor) -> Tensor:
    """L1 between what the codes draw and the pictures without their slow changes, at two resolutions.

    The target is `x − lowpass(x)`, 16 px wide, in units of its own spread: light must not count.
    """
    low = F.interpolate(
        F.avg_pool2d(pictures, 16), size=pictures.shape[-2:], mode="bilinear", align_corners=False
    )
    target = pictures - low
    target = target / (target.flatten(1).std(1)[:, None, None, None] + 0.03)
    coarser = (F.avg_pool2d(drawn, 2) - F.avg_pool2d(target, 2)).abs().mean()
    return (drawn - target).abs().mean() + coarser


def second_look(pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw one picture of each scene, and relight it: row numbers (scenes,), pictures (scenes, 3, H, W)."""
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
    """Draw places of each picture: codes (B·count, d), labels and numbers of their pictures (B·count,)."""
    b, places, d = e.shape
    pick = torch.randint(places, (b, count), generator=generator)
    codes = torch.gather(e, 1, pick[..., None].expand(-1, -1, d)).reshape(-1, d)
    return codes, torch.gather(label, 1, pick).flatten(), torch.arange(b).repeat_interleave(count)


class Pretraining(Schooling):
    """Trunk, optimiser and average."""

    def __init__(self, seed: int, steps: int) -> None:
        super().__init__(steps)
        torch.manual_seed(seed)
        self.trunk = Trunk(PRIOR_WIDTH).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
        self.to_detail = nn.Sequential(nn.Conv2d(FINE_DIM, 3 * 64, 1), nn.PixelShuffle(8))
        self.norms = nn.ModuleList(nn.BatchNorm2d(k * PRIOR_WIDTH, affine=False) for k in (2, 4))
        self.average = AveragedModel(
            self.trunk,
            multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]  # torch leaves it so
            use_buffers=True,
        )
        self.learned = [*self.trunk.parameters(), *self.to_detail.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.learned, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
        )

    def learn(self, episode: Episode) -> dict[str, float]:
        """Take one step, and return the parts of its loss."""
        self.set_rate()
        generator = torch.Generator().manual_seed(self.step)
        x, b = episode.pictures, len(episode.pictures)
        chosen, relit = second_look(x, generator)
        with torch.autocast("cpu", torch.bfloat16):
            _, s8, s16, codes = self.trunk(
                torch.cat([x, relit]).contiguous(memory_format=torch.channels_last)
            )
        fine, again = codes.float().split([b, len(relit)])
        at_8, at_16 = F.max_pool2d(episode.label, 8), F.max_pool2d(episode.label, 16)
        parts = {
            "fine": ranking(fine, at_8, 1, generator),
            "s8": ranking(self.norms[0](s8[:b].float()), at_8, 1, generator),
            "s16": ranking(self.norms[1](s16[:b].float()), at_16, 0, generator),
            "identity": identity(fine, at_8, generator),
            "detail": detail(self.to_detail(fine), x),
            "place": place(fine[chosen], again),
        }
        loss = (
            parts["fine"]
            + DEEP_WEIGHT * (parts["s8"] + parts["s16"])
            + IDENTITY_WEIGHT * parts["identity"]
            + DETAIL_WEIGHT * parts["detail"]
            + PLACE_WEIGHT * parts["place"]
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        nn.utils.clip_grad_norm_(self.learned, CLIP)
        self.optimiser.step()
        self.average.update_parameters(self.trunk)
        self.step += 1
        return {name: float(value.detach()) for name, value in parts.items()}

    def parts(self) -> tuple[Any, ...]:
        """Return all that has a state."""
        return self.trunk, self.to_detail, self.norms, self.average, self.optimiser


def main() -> int:
    """Render the bank, train, and write the weights; a run that was stopped goes on."""
    parser = arguments(__doc__, steps=3_000, seed=5)
    parser.add_argument("--stop", type=int, default=1_250, help="earlier: more of it transfers worse")
    options = parser.parse_args()
    training = run(lambda: Pretraining(options.seed, options.steps), options, options.stop, "pretraining.pt")
    steps = f"{options.stop} of {options.steps}"
    write_prior(training.average.module, options.output, card(options, steps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
