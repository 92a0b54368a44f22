"""What the head sees during training: how far a crop's codes are from those of other good pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from models.inspection import memory_bank
from models.inspection.batches import CropSampler
from models.inspection.memory_bank import KernelDistance
from models.inspection.network import Distances, InspectionNetwork, nearness

CROPS, AT_ONCE = 480, 16  # good crops that landmarks are chosen from
LANDMARKS = (1024, 512)  # of the fine codes, and of those at half the size


class Neighbours:
    """Landmarks from crops of the training pictures, for a trunk that does not learn.

    They are chosen anew when a model is exported, from whole pictures; but a crop's edge is unusual among
    whole pictures, and the head would learn to look away from it.

    Parameters
    ----------
    network : InspectionNetwork
        With its trunk in evaluation mode.
    sampler : CropSampler
    seed : int
    device : str
    """

    def __init__(self, network: InspectionNetwork, sampler: CropSampler, seed: int, device: str) -> None:
        crops, rows = sampler.good(CROPS)
        seen: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for batch in torch.split(crops, AT_ONCE):
                x = batch.to(device, memory_format=torch.channels_last)
                seen.append(
                    (network.encoder.trunk(x)[3].float().cpu(), network.encoder.wide(x).float().cpu())
                )
        chosen = [
            memory_bank.choose(torch.cat(codes), rows, count, seed)
            for codes, count in zip(zip(*seen, strict=True), LANDMARKS, strict=True)
        ]
        self._distances = [KernelDistance(each.codes, each.reach).to(device) for each in chosen]
        self._owners = [each.owners.to(device) for each in chosen]

    def of(self, rows: Tensor) -> Distances:
        """Return what tells the distances of crops of these pictures; their own landmarks do not count."""

        def distances(fine: Tensor, wide: Tensor) -> Tensor:
            with torch.autocast(fine.device.type, enabled=False):  # differences of squares need all digits
                found = [
                    distance(codes.float(), owners[None] == rows[:, None])
                    for distance, owners, codes in zip(
                        self._distances, self._owners, (fine, wide), strict=True
                    )
                ]
            return nearness(*found)

        return distances
