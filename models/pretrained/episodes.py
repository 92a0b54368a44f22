"""Episodes: pictures of several rendered scenes, some with a defect, for one training step."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.defects import corrupt
from models.lighting import relit
from models.pretrained.scenes import Scene
from models.types import Floats, Progress, Rng

PICTURES = 4  # of each scene
SIDE = 128  # px
BANK_SEED = 77
BLOCK = 100  # scenes rendered by one task
CORRUPTED_SHARE = 0.7  # of the pictures may get a defect
COMPARABLE = 0.05  # patches are compared with patches up to this label


class Episode(NamedTuple):
    """The pictures of one training step; the `PICTURES` pictures of a scene are neighbours."""

    pictures: Tensor  # (B, 3, SIDE, SIDE), 0 to 1
    label: Tensor  # (B, 1, SIDE, SIDE), 0 untouched to 1 plainly visible


def render_bank(path: Path, count: int, workers: int, progress: Progress) -> NDArray[np.uint8]:
    """Render scenes into a file, in `workers` processes, and map it into memory.

    Scene i depends on i alone.  A call continues where an interrupted one stopped.

    Parameters
    ----------
    path : Path
        A file for as many scenes, or a new one.
    count, workers : int
    progress : callable
        Called as `progress("scenes", rendered, all)`.

    Returns
    -------
    uint8 (count, PICTURES, SIDE, SIDE, 3)
    """
    done = path.with_suffix(".done")
    shape = (count, PICTURES, SIDE, SIDE, 3)
    if not path.exists():
        done.write_text("")
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    ready = {int(line) for line in done.read_text().split()}
    starts = [start for start in range(0, count, BLOCK) if start not in ready]
    spawn = get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(workers, spawn, initializer=cv2.setNumThreads, initargs=(1,))
    with pool, done.open("a") as log:
        run = pool.map if workers > 1 else map  # one worker is this process
        progress("scenes", min(BLOCK * len(ready), count), count)
        for blocks, start in enumerate(run(partial(_render_block, path, count), starts), len(ready) + 1):
            log.write(f"{start}\n")
            log.flush()
            progress("scenes", min(BLOCK * blocks, count), count)
    bank: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return bank


def _render_block(path: Path, count: int, start: int) -> int:
    """Render up to `BLOCK` scenes into the file, and return the number of the first."""
    bank = np.load(path, mmap_mode="r+", allow_pickle=False)
    for index in range(start, min(start + BLOCK, count)):
        rng = np.random.default_rng([BANK_SEED, index])
        scene = Scene(rng)
        for picture in range(PICTURES):
            bank[index, picture] = np.round(scene.draw(rng, SIDE) * 255)
    bank.flush()
    return start


class EpisodeSampler:
    """Draws episodes; the episode of a step depends on seed and step alone.

    Parameters
    ----------
    bank : uint8 (N, PICTURES, SIDE, SIDE, 3)
    scenes : int
        Number of scenes in an episode.
    seed : int
    """

    def __init__(self, bank: NDArray[np.uint8], scenes: int, seed: int) -> None:
        self._bank, self._scenes, self._seed = bank, scenes, seed

    def draw(self, step: int) -> Episode:
        """Return the episode of this step."""
        rng = np.random.default_rng([self._seed, step])
        chosen = rng.choice(len(self._bank), self._scenes, replace=False)
        pictures = np.empty((self._scenes, PICTURES, SIDE, SIDE, 3), np.float32)
        labels = np.zeros((self._scenes, PICTURES, SIDE, SIDE), np.float32)
        for row, index in enumerate(chosen):
            following = self._bank[int(chosen[(row + 1) % self._scenes])]
            pictures[row], labels[row] = _with_defects(rng, self._bank[index], following[0])
        for row in range(self._scenes):
            strength = rng.choice([0.3, 1.0])
            for picture in range(PICTURES):
                pictures[row, picture] = relit(rng, pictures[row, picture], strength)
        pictures = _levelled(rng, pictures)
        return Episode(
            torch.from_numpy(pictures).reshape(-1, SIDE, SIDE, 3).permute(0, 3, 1, 2),
            torch.from_numpy(labels).reshape(-1, 1, SIDE, SIDE),
        )


def _with_defects(rng: Rng, scene: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Flip a scene and swap its colours at random, and lay defects over most of its pictures.

    A defect shows texture of the scene's next picture or of `other`, a picture of another scene.  Returns
    pictures (PICTURES, SIDE, SIDE, 3) and labels (PICTURES, SIDE, SIDE).
    """
    clean: Floats = np.asarray(scene / np.float32(255))
    if rng.random() < 0.5:
        clean = clean[:, :, ::-1]
    if rng.random() < 0.5:
        clean = clean.transpose(0, 2, 1, 3)
    if rng.random() < 0.3:
        clean = clean[..., rng.permutation(3)]
    clean = np.ascontiguousarray(clean)
    another: Floats = np.asarray(other / np.float32(255))
    pictures, labels = clean.copy(), np.zeros(clean.shape[:3], np.float32)
    for i in range(PICTURES):
        if rng.random() < CORRUPTED_SHARE:
            source = another if rng.random() < 0.5 else clean[(i + 1) % PICTURES]
            contrast = max(float(clean[i].mean(2).std()), 0.04)
            pictures[i], labels[i] = corrupt(rng, clean[i], source, contrast)
    return pictures, labels


def _levelled(rng: Rng, pictures: Floats) -> Floats:
    """Bring the pictures of each scene to about one brightness, as a fitted model does."""
    mean = pictures.mean((2, 3, 4), keepdims=True)
    target = rng.uniform(0.3, 0.6, (len(pictures), 1, 1, 1, 1))
    gain = np.clip(target / np.maximum(mean, 1e-3), 0.4, 2.5)
    jitter = rng.uniform(0.93, 1.07, (len(pictures), PICTURES, 1, 1, 1))
    return np.asarray(pictures * gain * jitter, np.float32)
