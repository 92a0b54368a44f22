"""Trains the head to weigh two kinds of evidence: a patch's appearance, and its distance to good patches.

One fit cannot teach the head that well: it has seen the features of all its good pictures, and of no picture
that it will score.  Here every scene is new, and its pictures are compared with each other as a part is
compared with the good ones later.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.inspection.losses import dice, focal_bce
from models.inspection.network import RESIDUALS, InspectionNetwork, head_distances
from models.pretrained.episodes import COMPARABLE, PICTURES, Episode
from models.pretrained.learner import AveragingLearner
from models.pretrained.weights import load_trunk

EMA_DECAY = 0.995
MIN_REACH = 1e-3


def scene_distances(embeddings: Tensor, label: Tensor) -> Tensor:
    """Kernel distances of embeddings to the good patches of their scene's other pictures.

    `log(1 + ‖e − r‖² / C)` with the nearest r; C is the median of the good patches' own squared distances.

    Parameters
    ----------
    embeddings : Tensor (B, d, h, w)
        The pictures of a scene are neighbours.
    label : Tensor (B, 1, h, w)

    Returns
    -------
    Tensor (B, 1, h, w)
        Rises as a patch differs from the good ones.
    """
    b, d, h, w = embeddings.shape
    scenes = embeddings.permute(0, 2, 3, 1).reshape(b // PICTURES, PICTURES * h * w, d)
    excluded = label.reshape(b // PICTURES, PICTURES * h * w) > COMPARABLE
    picture = torch.arange(PICTURES).repeat_interleave(h * w)
    own = picture[:, None] == picture[None]
    found = []
    for e, bad in zip(scenes, excluded, strict=True):
        near = torch.cdist(e, e).square().masked_fill(own | bad[None], torch.inf).min(1).values
        near = torch.where(near.isfinite(), near, near[near.isfinite()].max())
        reach = near[~bad].median().clamp_min(MIN_REACH)
        found.append(torch.log1p(near / reach).reshape(PICTURES, 1, h, w))
    return torch.cat(found)


class HeadLearner(AveragingLearner[Episode]):
    """Trains the head on the pretrained trunk, which does not learn.

    Parameters
    ----------
    seed : int
        Decides the weights at the start.
    steps : int
        The learning rate falls to 0 at this step.
    """

    def __init__(self, seed: int, steps: int) -> None:
        torch.manual_seed(seed)
        network = InspectionNetwork()
        load_trunk(network.encoder.trunk)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents it
        self.encoder = network.encoder.eval().requires_grad_(requires_grad=False)
        self.head = network.head.train()
        super().__init__(self.head, [], steps=steps, decay=EMA_DECAY)

    def losses(self, episode: Episode, step: int) -> dict[str, Tensor]:  # noqa: ARG002  # nothing is drawn
        """Return the loss as `total`."""
        x = episode.pictures.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            encoded, half_size = self.encoder(x), self.encoder.half_size_embedding(x)
        distances = head_distances(
            scene_distances(encoded.embedding.float(), F.max_pool2d(episode.label, 8)),
            scene_distances(half_size.float(), F.max_pool2d(episode.label, 16)),
        )
        with torch.autocast("cpu", torch.bfloat16):
            residual = x.new_zeros(len(x), RESIDUALS, *encoded.s4.shape[-2:])
            logits = self.head(encoded.s4, encoded.s8, residual, distances).float()
        label = F.avg_pool2d(episode.label, 4)
        return {"total": 10 * focal_bce(logits, label) + 0.3 * dice(logits, label)}
