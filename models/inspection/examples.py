"""Examples: good pictures with synthetic defects, and their features, from which a fit learns.

The trunk does not learn in a fit.  So its features, and the maps of the normal models, are computed once for
each example, and a training step cuts crops from them.  Each example is judged by normal models that were
learned without its picture's fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.defects import corrupt
from models.inspection.components import EVIDENCE
from models.inspection.cross_fitting import HEADS, head_of_folds
from models.inspection.features import trunk_features
from models.inspection.network import CELL, Trunk, evidence
from models.inspection.normal_model import map_of
from models.inspection.normals import Normals
from models.lighting import refocused, relit
from models.types import Floats, Rng

EXAMPLES, EXAMPLES_SIDE = 200, 256  # so many of pictures of 256 px, fewer of larger ones
FEWEST_EXAMPLES = 16
LAYERS = 3  # of defects in one picture, each of up to three
LIGHT_STRENGTH = 0.6  # strength of the changes in light
CROP, BATCH = 128, 16  # pixels on each side of a crop, and crops of a step
Crop = tuple[int, int, int, int]  # the example, its upper and left border, and its side, in px
COARSEST = 16  # px: crops lie on this grid, so that the features of every layer can be cut


@dataclass(frozen=True)
class Examples:
    """M pictures with synthetic defects.  Features have 16 bits, to save memory.

    Attributes
    ----------
    clean : uint8 (M, H, W, 3)
        Under other light, before the defects.
    label : float16 (M, 1, H/4, W/4)
        0 untouched to 1 plainly visible.
    s4, s8, s16, maps : float16 (M, c, h, w)
        Features, and `evidence`, of the pictures with defects.
    rows : int (M,)
        The picture that each was made from.
    """

    clean: NDArray[np.uint8]
    label: Tensor
    s4: Tensor
    s8: Tensor
    s16: Tensor
    maps: Tensor
    rows: NDArray[np.intp]


class HeadBatch(NamedTuple):
    """Crops for one head."""

    s4: Tensor  # (B, 32, h, w)
    s8: Tensor  # (B, 64, h/2, w/2)
    maps: Tensor  # (B, maps, h/2, w/2)
    label: Tensor  # (B, 1, h, w)


class AutoencoderBatch(NamedTuple):
    """Crops for the auto-encoder."""

    s16: Tensor  # (B, 128, h/4, w/4)
    clean: Tensor  # (B, 3, 4h, 4w), 0 to 1
    label: Tensor  # (B, 1, h, w)


class Batch(NamedTuple):
    """The crops of one training step: for the heads of the folds, then for the final one."""

    heads: tuple[HeadBatch, ...]
    autoencoder: AutoencoderBatch


def examples_of(side: int) -> int:
    """Return how many examples to make of pictures whose sides have so many pixels."""
    return max(FEWEST_EXAMPLES, min(EXAMPLES, EXAMPLES * EXAMPLES_SIDE**2 // side**2))


@torch.no_grad()
def make_examples(
    trunk: Trunk,
    normals: Normals,
    pixels: NDArray[np.uint8],
    count: int,
    seed: int,
    *,
    progress: Callable[[int, int], None],
) -> Examples:
    """Lay synthetic defects over the pictures that the normal models were learned from.

    Parameters
    ----------
    trunk : Trunk
        Pretrained, in evaluation mode.
    normals : Normals
    pixels : uint8 (N, H, W, 3)
    count : int
        The number of examples; each picture is used about equally often.
    seed : int
        Draws light and defects.
    progress : callable
        Called as `progress(done, total)` after each example.
    """
    rng = np.random.default_rng([seed, 1])
    rows = np.resize(rng.permutation(normals.rows), count)
    parts: list[tuple[Tensor, ...]] = []
    clean = np.empty((count, *pixels.shape[1:]), np.uint8)
    for i, row in enumerate(rows.tolist()):
        fold = normals.folds[normals.rows] == normals.folds[row]
        other = pixels[rng.choice(normals.rows[fold])]  # other folds must not show up in this one
        clean[i], damaged, label = _with_defects(rng, pixels[row], other)
        found = trunk_features(trunk, normals.normalise(torch.from_numpy(damaged)[None]))
        models = normals.apart[normals.folds[row]]
        seen = evidence([map_of(models, each, found) for each in EVIDENCE])
        at_4 = F.avg_pool2d(torch.from_numpy(label)[None, None], CELL)
        parts.append((at_4.half(), found.s4.half(), found.s8.half(), found.s16.half(), seen.half()))
        progress(i + 1, count)
    label_at_4, s4, s8, s16, maps = (torch.cat(some) for some in zip(*parts, strict=True))
    return Examples(clean, label_at_4, s4, s8, s16, maps, rows)


def _with_defects(
    rng: Rng, picture: NDArray[np.uint8], other: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Floats]:
    """Return a picture under other light, the same with defects, uint8 (H, W, 3), and the label (H, W)."""
    x, texture = (each.astype(np.float32) / np.float32(255) for each in (picture, other))
    contrast = max(float(x.mean(2).std()), 0.02)
    clean = np.clip(refocused(rng, relit(rng, x, LIGHT_STRENGTH)), 0, 1)
    damaged, label = clean, np.zeros(clean.shape[:2], np.float32)
    for _ in range(LAYERS):
        layer = corrupt(rng, damaged, texture, contrast)
        damaged, label = layer.picture, np.maximum(label, layer.label)
    return _to_uint8(clean), _to_uint8(damaged), label


def _to_uint8(picture: Floats) -> NDArray[np.uint8]:
    return np.asarray((np.clip(picture, 0, 1) * 255).round(), np.uint8)


class ExampleSampler:
    """Draws batches; the batch of a step depends on the seed and the step alone, so a training can resume.

    Parameters
    ----------
    examples : Examples
    normals : Normals
    seen : int (m,)
        The pictures that the auto-encoder may learn from.
    seed : int
    """

    def __init__(self, examples: Examples, normals: Normals, seen: NDArray[np.intp], seed: int) -> None:
        self.examples, self.seen, self.seed = examples, seen, seed
        self._normals = normals
        self._heads = head_of_folds(normals.folds[examples.rows])
        self._for_autoencoder = np.flatnonzero(np.isin(examples.rows, seen))

    def draw(self, step: int) -> Batch:
        """Return the batch of this step."""
        rng = np.random.default_rng([self.seed, step])
        autoencoder = self._autoencoder_batch(list(self._crops(rng, self._for_autoencoder)))
        crops = list(self._crops(rng, np.arange(len(self._heads))))
        heads = []
        for head in range(HEADS):
            others = self._crops(rng, np.flatnonzero(self._heads != head))
            heads.append(
                [
                    other if self._heads[crop[0]] == head else crop
                    for crop, other in zip(crops, others, strict=True)
                ]
            )
        return Batch(tuple(self._head_batch(some) for some in (*heads, crops)), autoencoder)

    def _head_batch(self, crops: list[Crop]) -> HeadBatch:
        all_of = self.examples
        layers = ((all_of.s4, 4), (all_of.s8, 8), (all_of.maps, 8), (all_of.label, 4))
        return HeadBatch(*(_cut(layer, crops, size) for layer, size in layers))

    def _autoencoder_batch(self, crops: list[Crop]) -> AutoencoderBatch:
        all_of = self.examples
        x = torch.cat(
            [
                self._normals.normalise(torch.from_numpy(all_of.clean[i])[None])[:, :, y : y + h, x : x + h]
                for i, y, x, h in crops
            ]
        )
        return AutoencoderBatch(_cut(all_of.s16, crops, 16), x, _cut(all_of.label, crops, 4))

    def _crops(self, rng: Rng, among: NDArray[np.intp]) -> Iterator[Crop]:
        """Draw crops of some examples."""
        side = min(CROP, self.examples.clean.shape[1])
        places = (self.examples.clean.shape[1] - side) // COARSEST + 1
        for i in rng.choice(among, BATCH).tolist():
            y, x = (COARSEST * rng.integers(0, places, 2)).tolist()
            yield i, y, x, side


def _cut(layer: Tensor, crops: list[Crop], size: int) -> Tensor:
    """Cut crops from a layer (M, c, h, w) whose patches are `size` px wide; float32."""
    cut = [
        layer[i, :, y // size : (y + side) // size, x // size : (x + side) // size] for i, y, x, side in crops
    ]
    return torch.stack(cut).float()
