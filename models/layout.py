"""The layout of a picture: how bright each of 16 x 16 places is and how it is drawn, given all the others.

Codes say what each place looks like, wherever it lies.  This says whether a place fits the rest of the
picture: too dark for what is around it, or with an edge where the others say smooth.  Good pictures are
taken for draws of one normal distribution over all places, and a place is judged by how far it is from what
the others make of it.
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

PLACES = 16  # along each side
FEATURES = 5  # of each place: its brightness, and differences of neighbours in four directions
LEAST_BRIGHTNESS = 0.05  # a share of the picture's mean; less is dark
USUAL_DIFFERENCE = 0.03  # likewise; what noise and focus change between neighbours counts little below it
FOLDS = 5


class Gaussian(NamedTuple):
    """What places make of each other.

    Attributes
    ----------
    middle : Tensor (p,)
        Mean of good pictures.
    residual : Tensor (p, p)
        `P / √diag P` of their precision P: `(f − middle) @ residual` is each number's distance from what
        the others predict, in units of what is usual.
    """

    middle: Tensor
    residual: Tensor


def features(x: Tensor) -> Tensor:
    """Log brightness of each place, and log mean differences of its pixels to their neighbours.

    Both are relative to the picture's mean brightness.  The neighbours are those to the left, above, above
    left and above right.

    Parameters
    ----------
    x : Tensor (N, 3, H, W)
        0 to about 1; H and W multiples of 16.

    Returns
    -------
    Tensor (N, 1280)
        The brightness of all places first, then each direction.
    """
    grey = x.mean(1, keepdim=True)  # (N, 1, H, W)
    sides = grey.shape[-2] // PLACES, grey.shape[-1] // PLACES
    mean = F.avg_pool2d(grey, sides)  # (N, 1, 16, 16)
    whole = mean.mean((1, 2, 3), keepdim=True).clamp_min(1e-3)
    brightness = torch.log((mean / whole).clamp_min(LEAST_BRIGHTNESS))
    differences = F.avg_pool2d(_differences(grey), sides)  # (N, 4, 16, 16)
    return torch.cat([brightness, torch.log(differences / whole + USUAL_DIFFERENCE)], 1).flatten(1)


def _differences(grey: Tensor) -> Tensor:
    """(N, 1, H, W) to each pixel's distances from four neighbours, (N, 4, H, W)."""
    height, width = grey.shape[-2:]
    padded = F.pad(grey, (1, 1, 1, 0), mode="replicate")  # a column on each side, and a row above
    left, above = padded[..., 1:, :width], padded[..., :height, 1:-1]
    above_left, above_right = padded[..., :height, :width], padded[..., :height, 2:]
    return torch.cat([(grey - each).abs() for each in (left, above, above_left, above_right)], 1)


class Layout(nn.Module):
    """Pictures to how little each place fits the others.

    Parameters
    ----------
    gaussian : Gaussian
        Of the features of good pictures.
    """

    middle: Tensor
    residual: Tensor

    def __init__(self, gaussian: Gaussian) -> None:
        super().__init__()
        self.register_buffer("middle", gaussian.middle)
        self.register_buffer("residual", gaussian.residual)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 1, 16, 16)."""
        return misfit(features(x), Gaussian(self.middle, self.residual))

    @contextmanager
    def instead(self, gaussian: Gaussian) -> Iterator[None]:
        """Judge by another one for a while."""
        before = Gaussian(self.middle, self.residual)
        self.middle, self.residual = gaussian
        try:
            yield
        finally:
            self.middle, self.residual = before


def misfit(rows: Tensor, gaussian: Gaussian) -> Tensor:
    """Features (N, 1280) to the root mean square of each place's five residuals, (N, 1, 16, 16)."""
    found = torch.matmul(rows - gaussian.middle, gaussian.residual).reshape(-1, FEATURES, PLACES, PLACES)
    return found.square().mean(1, keepdim=True).sqrt()


class GoodLayouts:
    """The layouts of good pictures, each of them judged by what was learned from others.

    Parameters
    ----------
    rows : Tensor (n, 1280)
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

    def without(self, owners: NDArray[np.integer]) -> Gaussian:
        """Learn from all pictures but those of some owners."""
        return learned(self._rows[_where(~np.isin(self._owners, owners))])

    def alone(self) -> Tensor:
        """Judge each without itself: (n, 1, 16, 16)."""
        folds = _folds(np.arange(len(self._rows)), self._seed)
        found = torch.empty(len(self._rows), 1, PLACES, PLACES)
        for fold in np.unique(folds):
            here = _where(folds == fold)
            found[here] = misfit(self._rows[here], learned(self._rows[~here]))
        return found

    def apart(self) -> Tensor:
        """Judge each without its look-alikes: (n, 1, 16, 16)."""
        return self.again(self._rows, np.arange(len(self._rows)))

    def again(self, rows: Tensor, which: NDArray[np.intp]) -> Tensor:
        """Judge new features (m, 1280) of pictures (m,) without the look-alikes of these: (m, 1, 16, 16)."""
        found = torch.empty(len(rows), 1, PLACES, PLACES)
        for fold, gaussian in self._without.items():
            here = _where(self._folds[which] == fold)
            found[here] = misfit(rows[here], gaussian)
        return found


def learned(rows: Tensor) -> Gaussian:
    """Estimate from features (n, p) of good pictures, n at least 2."""
    middle, residual = workshop.room("calibration.gaussian").conditional_residual(rows.double().numpy())
    return Gaussian(torch.from_numpy(middle).float(), torch.from_numpy(residual).float())


def _folds(owners: NDArray[np.integer], seed: int) -> NDArray[np.intp]:
    """Divide pictures (n,) into folds of about equal size; those of one owner stay together."""
    names, whose = np.unique(owners, return_inverse=True)
    folds: NDArray[np.intp] = np.random.default_rng(seed).permutation(len(names))[whose] % min(
        FOLDS, len(names)
    )
    return folds


def _where(chosen: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(chosen)
