"""Trains the head's prior on invented scenes: `python -m models.pretrain_head WORK --output FILE`.

The head must weigh two kinds of evidence: what a place looks like, and how far its code is from those of
other good pictures.  Within one fit it cannot learn that well, because it has seen the features of all its
good pictures, and of none of those that it will score.  Here every scene is new, and its pictures are
compared with each other as a part will be with the good ones.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.episode import PICTURES, Episode, EpisodeSampler, render_bank
from models.losses import dice, focal_bce
from models.networks import InspectionNetwork, nearness
from models.pretrain import CHECKPOINT_STEPS, CLIP, USABLE, WARMUP_STEPS, WEIGHT_DECAY, write_prior
from models.prior import start_from_prior

LEARNING_RATE = 2e-3
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


class HeadPretraining:
    """Head, optimiser and average, on the prior's trunk; one step at a time, resumable."""

    def __init__(self, seed: int, steps: int) -> None:
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
        self.steps, self.step = steps, 0

    def learn(self, episode: Episode) -> float:
        """Take one step, and return its loss."""
        rate = (
            min(1.0, (self.step + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        )
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * rate
        x = episode.pictures.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            codes, wide = self.encoder(x), self.encoder.wide(x)
        near = nearness(
            scene_distances(codes.fine.float(), F.max_pool2d(episode.label, 8)),
            scene_distances(wide.float(), F.max_pool2d(episode.label, 16)),
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.head(codes, torch.zeros_like(x), near).float()
        label = F.avg_pool2d(episode.label, 4)
        loss: Tensor = 10 * focal_bce(logits, label) + 0.3 * dice(logits, label)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        nn.utils.clip_grad_norm_(self.head.parameters(), CLIP)
        self.optimiser.step()
        self.average.update_parameters(self.head)
        self.step += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs."""
        parts = (self.head, self.average, self.optimiser)
        torch.save({"parts": [part.state_dict() for part in parts], "step": self.step}, path)

    def resume(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        content = torch.load(path, weights_only=True)
        for part, state in zip((self.head, self.average, self.optimiser), content["parts"], strict=True):
            part.load_state_dict(state)
        self.step = content["step"]


def main() -> int:
    """Render the bank, train, and write the weights; a run that was stopped goes on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder for rendered scenes and the checkpoint")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=12_000, help="rendered (2.4 GB for 12,000)")
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    bank = render_bank(options.work / "scenes.npy", options.scenes, options.threads)
    sampler = EpisodeSampler(bank, scenes=8, seed=options.seed)
    training = HeadPretraining(options.seed, options.steps)
    checkpoint = options.work / "pretraining-head.pt"
    if checkpoint.exists():
        training.resume(checkpoint)
    with ThreadPoolExecutor(1) as pool, Progress() as progress:
        bar = progress.add_task("pretraining the head", total=options.steps, completed=training.step)
        upcoming = pool.submit(sampler.draw, training.step)
        while training.step < options.steps:
            episode, upcoming = upcoming.result(), pool.submit(sampler.draw, training.step + 1)
            loss = training.learn(episode)
            progress.update(bar, completed=training.step, description=f"loss {loss:.3f}")
            if training.step % CHECKPOINT_STEPS == 0:
                training.save(checkpoint)
    card = {
        "made from": f"{options.scenes} invented scenes of models/scene.py, no photographs, no other weights",
        "steps": str(options.steps),
        "seed": str(options.seed),
    }
    write_prior(training.average.module, options.output, card)
    return 0


if __name__ == "__main__":
    sys.exit(main())
