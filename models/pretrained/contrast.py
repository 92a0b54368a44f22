"""Trains the trunk by dense contrast: it must find each patch again in another view of the picture.

InfoNCE (van den Oord et al., 2018, arXiv:1807.03748) over the patches of many pictures, as in dense
contrastive learning (Wang et al., 2021, arXiv:2011.09157); here the geometry of the two views tells which
patches are the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.inspection.network import EMBEDDING_DIM, TRUNK_WIDTH, Trunk
from models.pretrained.views import Views
from models.training.learner import Learner, Part
from models.training.schedule import warm_up_cosine

LEARNING_RATE, WEIGHT_DECAY, BETAS = 2e-3, 1e-2, (0.9, 0.98)
WARM_UP_STEPS = 100
MAX_GRADIENT_NORM = 5.0
EMA_DECAY = 0.998
TEMPERATURE = 0.12
HIDDEN_DIM, PROJECTED_DIM = 256, 96
NEAR = 20.0  # px: closer patches of one picture are neither the same nor different
DEEP_WEIGHT, DETAIL_WEIGHT = 0.5, 0.5


def info_nce(first: Tensor, second: Tensor, points: Tensor) -> Tensor:
    """Return the cross-entropy of finding each patch among all patches of the other views, both ways.

    `−mean_i log(exp(s_ii) / Σ_j exp(s_ij))` with the similarity `s_ij = cos(first_i, second_j) / T`, and the
    same with i and j exchanged.  j leaves out the patches near i in its picture, but for i itself.

    Parameters
    ----------
    first, second : Tensor (B·K, d)
        Projections of the same patches in two views; their lengths do not count.
    points : Tensor (B, K, 2)
        Where the patches lie in the second view, in px.
    """
    pictures, each = points.shape[:2]
    logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / TEMPERATURE  # (B·K, B·K)
    place = points.reshape(-1, 2)
    picture = torch.arange(pictures).repeat_interleave(each)
    itself = torch.eye(len(place), dtype=torch.bool)
    close = (picture[:, None] == picture) & (torch.cdist(place, place) < NEAR) & ~itself
    logits = logits.masked_fill(close, -1e4)
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def patches_at(features: Tensor, points: Tensor, side: int) -> Tensor:
    """Interpolate features between the patches of a view.

    Parameters
    ----------
    features : Tensor (B, C, h, w)
    points : Tensor (B, K, 2)
        x and y in px.  They count from the corner of the view; half a pixel does not matter to a patch.
    side : int
        Height and width of the view in px.

    Returns
    -------
    Tensor (B·K, C)
    """
    grid = (points / side * 2 - 1)[:, None]  # (B, 1, K, 2), −1 to 1
    found = F.grid_sample(features, grid, mode="bilinear", align_corners=False)  # (B, C, 1, K)
    return found[:, :, 0].permute(0, 2, 1).reshape(-1, features.shape[1])


def detail(drawn: Tensor, pictures: Tensor) -> Tensor:
    """Return the L1 distance of drawn pictures from the fine detail of the pictures.

    The fine detail is `x − lowpass(x)`, 16 px wide, divided by its standard deviation: light does not count.

    Parameters
    ----------
    drawn, pictures : Tensor (B, 3, H, W)
    """
    low = F.interpolate(F.avg_pool2d(pictures, 16), size=pictures.shape[-2:], mode="bilinear")
    target = pictures - low
    target = target / (target.flatten(1).std(1)[:, None, None, None] + 0.03)
    return (drawn - target).abs().mean()


def projection(channels: int) -> nn.Sequential:
    """Return the layers between features (B, channels, h, w) and the space in which patches are compared."""
    return nn.Sequential(
        nn.Conv2d(channels, HIDDEN_DIM, 1),
        nn.BatchNorm2d(HIDDEN_DIM),
        nn.ReLU(),
        nn.Conv2d(HIDDEN_DIM, PROJECTED_DIM, 1),
    )


class ContrastLearner(Learner):
    """Trains the trunk, with three projections and a layer that draws detail from the embeddings.

    It keeps a moving average of the trunk's weights, `average`, which is what is shipped.

    Parameters
    ----------
    seed : int
        Decides the weights at the start.
    steps : int
        The learning rate falls to 0 at this step; the training may stop earlier.
    """

    def __init__(self, seed: int, steps: int) -> None:
        torch.manual_seed(seed)
        self.steps = steps
        self.trunk = Trunk(TRUNK_WIDTH).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
        channels = (EMBEDDING_DIM, 2 * TRUNK_WIDTH, 4 * TRUNK_WIDTH)
        self.projections = nn.ModuleList([projection(c) for c in channels])
        self.to_detail = nn.Sequential(nn.Conv2d(EMBEDDING_DIM, 3 * 64, 1), nn.PixelShuffle(8))
        self.networks = nn.ModuleList([self.trunk, self.projections, self.to_detail])
        self.average = AveragedModel(
            self.trunk,
            multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY),  # type: ignore[no-untyped-call]  # torch leaves it so
            use_buffers=True,
        )
        self.optimiser = torch.optim.AdamW(
            self.networks.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY
        )

    def losses(self, views: Views) -> dict[str, Tensor]:
        """Return each loss, and their weighted sum as `total`."""
        x, (first, second) = views.pictures, views.points
        with torch.autocast("cpu", torch.bfloat16):
            _, s8, s16, fine = self.trunk(x.contiguous(memory_format=torch.channels_last))
        features = {"fine": fine.float(), "s8": s8.float(), "s16": s16.float()}
        losses = {}
        for (name, of), project in zip(features.items(), self.projections, strict=True):
            a, b = project(of).split(len(first))
            side = x.shape[-1]
            losses[name] = info_nce(patches_at(a, first, side), patches_at(b, second, side), second)
        losses["detail"] = detail(self.to_detail(fine.float()), x)  # a cast of its own keeps the digits
        losses["total"] = (
            losses["fine"] + DEEP_WEIGHT * (losses["s8"] + losses["s16"]) + DETAIL_WEIGHT * losses["detail"]
        )
        return losses

    def learn(self, batch: Views, step: int, planned: int | None) -> dict[str, float]:  # noqa: ARG002  # own schedule
        """Take one step, and return the losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * warm_up_cosine(step, self.steps, WARM_UP_STEPS)
        losses = self.losses(batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["total"])
        nn.utils.clip_grad_norm_(self.networks.parameters(), MAX_GRADIENT_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.trunk)
        return {name: float(value.detach()) for name, value in losses.items()}

    def parts(self) -> dict[str, Part]:
        """Return the networks, the average of the trunk's weights, and the optimiser."""
        return {"networks": self.networks, "average": self.average, "optimiser": self.optimiser}
