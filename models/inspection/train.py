"""Training of the inspection network: on good crops, and on the same crops with synthetic defects."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.inspection.batches import Batch, CropSampler
from models.inspection.losses import objective
from models.inspection.neighbours import Neighbours
from models.inspection.network import InspectionNetwork
from models.pretrained.weights import PRETRAINED_WIDTH, load_head, load_trunk
from models.training import loop
from models.training.course import Course, Plan
from models.training.loop import Watch
from models.training.schedule import warm_up_cosine
from models.types import Progress

WARM_UP_STEPS = 50
EMA_DECAY = 0.99
# The head starts from invented scenes, and has learned enough of a picture after so many crops of it.  With
# ten times as many, 21 pictures are known by heart, and others that are as good are taken for defects.
HEAD_LOOKS = 200


@dataclass(frozen=True)
class TrainOptions:
    """What decides the outcome of a training, together with the pictures."""

    width: int = 32
    latent_dim: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    mmd_weight: float = 1.0
    pretrained: bool = True
    trunk_rate: float = 0.0
    seed: int = 0
    threads: int = 0
    device: str = "cpu"

    @property
    def from_pretrained(self) -> bool:
        """True if the trunk starts with the pretrained weights, which exist for one width."""
        return self.pretrained and self.width == PRETRAINED_WIDTH

    @property
    def frozen(self) -> bool:
        """Whether the trunk stays as it is."""
        return self.from_pretrained and self.trunk_rate == 0

    def network(self) -> InspectionNetwork:
        """Make the network, with random weights."""
        return InspectionNetwork(self.width, self.latent_dim, compares=self.frozen)


@dataclass
class Trained:
    """The outcome of a training."""

    network: InspectionNetwork
    course: Course


@dataclass
class InspectionLearner:
    """The inspection network with all that its training changes."""

    options: TrainOptions
    network: InspectionNetwork
    average: AveragedModel
    optimiser: torch.optim.AdamW
    neighbours: Neighbours | None  # follows from the pictures: no part of the state

    def learn(self, batch: Batch, step: int, planned: int | None) -> dict[str, float]:
        """Take one step."""
        options = self.options
        share = warm_up_cosine(step, planned, WARM_UP_STEPS, falls_from=WARM_UP_STEPS)
        for group in self.optimiser.param_groups:
            rate = group["rate"] * options.learning_rate * share
            group["lr"] = rate * share_of_looks(group.get("looks"), planned, len(batch.rows))
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        batch = batch.on(options.device)
        distances = None if self.neighbours is None else self.neighbours.of(batch.rows)
        device = options.device.split(":")[0]
        with torch.autocast(device, torch.bfloat16, enabled=multiplies_16_bits(device)):
            losses = objective(self.network, batch, generator, distances, mmd_weight=options.mmd_weight)
        self.optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, 5.0)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return {name: float(value.detach()) for name, value in losses.items()}

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last step, of everything that is not pretrained."""
        return float(self.optimiser.param_groups[-1]["lr"])

    def state(self) -> dict[str, Any]:
        """Return weights, their average, and the optimiser's moments."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
        }

    def averaged(self) -> InspectionNetwork:
        """Return a network with the average of the weights, on the processor and ready to score."""
        network = self.options.network()
        network.load_state_dict(self.average.module.state_dict())
        return network.eval()


def train(
    sampler: CropSampler,
    options: TrainOptions,
    plan: Plan,
    checkpoint: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    watcher: Callable[[InspectionLearner], Watch] | None = None,
) -> Trained:
    """Train on normal crops and on the same crops with synthetic defects.

    The batch and all draws of a step depend on the seed and the step alone, and the checkpoint holds
    everything else, so a run that was stopped and resumed ends with the weights of one that was not.

    Parameters
    ----------
    sampler : CropSampler
    options : TrainOptions
    plan, checkpoint, resume, progress
        As for `models.training.loop.run`.
    watcher : callable, optional
        Given the learner, returns what watches its training, and leaves it as it was.

    Returns
    -------
    Trained
        With the exponential moving average of the weights.

    Raises
    ------
    BudgetError, DivergedError, ResumeError
    """
    began = time.monotonic()
    learner = start(options, sampler)
    if plan.seconds is not None:  # landmarks for the head take some of it
        plan = replace(plan, seconds=plan.seconds - (time.monotonic() - began))
    course = loop.run(
        learner,
        sampler.draw,
        plan,
        checkpoint,
        threads=options.threads,
        resume=resume,
        progress=progress,
        watch=None if watcher is None else watcher(learner),
    )
    return Trained(learner.averaged(), course)


def start(options: TrainOptions, sampler: CropSampler) -> InspectionLearner:
    """Make a learner that has learned nothing yet."""
    torch.manual_seed(options.seed)
    network = options.network()
    if options.from_pretrained:
        load_trunk(network.encoder.trunk)
    if options.frozen:
        load_head(network.head)
    network = network.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
    trunk, head = list(network.encoder.trunk.parameters()), list(network.head.parameters())
    known = {id(parameter) for parameter in (*trunk, *head)}
    new = [p for p in network.parameters() if id(p) not in known]
    groups = [
        {"params": trunk, "rate": options.trunk_rate if options.from_pretrained else 1.0},
        {"params": head, "rate": 1.0, "looks": HEAD_LOOKS * sampler.pictures if options.frozen else None},
        {"params": new, "rate": 1.0},
    ]
    optimiser = torch.optim.AdamW(
        groups, lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=options.weight_decay
    )
    average = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]  # torch leaves it so
        use_buffers=True,
    )
    network.train()
    neighbours = None
    if options.frozen:
        network.encoder.trunk.eval().requires_grad_(requires_grad=False)
        neighbours = Neighbours(network, sampler, options.seed, options.device)
    return InspectionLearner(options, network, average, optimiser, neighbours)


def multiplies_16_bits(device: str) -> bool:
    """Whether `cpu` or `cuda` has products of bfloat16; to imitate them takes six times as long."""
    if device != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # the last on ARM


def share_of_looks(looks: int | None, planned: int | None, batch: int) -> float:
    """Return by how much to slow down what may learn from so many crops only, if more of them are planned."""
    if looks is None or planned is None:
        return 1.0
    return min(1.0, looks / (planned * batch))
