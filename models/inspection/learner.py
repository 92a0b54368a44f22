"""The networks that a fit trains, with their optimiser: the auto-encoder, and a head for each fold."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.inspection.cross_fitting import HEADS
from models.inspection.examples import AutoencoderBatch, Batch, HeadBatch
from models.inspection.losses import head_loss, mmd_of_good_patches, reconstruction_loss
from models.inspection.network import TRUNK_WIDTH, Head, InspectionNetwork
from models.inspection.options import InspectionOptions
from models.pretrained.weights import load_trunk
from models.training.learner import Learner, Part
from models.training.schedule import warm_up_cosine

LEARNING_RATE, WEIGHT_DECAY, BETAS = 2e-3, 1e-2, (0.9, 0.98)
GRADIENT_NORM = 5.0
MMD_WEIGHT = 1.0
WARM_UP_STEPS = 30
EMA_DECAY = 0.98


class InspectionLearner(Learner):
    """The auto-encoder, the heads of the folds and the final head; none sees what another one learns.

    Parameters
    ----------
    options : InspectionOptions
    """

    def __init__(self, options: InspectionOptions) -> None:
        torch.manual_seed(options.seed)
        self.options, self.device = options, options.resolved_device()
        self.network = new_network(options)
        # All heads start alike and see the same crops where they may, so that their logits can be compared.
        first = Head(TRUNK_WIDTH)
        heads = [copy.deepcopy(first) for _ in range(HEADS + 1)]
        # The trunk is pretrained, and does not learn.
        self.learning = nn.ModuleList([self.network.encoder.to_latent, self.network.decoder, *heads]).to(
            self.device, memory_format=torch.channels_last
        )  # type: ignore[call-overload]  # as torch documents it
        self.average = AveragedModel(
            self.learning,
            multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]  # torch leaves it so
            use_buffers=True,
        )
        self.optimiser = torch.optim.AdamW(
            self.learning.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self.learning.train()

    def learn(self, batch: Batch, step: int, planned: int | None) -> dict[str, float]:
        """Take one step."""
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * warm_up_cosine(
                step, planned, WARM_UP_STEPS, falls_from=WARM_UP_STEPS
            )
        to_latent, decoder, *heads = self._parts_of(self.learning)
        self.optimiser.zero_grad(set_to_none=True)
        generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + step)
        losses = self._autoencoder_losses(batch.autoencoder, generator)
        torch.autograd.backward(losses["reconstruction"] + losses["mmd"])
        of_heads = [self._head_loss(head, crops) for head, crops in zip(heads, batch.heads, strict=True)]
        torch.autograd.backward(of_heads)
        for parts in ((to_latent, decoder), *((head,) for head in heads)):
            nn.utils.clip_grad_norm_([p for part in parts for p in part.parameters()], GRADIENT_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.learning)
        losses["head"] = of_heads[-1]
        losses["total"] = losses["reconstruction"] + losses["mmd"] + losses["head"]
        return {name: float(value.detach()) for name, value in losses.items()}

    def _autoencoder_losses(self, crops: AutoencoderBatch, generator: torch.Generator) -> dict[str, Tensor]:
        to_latent, decoder, *_ = self._parts_of(self.learning)
        s16, clean, label = (each.to(self.device) for each in crops)
        with self._fewer_bits():
            z = to_latent(s16)
            x_hat = decoder(z)
        found = {
            "reconstruction": reconstruction_loss(x_hat.float(), clean),
            "mmd": z.new_zeros((), dtype=torch.float32),
        }
        if self.options.regularizer == "mmd":
            at_16 = F.max_pool2d(label, 4)
            found["mmd"] = MMD_WEIGHT * mmd_of_good_patches(z.float(), at_16, generator)
        return found

    def _head_loss(self, head: nn.Module, crops: HeadBatch) -> Tensor:
        s4, s8, maps, label = (each.to(self.device) for each in crops)
        with self._fewer_bits():
            logits = head(s4, s8, maps)
        return head_loss(logits.float(), label)

    @staticmethod
    def _parts_of(networks: nn.Module) -> list[nn.Module]:
        """Return the layer that makes latents, the decoder, and the heads."""
        return list(networks.children())

    def _fewer_bits(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=has_bfloat16(self.device))

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimiser.param_groups[0]["lr"])

    def parts(self) -> dict[str, Part]:
        """Return the networks, the average of their weights, and the optimiser."""
        return {"networks": self.learning, "average": self.average, "optimiser": self.optimiser}

    def averaged(self) -> tuple[InspectionNetwork, list[Head]]:
        """Return the network and the heads with averaged weights, on the processor, in evaluation mode.

        The last head is the final one; the others belong to folds.
        """
        to_latent, decoder, *heads = self._parts_of(self.average.module)
        network = new_network(self.options)
        network.encoder.to_latent.load_state_dict(to_latent.state_dict())
        network.decoder.load_state_dict(decoder.state_dict())
        finished = [Head(TRUNK_WIDTH).eval() for _ in heads]
        for one, head in zip(finished, heads, strict=True):
            one.load_state_dict(head.state_dict())
        return network.eval(), finished


def new_network(options: InspectionOptions) -> InspectionNetwork:
    """Make the network with the pretrained trunk, and random weights elsewhere."""
    network = InspectionNetwork(options.latent_dim, options.width)
    load_trunk(network.encoder.trunk)
    return network.eval()


def has_bfloat16(device: str) -> bool:
    """Return True if `cpu` or `cuda` multiplies bfloat16; emulating it takes six times as long."""
    if device != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # the last on ARM
