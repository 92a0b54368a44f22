"""What both trainings on invented scenes share: command line, schedule, checkpoint and loop."""

from __future__ import annotations

import argparse
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.progress import Progress
from safetensors.torch import save_file
from torch import nn

from models.pretrained.episodes import Episode, EpisodeSampler, render_bank

LEARNING_RATE, WEIGHT_DECAY, WARMUP_STEPS, CLIP = 2e-3, 1e-2, 100, 5.0
CHECKPOINT_STEPS = 100


class Schooling(ABC):
    """A training on invented scenes, one step at a time, resumable."""

    optimiser: torch.optim.AdamW

    def __init__(self, steps: int) -> None:
        self.steps, self.step = steps, 0

    @abstractmethod
    def learn(self, episode: Episode) -> dict[str, float]:
        """Take one step, and return the parts of its loss."""

    @abstractmethod
    def parts(self) -> tuple[Any, ...]:
        """Return all that has a state."""

    def set_rate(self) -> None:
        """Linear warm-up, and a cosine to zero at the planned step."""
        warm = min(1.0, (self.step + 1) / WARMUP_STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * (warm * 0.5 * (1 + math.cos(math.pi * self.step / self.steps)))

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs."""
        torch.save({"parts": [part.state_dict() for part in self.parts()], "step": self.step}, path)

    def resume(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        content = torch.load(path, weights_only=True)
        for part, state in zip(self.parts(), content["parts"], strict=True):
            part.load_state_dict(state)
        self.step = content["step"]


Pupil = TypeVar("Pupil", bound=Schooling)


def arguments(description: str | None, *, steps: int, seed: int) -> argparse.ArgumentParser:
    """Return what both take on the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("work", type=Path, help="folder for rendered scenes and the checkpoint")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=12_000, help="rendered (2.4 GB for 12,000)")
    parser.add_argument("--steps", type=int, default=steps, help="that the learning rate is planned for")
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


def run(make: Callable[[], Pupil], options: argparse.Namespace, stop: int, checkpoint: str) -> Pupil:
    """Render the bank and train up to a step; a run that was stopped goes on."""
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    bank = render_bank(options.work / "scenes.npy", options.scenes, options.threads)
    sampler = EpisodeSampler(bank, scenes=8, seed=options.seed)
    training, saved = make(), options.work / checkpoint
    if saved.exists():
        training.resume(saved)
    with ThreadPoolExecutor(1) as pool, Progress() as progress:
        bar = progress.add_task("training", total=stop, completed=training.step)
        upcoming = pool.submit(sampler.draw, training.step)
        while training.step < stop:
            episode, upcoming = upcoming.result(), pool.submit(sampler.draw, training.step + 1)
            losses = training.learn(episode)
            said = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            progress.update(bar, completed=training.step, description=said)
            if training.step % CHECKPOINT_STEPS == 0:
                training.save(saved)
    return training


def card(options: argparse.Namespace, steps: str) -> dict[str, str]:
    """Say what weights were made from."""
    return {
        "made from": f"{options.scenes} invented scenes, no photographs, no other weights",
        "steps": steps,
        "seed": str(options.seed),
    }


def write_prior(module: nn.Module, path: Path, card: dict[str, str]) -> None:
    """Write weights, and what they were made from."""
    tensors = {name: value.contiguous().clone() for name, value in module.state_dict().items()}
    save_file(tensors, path, metadata=card)
