"""Invented scenes for the pretraining: rendered into one array in a file that is mapped into memory."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pretrained.scenes import Scene
from models.types import Progress

PICTURES = 4  # of each scene
SIDE = 128  # px
BANK_SEED = 77
BLOCK = 100  # scenes rendered by one task


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
