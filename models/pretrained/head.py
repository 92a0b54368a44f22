"""Trains the head's prior on invented scenes: `python -m models.pretrained.head WORK --output FILE`.

The head must weigh two kinds of evidence: what a place looks like, and how far its code is from those of
other good pictures.  Within one fit it cannot learn that well, because it has seen the features of all its
good pictures, and of none of those that it will score.  Here every scene is new, and its pictures are
compared with each other as a part will be with the good ones.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.inspection.losses import dice, focal_bce
from models.inspection.network import RESIDUALS, InspectionNetwork, nearness
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
from models.pretrained.trunk import USABLE
from models.pretrained.weights import start_from_prior

EMA_DECAY = 0.995
LEAST_REACH = 1e-3


def scene_distances(codes: Tensor, label: Tensor) -> Tensor:
    """Kernel distances of codes to the good places of their scene's other pictures.

    `log(1 + ‖z − r‖² / C)` with the nearest r; C is the median of the good places' own squared distances.

    Parameters
    ----------
    codes : Tensor (B, d, h, w)
        Pictures of a scene together.
    label : Tensor (B, 1, h, w)

    Returns
    -------
    Tensor (B, 1, h, w)
    """
    b, d, h, w = codes.shape
    scenes = codes.permute(0, 2, 3, 1).reshape(b // PICTURES, PICTURES * h * w, d)
    spoilt = label.reshape(b // PICTURES, PICTURES * h * w) > USABLE
    picture = torch.arange(PICTURES).repeat_interleave(h * w)
    own = picture[:, None] == picture[None]
    found = []
    for e, bad in zip(scenes, spoilt, strict=True):
        near = torch.cdist(e, e).square().masked_fill(own | bad[None], torch.inf).min(1).values
        near = torch.where(near.isfinite(), near, near[near.isfinite()].max())
        reach = near[~bad].median().clamp_min(LEAST_REACH)
        found.append(torch.log1p(near / reach).reshape(PICTURES, 1, h, w))
    return torch.cat(found)


class HeadPretraining(Schooling):
    """Head, optimiser and average, on the prior's trunk."""

    def __init__(self, seed: int, steps: int) -> None:
        super().__init__(steps)
        torch.manual_seed(seed)
        network = InspectionNetwork()
        start_from_prior(network.encoder.trunk)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
        self.encoder = network.encoder.eval().requires_grad_(requires_grad=False)
        self.head = network.head.train()
        self.average = AveragedModel(
            self.head,
            multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]  # torch leaves it so
            use_buffers=True,
        )
        self.optimiser = torch.optim.AdamW(
            self.head.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
        )

    def learn(self, episode: Episode) -> dict[str, float]:
        """Take one step, and return its loss."""
        self.set_rate()
        x = episode.pictures.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            codes, wide = self.encoder(x), self.encoder.wide(x)
        near = nearness(
            scene_distances(codes.fine.float(), F.max_pool2d(episode.label, 8)),
            scene_distances(wide.float(), F.max_pool2d(episode.label, 16)),
        )
        with torch.autocast("cpu", torch.bfloat16):
            residual = x.new_zeros(len(x), RESIDUALS, *codes.s4.shape[-2:])
            logits = self.head(codes, residual, near).float()
        label = F.avg_pool2d(episode.label, 4)
        loss: Tensor = 10 * focal_bce(logits, label) + 0.3 * dice(logits, label)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        nn.utils.clip_grad_norm_(self.head.parameters(), CLIP)
        self.optimiser.step()
        self.average.update_parameters(self.head)
        self.step += 1
        return {"head": float(loss.detach())}

    def parts(self) -> tuple[Any, ...]:
        """Return all that has a state."""
        return self.head, self.average, self.optimiser


def main() -> int:
    """Render the bank, train, and write the weights; a run that was stopped goes on."""
    options = arguments(__doc__, steps=1_500, seed=11).parse_args()
    training = run(
        lambda: HeadPretraining(options.seed, options.steps), options, options.steps, "pretraining-head.pt"
    )
    write_prior(training.average.module, options.output, card(options, str(options.steps)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
