"""Batches of whole pictures at 64 px for the article's training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

BATCH = 50
NOISE = 0.01  # standard deviation of the noise on the encoder's input, truncated at two of them


class PictureBatch(NamedTuple):
    """The pictures of one training step."""

    clean: Tensor  # (B, 3, 64, 64), −1 to 1
    noisy: Tensor  # (B, 3, 64, 64), the same with noise


class PictureSampler:
    """Draws batches; the batch of a step depends on seed and step alone, so that a training can resume.

    Parameters
    ----------
    pixels : uint8 (N, 64, 64, 3)
        All prepared pictures.
    rows : int (n,)
        The pictures to draw from, without replacement inside a batch.
    flip : bool
        Mirror half of the pictures; valid if left-right mirrored normal pictures are normal.
    seed : int
    groups : int (N,), optional
        Duplicate groups.  A group is drawn as often as a single picture; otherwise the regularizer would
        spread the latents of all pictures around those of the largest groups.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        rows: NDArray[np.intp],
        *,
        flip: bool,
        seed: int,
        groups: NDArray[np.integer] | None = None,
    ) -> None:
        self._pixels, self._rows, self._flip, self._seed = pixels, rows, flip, seed
        _, members, sizes = np.unique(
            rows if groups is None else groups[rows], return_inverse=True, return_counts=True
        )
        self._chances = 1 / sizes[members] / len(sizes)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the set, at least one."""
        return max(1, len(self._rows) // BATCH)

    def draw(self, step: int) -> PictureBatch:
        """Return the batch of this step."""
        rng = np.random.default_rng([self._seed, step])
        rows = rng.choice(self._rows, min(BATCH, len(self._rows)), replace=False, p=self._chances)
        pictures = np.array(self._pixels[rows])
        if self._flip:
            mirrored = rng.random(len(pictures)) < 0.5
            pictures[mirrored] = pictures[mirrored, :, ::-1]
        x = to_tensor(pictures)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise = nn.init.trunc_normal_(
            torch.empty_like(x), std=NOISE, a=-2 * NOISE, b=2 * NOISE, generator=generator
        )
        return PictureBatch(x, x + noise)

    def evenly(self, count: int) -> Tensor:
        """Return up to `count` pictures at even distances in the set, without noise: (n, 3, 64, 64)."""
        chosen = np.linspace(0, len(self._rows) - 1, min(count, len(self._rows))).astype(int)
        return to_tensor(np.array(self._pixels[self._rows[chosen]]))


def normalised(pictures: Tensor) -> Tensor:
    """Turn uint8 pictures (N, H, W, 3) into floats (N, 3, H, W) in −1 to 1."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """Turn an array of uint8 pictures (N, H, W, 3) into a tensor (N, 3, H, W) in −1 to 1."""
    return normalised(torch.from_numpy(pictures))


def to_pixels(x: Tensor) -> NDArray[np.uint8]:
    """Turn a tensor (N, 3, H, W) in −1 to 1 into uint8 pictures (N, H, W, 3)."""
    scaled = ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).cpu().numpy()
