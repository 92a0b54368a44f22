"""Training batches: random crops of normal pictures, and the same crops with synthetic defects."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.defects import corrupt
from models.lighting import refocused, relit
from models.types import Floats, Rng

LIGHT_STRENGTH = 0.6  # strength of the changes in light
GAIN_LIMITS = (0.4, 2.5)  # a picture is never brightened or darkened by more than this


class Batch(NamedTuple):
    """The crops of one training step."""

    clean: Tensor  # (B, 3, H, W), 0 to 1
    corrupted: Tensor  # (B, 3, H, W), 0 to 1
    label: Tensor  # (B, 1, H, W), 0 untouched to 1 plainly visible
    rows: Tensor  # (B,), the picture that each crop was cut from

    def on(self, device: str) -> Batch:
        """Return the batch on a device, with channels last."""
        clean, corrupted, label = (
            part.to(device, memory_format=torch.channels_last)
            for part in (self.clean, self.corrupted, self.label)
        )
        return Batch(clean, corrupted, label, self.rows.to(device))


class CropSampler:
    """Draws batches; the batch of a step depends on the seed and the step alone, so a training can resume.

    Parameters
    ----------
    pixels : uint8 (N, H, W, 3)
        All prepared pictures.
    rows : int (n,)
        The pictures to draw from.
    crop, batch : int
        Side of a crop in px, and crops in a batch.
    flips : (bool, bool, bool)
        True if left-right flips, up-down flips and transposition leave a normal picture normal.
    seed : int
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        rows: NDArray[np.intp],
        *,
        crop: int,
        batch: int,
        flips: tuple[bool, bool, bool],
        seed: int,
    ) -> None:
        self._pixels, self._rows = pixels, rows
        self._crop, self._batch, self._flips, self._seed = crop, batch, flips, seed
        light = np.array([_mean_and_contrast(pixels[row]) for row in rows])
        self.means, self.contrasts = light[:, 0], np.maximum(light[:, 1], 0.02)
        self.target_mean = float(np.median(self.means))
        self.pictures = len(rows)

    def draw(self, step: int) -> Batch:
        """Return the batch of this step."""
        rng = np.random.default_rng([self._seed, step])
        clean, dirty, labels, rows = [], [], [], []
        for _ in range(self._batch):
            picture, contrast, row = self._draw_crop(rng)
            other, _, _ = self._draw_crop(rng)
            result = corrupt(rng, picture, other, contrast)
            clean.append(picture)
            dirty.append(result.picture)
            labels.append(result.label)
            rows.append(row)
        return Batch(
            _channels_first(clean),
            _channels_first(dirty),
            torch.from_numpy(np.stack(labels))[:, None],
            torch.tensor(rows),
        )

    def good(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw crops without defects, (count, 3, H, W), and the rows of their pictures, (count,)."""
        rng = np.random.default_rng([self._seed, 0, 0])  # differs from the generator of every step
        drawn = [self._draw_crop(rng) for _ in range(count)]
        return _channels_first([crop for crop, _, _ in drawn]), torch.tensor([row for _, _, row in drawn])

    def _draw_crop(self, rng: Rng) -> tuple[Floats, float, int]:
        """Return a random crop after changes of light and flips, its contrast, and its picture's row."""
        index = int(rng.integers(0, len(self._rows)))
        picture = self._pixels[self._rows[index]]
        gain = float(np.clip(self.target_mean / max(self.means[index], 1e-3), *GAIN_LIMITS))
        crop = self._cut(rng, picture).astype(np.float32) * np.float32(gain / 255)
        crop = refocused(rng, relit(rng, crop * np.float32(rng.uniform(0.92, 1.08)), LIGHT_STRENGTH))
        left, up, turn = self._flips
        if left and rng.random() < 0.5:
            crop = crop[:, ::-1]
        if up and rng.random() < 0.5:
            crop = crop[::-1]
        if turn and rng.random() < 0.5:
            crop = crop.transpose(1, 0, 2)
        return (
            np.ascontiguousarray(np.clip(crop, 0, 1), dtype=np.float32),
            float(self.contrasts[index] * gain),
            int(self._rows[index]),
        )

    def _cut(self, rng: Rng, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        size = self._crop
        y, x = int(rng.integers(0, height - size + 1)), int(rng.integers(0, width - size + 1))
        if rng.random() >= 0.3:
            return picture[y : y + size, x : x + size]
        centre = (x + size / 2, y + size / 2)
        turn = cv2.getRotationMatrix2D(centre, float(rng.uniform(-3, 3)), float(rng.uniform(0.97, 1.04)))
        turn[:, 2] -= (x, y)
        return np.asarray(
            cv2.warpAffine(
                picture, turn, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
            )
        )


def _mean_and_contrast(picture: NDArray[np.uint8]) -> tuple[float, float]:
    grey = picture.astype(np.float32).mean(2) / 255
    return float(grey.mean()), float(grey.std())


def _channels_first(pictures: list[Floats]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)  # (B, H, W, 3) -> (B, 3, H, W)
