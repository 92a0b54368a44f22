"""The context model: predicts each patch from the rest of the picture.

Memory bank and head judge a patch wherever it lies.  The context model judges whether it fits the rest of
the picture: whether it is darker, or of another structure, than the other patches lead to expect.  It takes
normal pictures as draws from a normal distribution over all patches.  The misfit of a patch is the root mean
square of its standardised residuals, given all other patches.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calibration.gaussian import Residual, conditional_residual
from models.inspection.features import relative
from models.inspection.normal_model import NormalModel
from models.inspection.patches import EMBEDDING_GRIDS, LIGHT_GRIDS, EmbeddingPatches, Grids, sizes

DIRECTIONS = 128  # of largest variance among normal pictures; the rest is taken as noise


class Grid(nn.Module):
    """Residuals of one grid: a `calibration.gaussian.Residual` with p features, as a module."""

    middle: Tensor
    scale: Tensor
    along: Tensor
    back: Tensor

    def __init__(self, residual: Residual) -> None:
        super().__init__()
        for name, value in residual._asdict().items():
            self.register_buffer(name, torch.from_numpy(value).float())

    def forward(self, rows: Tensor) -> Tensor:
        """(N, p) to standardised residuals (N, p)."""
        moved = rows - self.middle
        return moved * self.scale - torch.matmul(torch.matmul(moved, self.along), self.back)


class ContextModel(NormalModel):
    """Misfit of each patch: rows (N, p) to maps (N, 1, 16, 16), the mean over all grids.

    Parameters
    ----------
    rows : Tensor (n, p)
        Normal pictures as `models.inspection.patches` makes rows of them; n is at least 2.
    grids : Grids
        The grids of a row.
    """

    def __init__(self, rows: Tensor, grids: Grids) -> None:
        super().__init__()
        self._rows, self._grids = rows, grids
        parts = np.split(rows.double().numpy(), np.cumsum(sizes(grids))[:-1], axis=1)
        self.residuals = nn.ModuleList(Grid(conditional_residual(part, DIRECTIONS)) for part in parts)

    def without(self, pictures: NDArray[np.bool_]) -> Self:
        """Learn again, without these pictures (n,)."""
        return type(self)(self._rows[torch.from_numpy(~pictures)], self._grids)

    def forward(self, rows: Tensor) -> Tensor:
        """(N, p) to (N, 1, 16, 16): as many patches as the first grid has."""
        parts = torch.split(rows, sizes(self._grids), 1)
        maps = []
        for residual, part, (side, numbers) in zip(self.residuals, parts, self._grids, strict=True):
            left = residual(part).reshape(-1, numbers, side, side)
            misfit = relative(left.square().mean(1, keepdim=True).sqrt())
            size = (self._grids[0][0],) * 2
            maps.append(F.interpolate(misfit, size=size, mode="bilinear", align_corners=False))
        return torch.cat(maps, 1).mean(1, keepdim=True)


class EmbeddingContext(NormalModel):
    """The context model of embeddings: the misfit of each patch's embedding with the rest of the picture."""

    def __init__(self, patches: EmbeddingPatches, context: ContextModel) -> None:
        super().__init__()
        self.patches, self.context = patches, context

    @classmethod
    def learn(cls, embedding: Tensor, half_size: Tensor, _groups: NDArray[np.integer], _seed: int) -> Self:
        """Learn from embeddings (n, d, h, w) and (n, d, h', w') of normal pictures."""
        patches = EmbeddingPatches(embedding, half_size)
        return cls(patches, ContextModel(patches(embedding, half_size), EMBEDDING_GRIDS))

    def without(self, pictures: NDArray[np.bool_]) -> Self:
        """Learn the context again, without these pictures (n,); the directions stay."""
        return type(self)(self.patches, self.context.without(pictures))

    def forward(self, embedding: Tensor, half_size: Tensor) -> Tensor:
        """Embeddings (N, d, h, w) and (N, d, h', w') to (N, 1, 16, 16)."""
        found: Tensor = self.context(self.patches(embedding, half_size))
        return found


def learn_light_context(light: Tensor, _groups: NDArray[np.integer], _seed: int) -> ContextModel:
    """Learn the context model of brightness and edges from rows (n, 2320) of normal pictures."""
    return ContextModel(light, LIGHT_GRIDS)
