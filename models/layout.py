"""The layout of a picture: how bright each place is and how it is drawn, given all the others.

Codes say what each place looks like, wherever it lies.  This says whether a place fits the rest of the
picture: too dark for what is around it, or with an edge where the others say smooth.  Good pictures are
taken for draws of one normal distribution over all places, and a place is judged by how far it is from what
the others make of it.  That is done three times, with places of three sizes: a small defect fills a small
place, and a large one is more than a large place's neighbours can explain.
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

from inspector import workshop

GRIDS = (16, 12, 8)  # places along each side
FEATURES = 5  # of each place: its brightness, and differences of neighbours in four directions
LEAST_BRIGHTNESS = 0.05  # a share of the picture's mean; less is dark
USUAL_DIFFERENCE = 0.03  # likewise; what noise and focus change between neighbours counts little below it
SIZES = [FEATURES * places**2 for places in GRIDS]
FOLDS = 5


class Gaussian(NamedTuple):
    """What the places of one grid make of each other: `calibration.gaussian.Residual`, as tensors.

    Attributes
    ----------
    middle, scale : Tensor (p,)
    along : Tensor (p, n)
    back : Tensor (n, p)
    """

    middle: Tensor
    scale: Tensor
    along: Tensor
    back: Tensor


Gaussians = tuple[Gaussian, ...]  # one for each of `GRIDS`


def features(x: Tensor) -> Tensor:
    """Log brightness of each place, and log mean differences of its pixels to their neighbours.

    Both are relative to the picture's mean brightness.  The neighbours are those to the left, above, above
    left and above right.

    Parameters
    ----------
    x : Tensor (N, 3, H, W)
        0 to about 1.

    Returns
    -------
    Tensor (N, 2320)
        Grid after grid, each with the brightness of all its places first, then each direction.
    """
    grey = (x[:, :1] + x[:, 1:2] + x[:, 2:]) / 3  # (N, 1, H, W)
    pixels = torch.cat([grey, _differences(grey)], 1)  # (N, 5, H, W)
    down, along = (_windows(side).to(x.device) for side in x.shape[-2:])
    means = torch.matmul(torch.matmul(down, pixels), along.T)  # (N, 5, 36, 36)
    found, start = [], 0
    for places in GRIDS:
        here = slice(start, start := start + places)
        values = means[:, :, here, here]  # (N, 5, places, places)
        whole = values[:, :1].mean((2, 3), keepdim=True).clamp_min(1e-3)
        brightness = torch.log((values[:, :1] / whole).clamp_min(LEAST_BRIGHTNESS))
        edges = torch.log(values[:, 1:] / whole + USUAL_DIFFERENCE)
        found.append(torch.cat([brightness, edges], 1).flatten(1))
    return torch.cat(found, 1)


def _windows(side: int) -> Tensor:
    """How much each of so many pixels counts in the mean of each place: (36, side), grid after grid.

    A pixel on the border of two places counts in both, by its share.
    """
    pixels = np.arange(side)
    found = []
    for places in GRIDS:
        edges = np.arange(places + 1) * side / places
        low, high = edges[:-1, None], edges[1:, None]
        found.append(np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, 1) * places / side)
    return torch.from_numpy(np.concatenate(found).astype(np.float32))


def _differences(grey: Tensor) -> Tensor:
    """(N, 1, H, W) to each pixel's distances from four neighbours, (N, 4, H, W)."""
    height, width = grey.shape[-2:]
    padded = F.pad(grey, (1, 1, 1, 0), mode="replicate")  # a column on each side, and a row above
    left, above = padded[..., 1:, :width], padded[..., :height, 1:-1]
    above_left, above_right = padded[..., :height, :width], padded[..., :height, 2:]
    return torch.cat([(grey - each).abs() for each in (left, above, above_left, above_right)], 1)


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
    """Pictures to how little each place fits the others.

    Parameters
    ----------
    gaussians : tuple of Gaussian
        Of the features of good pictures.
    """

    def __init__(self, gaussians: Gaussians) -> None:
        super().__init__()
        self.grids = nn.ModuleList(Grid(each) for each in gaussians)

    def gaussians(self) -> Gaussians:
        """Return what it judges by."""
        return tuple(grid.gaussian() for grid in self.grids)  # type: ignore[operator]  # they are Grids

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 1, 16, 16)."""
        return misfit(features(x), self.gaussians())

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


def misfit(rows: Tensor, gaussians: Gaussians) -> Tensor:
    """Features (N, 2320) to how little each place fits, (N, 1, 16, 16): the mean over the grids.

    In a grid it is the root mean square of a place's five residuals, divided by the root of its mean over
    the picture: where nothing fits well, as under other light, a place must stand out further.
    """
    found = []
    for part, places, gaussian in zip(torch.split(rows, SIZES, 1), GRIDS, gaussians, strict=True):
        moved = part - gaussian.middle
        left = moved * gaussian.scale - torch.matmul(torch.matmul(moved, gaussian.along), gaussian.back)
        size = left.reshape(-1, FEATURES, places, places).square().mean(1, keepdim=True).sqrt()
        relative = size / size.mean((2, 3), keepdim=True).clamp_min(1e-3).sqrt()
        found.append(F.interpolate(relative, size=(GRIDS[0],) * 2, mode="bilinear", align_corners=False))
    return torch.cat(found, 1).mean(1, keepdim=True)


class GoodLayouts:
    """The layouts of good pictures, each of them judged by what was learned from others.

    Parameters
    ----------
    rows : Tensor (n, 2320)
        Their features.
    owners : int (n,)
        Pictures that share one look alike.
    seed : int
        Of the folds.
    """

    def __init__(self, rows: Tensor, owners: NDArray[np.integer], seed: int) -> None:
        self._rows, self._owners, self._seed = rows, owners, seed
        self._folds = _folds(owners, seed)
        self._without = {
            fold: learned(rows[_where(self._folds != fold)]) for fold in set(self._folds.tolist())
        }

    def without(self, owners: NDArray[np.integer]) -> Gaussians:
        """Learn from all pictures but those of some owners; the tensors' shapes are those of all pictures."""
        return tuple(
            _widened(each, len(self._rows))
            for each in learned(self._rows[_where(~np.isin(self._owners, owners))])
        )

    def alone(self) -> Tensor:
        """Judge each without itself: (n, 1, 16, 16)."""
        folds = _folds(np.arange(len(self._rows)), self._seed)
        found = torch.empty(len(self._rows), 1, GRIDS[0], GRIDS[0])
        for fold in np.unique(folds):
            here = _where(folds == fold)
            found[here] = misfit(self._rows[here], learned(self._rows[~here]))
        return found

    def apart(self) -> Tensor:
        """Judge each without its look-alikes: (n, 1, 16, 16)."""
        return self.again(self._rows, np.arange(len(self._rows)))

    def again(self, rows: Tensor, which: NDArray[np.intp]) -> Tensor:
        """Judge new features (m, 2320) of pictures (m,) without the look-alikes of these: (m, 1, 16, 16)."""
        found = torch.empty(len(rows), 1, GRIDS[0], GRIDS[0])
        for fold, gaussian in self._without.items():
            here = _where(self._folds[which] == fold)
            found[here] = misfit(rows[here], gaussian)
        return found


def learned(rows: Tensor) -> Gaussians:
    """Estimate from features (n, 2320) of good pictures, n at least 2."""
    room = workshop.room("calibration.gaussian")
    return tuple(
        Gaussian(*(torch.from_numpy(each).float() for each in room.conditional_residual(part)))
        for part in np.split(rows.double().numpy(), np.cumsum(SIZES)[:-1], axis=1)
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
