"""How little each place of a picture fits all the others.

Codes and the head say what a place looks like, wherever it lies.  This says whether it fits the rest of the
picture: too dark for what is around it, or of another structure than what the others lead to expect.  Good
pictures are taken for draws of one normal distribution over all places, and a place is judged by how far it
is from what the others make of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calibration.gaussian import conditional_residual
from models.inspection.patches import Shape, sizes

DIRECTIONS = 128  # in which good pictures vary at most; what is left of them is noise
FOLDS = 5


class Gaussian(NamedTuple):
    """What the places of one grid make of each other: `calibration.gaussian.Residual`, as tensors.

    Attributes
    ----------
    middle, scale : Tensor (p,)
    along : Tensor (p, k)
    back : Tensor (k, p)
    """

    middle: Tensor
    scale: Tensor
    along: Tensor
    back: Tensor


Gaussians = tuple[Gaussian, ...]  # one for each grid


class Grid(nn.Module):
    """One grid of a layout: features (N, p) to the misfit of each place."""

    middle: Tensor
    scale: Tensor
    along: Tensor
    back: Tensor

    def __init__(self, gaussian: Gaussian) -> None:
        super().__init__()
        for name, value in gaussian._asdict().items():
            self.register_buffer(name, value)

    def gaussian(self) -> Gaussian:
        """Return what it judges by."""
        return Gaussian(self.middle, self.scale, self.along, self.back)

    def judge_by(self, gaussian: Gaussian) -> None:
        """Judge by another one from now on."""
        self.middle, self.scale, self.along, self.back = gaussian


class Layout(nn.Module):
    """Rows of numbers to how little each place fits the others.

    Parameters
    ----------
    gaussians : tuple of Gaussian
        Of good pictures.
    shape : tuple of (places, numbers)
        Of the rows.
    """

    def __init__(self, gaussians: Gaussians, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.grids = nn.ModuleList(Grid(each) for each in gaussians)

    def gaussians(self) -> Gaussians:
        """Return what it judges by."""
        return tuple(grid.gaussian() for grid in self.grids)  # type: ignore[operator]  # they are Grids

    def forward(self, rows: Tensor) -> Tensor:
        """(N, p) to (N, 1, 16, 16), with as many places as the first grid has."""
        return misfit(rows, self.gaussians(), self.shape)

    @contextmanager
    def instead(self, gaussians: Gaussians) -> Iterator[None]:
        """Judge by others for a while."""
        before = self.gaussians()
        self._judge_by(gaussians)
        try:
            yield
        finally:
            self._judge_by(before)

    def _judge_by(self, gaussians: Gaussians) -> None:
        for grid, gaussian in zip(self.grids, gaussians, strict=True):
            grid.judge_by(gaussian)  # type: ignore[operator]  # they are Grids


def misfit(rows: Tensor, gaussians: Gaussians, shape: Shape) -> Tensor:
    """Rows (N, p) to how little each place fits, (N, 1, 16, 16): the mean over the grids.

    In a grid it is the root mean square of a place's residuals, relative to the picture's.
    """
    found = []
    for part, (places, numbers), gaussian in zip(
        torch.split(rows, sizes(shape), 1), shape, gaussians, strict=True
    ):
        moved = part - gaussian.middle
        left = moved * gaussian.scale - torch.matmul(torch.matmul(moved, gaussian.along), gaussian.back)
        size = left.reshape(-1, numbers, places, places).square().mean(1, keepdim=True).sqrt()
        found.append(
            F.interpolate(relative(size), size=(shape[0][0],) * 2, mode="bilinear", align_corners=False)
        )
    return torch.cat(found, 1).mean(1, keepdim=True)


def relative(maps: Tensor) -> Tensor:
    """Divide maps (N, 1, h, w) by the root of their mean over the picture.

    Where nothing fits well, as under other light, a place must stand out further.
    """
    return maps / maps.mean((2, 3), keepdim=True).clamp_min(1e-3).sqrt()


class GoodLayouts:
    """The layouts of good pictures, each of them judged by what was learned from others.

    Parameters
    ----------
    rows : Tensor (n, p)
    shape : tuple of (places, numbers)
        Of the rows.
    owners : int (n,)
        Pictures that share one look alike.
    seed : int
        Of the folds.
    """

    def __init__(self, rows: Tensor, shape: Shape, owners: NDArray[np.integer], seed: int) -> None:
        self._rows, self._shape, self._owners, self._seed = rows, shape, owners, seed
        self._folds = _folds(owners, seed)
        self._without = {
            fold: learned(rows[_where(self._folds != fold)], shape) for fold in set(self._folds.tolist())
        }

    def layout(self) -> Layout:
        """Learn from all of them."""
        return Layout(self.without(np.array([], np.int64)), self._shape)

    def without(self, owners: NDArray[np.integer]) -> Gaussians:
        """Learn from all pictures but those of some owners; the tensors' shapes are those of all pictures."""
        return tuple(
            _widened(each, min(len(self._rows), DIRECTIONS))
            for each in learned(self._rows[_where(~np.isin(self._owners, owners))], self._shape)
        )

    def alone(self) -> Tensor:
        """Judge each without itself: (n, 1, 16, 16)."""
        folds = _folds(np.arange(len(self._rows)), self._seed)
        return self._judged(
            self._rows,
            {fold: learned(self._rows[_where(folds != fold)], self._shape) for fold in set(folds.tolist())},
            folds,
        )

    def apart(self) -> Tensor:
        """Judge each without its look-alikes: (n, 1, 16, 16)."""
        return self.again(self._rows, np.arange(len(self._rows)))

    def again(self, rows: Tensor, which: NDArray[np.intp]) -> Tensor:
        """Judge new rows (m, p) of pictures (m,) without the look-alikes of these: (m, 1, 16, 16)."""
        return self._judged(rows, self._without, self._folds[which])

    def _judged(self, rows: Tensor, without: dict[int, Gaussians], folds: NDArray[np.intp]) -> Tensor:
        """Judge each row by what was learned without its fold (m,)."""
        found = torch.empty(len(rows), 1, *(self._shape[0][0],) * 2)
        for fold, gaussians in without.items():
            here = _where(folds == fold)
            found[here] = misfit(rows[here], gaussians, self._shape)
        return found


def learned(rows: Tensor, shape: Shape) -> Gaussians:
    """Estimate from rows (n, p) of good pictures, n at least 2."""
    return tuple(
        Gaussian(*(torch.from_numpy(each).float() for each in conditional_residual(part, DIRECTIONS)))
        for part in np.split(rows.double().numpy(), np.cumsum(sizes(shape))[:-1], axis=1)
    )


def _widened(gaussian: Gaussian, count: int) -> Gaussian:
    """Fill up with zeros to a number of directions: one graph serves all of them."""
    missing = count - gaussian.back.shape[0]
    return gaussian._replace(
        along=F.pad(gaussian.along, (0, missing)), back=F.pad(gaussian.back, (0, 0, 0, missing))
    )


def _folds(owners: NDArray[np.integer], seed: int) -> NDArray[np.intp]:
    """Divide pictures (n,) into folds of about equal size; those of one owner stay together."""
    names, whose = np.unique(owners, return_inverse=True)
    folds: NDArray[np.intp] = np.random.default_rng(seed).permutation(len(names))[whose] % min(
        FOLDS, len(names)
    )
    return folds


def _where(chosen: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(chosen)
