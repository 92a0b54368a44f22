"""The inspection network with its optimiser: one step on crops with and without synthetic defects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.inspection.batches import Batch, CropSampler
from models.inspection.cross_fitting import CrossFitted
from models.inspection.losses import objective
from models.inspection.memory_bank import MemoryBank
from models.inspection.network import Distances, InspectionNetwork, head_distances
from models.inspection.options import InspectionOptions
from models.pretrained.weights import PRETRAINED_WIDTH, load_head, load_trunk
from models.training.learner import Learner, Part
from models.training.schedule import warm_up_cosine

LEARNING_RATE, WEIGHT_DECAY, BETAS = 2e-3, 1e-2, (0.9, 0.98)
GRADIENT_NORM = 5.0
MMD_WEIGHT = 1.0
WARM_UP_STEPS = 50
EMA_DECAY = 0.99
# The pretrained head learns a picture from so many crops of it.  From ten times as many it learns the
# training pictures by heart, and takes other normal pictures for defects.
HEAD_LOOKS = 200
BANK_CROPS, BANK_BATCH = 480, 16  # normal crops that the memory banks of the training are made of
BANK_SIZES = (1024, 512)  # of embeddings, and of embeddings of crops at half their size


@dataclass
class InspectionLearner(Learner):
    """The inspection network, the average of its weights, and its optimiser.

    Attributes
    ----------
    options : InspectionOptions
    network : InspectionNetwork
    average : AveragedModel
        The exponential moving average of the network's weights.
    optimiser : AdamW
    banks : TrainingBanks, optional
        Present if the trunk is pretrained.  They follow from the pictures, and are no part of the state.
    """

    options: InspectionOptions
    network: InspectionNetwork
    average: AveragedModel
    optimiser: torch.optim.AdamW
    banks: TrainingBanks | None

    def learn(self, batch: Batch, step: int, planned: int | None) -> dict[str, float]:
        """Take one step."""
        device = self.options.resolved_device()
        self._set_rates(step, planned, len(batch.rows))
        generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + step)
        distances = None if self.banks is None else self.banks.distances(batch.rows)
        mmd_weight = MMD_WEIGHT if self.options.regularizer == "mmd" else 0.0
        with torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device)):
            losses = objective(self.network, batch.on(device), generator, distances, mmd_weight=mmd_weight)
        self.optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _set_rates(self, step: int, planned: int | None, batch: int) -> None:
        rate = LEARNING_RATE * warm_up_cosine(step, planned, WARM_UP_STEPS, falls_from=WARM_UP_STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * share_of_looks(group["looks"], planned, batch)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last step, of everything that is not pretrained."""
        return float(self.optimiser.param_groups[-1]["lr"])

    def parts(self) -> dict[str, Part]:
        """Return the network, the average of its weights, and the optimiser."""
        return {"network": self.network, "average": self.average, "optimiser": self.optimiser}

    def averaged(self) -> InspectionNetwork:
        """Return a network with the averaged weights, on the processor, in evaluation mode."""
        network = new_network(self.options)
        network.load_state_dict(self.average.module.state_dict())
        return network.eval()


def start(options: InspectionOptions, sampler: CropSampler) -> InspectionLearner:
    """Make a learner with pretrained weights, if the options ask for them, and random weights elsewhere."""
    torch.manual_seed(options.seed)
    device, pretrained = options.resolved_device(), is_pretrained(options)
    network = new_network(options)
    if pretrained:
        load_trunk(network.encoder.trunk)
        load_head(network.head)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
    trunk, head = list(network.encoder.trunk.parameters()), list(network.head.parameters())
    known = {id(parameter) for parameter in (*trunk, *head)}
    groups: list[dict[str, Any]] = [
        {"params": head, "looks": HEAD_LOOKS * sampler.pictures if pretrained else None},
        {"params": [p for p in network.parameters() if id(p) not in known], "looks": None},
    ]
    if not pretrained:
        groups.insert(0, {"params": trunk, "looks": None})
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY)
    average = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]  # torch leaves it so
        use_buffers=True,
    )
    network.train()
    banks = None
    if pretrained:
        network.encoder.trunk.eval().requires_grad_(requires_grad=False)
        banks = TrainingBanks(network, sampler, options.seed, device)
    return InspectionLearner(options, network, average, optimiser, banks)


def is_pretrained(options: InspectionOptions) -> bool:
    """Return True if the trunk starts with the pretrained weights; then it stays as it is."""
    return options.pretrained and options.width == PRETRAINED_WIDTH


def new_network(options: InspectionOptions) -> InspectionNetwork:
    """Make the network with random weights."""
    return InspectionNetwork(options.width, options.latent_dim, sees_distances=is_pretrained(options))


class TrainingBanks:
    """Memory banks of normal crops, from which the head sees distances while it learns.

    The exported model has banks of whole pictures instead.  The border of a crop would be unusual among whole
    pictures, and the head would learn to ignore distances.

    Parameters
    ----------
    network : InspectionNetwork
        With its trunk in evaluation mode.
    sampler : CropSampler
    seed : int
    device : str
    """

    def __init__(self, network: InspectionNetwork, sampler: CropSampler, seed: int, device: str) -> None:
        crops, rows = sampler.good(BANK_CROPS)
        seen: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for batch in torch.split(crops, BANK_BATCH):
                x = batch.to(device, memory_format=torch.channels_last)
                both = network.encoder.trunk(x)[3], network.encoder.half_size_embedding(x)
                seen.append((both[0].float().cpu(), both[1].float().cpu()))
        self._banks = [
            CrossFitted(
                MemoryBank.learn(torch.cat(vectors), rows.numpy(), seed, size=size).to(device), rows.numpy()
            )
            for vectors, size in zip(zip(*seen, strict=True), BANK_SIZES, strict=True)
        ]

    def distances(self, rows: Tensor) -> Distances:
        """Return the function that compares crops of these pictures (B,) with the crops of other pictures."""
        return partial(self._distances, rows=rows)

    def _distances(self, embedding: Tensor, half_size: Tensor, *, rows: Tensor) -> Tensor:
        with torch.autocast(embedding.device.type, enabled=False):  # differences of squares need all digits
            pairs = zip(self._banks, (embedding, half_size), strict=True)
            return head_distances(*(bank([vectors.float()], rows.numpy()) for bank, vectors in pairs))


def has_bfloat16(device: str) -> bool:
    """Return True if `cpu` or `cuda` multiplies bfloat16; emulating it takes six times as long."""
    if device != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # the last on ARM


def share_of_looks(looks: int | None, planned: int | None, batch: int) -> float:
    """Return the factor for the learning rate of a part that may learn from `looks` crops only."""
    if looks is None or planned is None:
        return 1.0
    return min(1.0, looks / (planned * batch))
