"""What a training shows in TensorBoard: curves, pictures, the graph, and the options it was asked for."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inspector.bundle.atomic import storage_errors
from inspector.errors import UsageError
from inspector.imaging.files import printable

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVE_POINTS, PANELS = 200, 20  # how often curves and pictures are written in a whole training


class Board:
    """One run in a folder of TensorBoard runs; nothing is written before the first curve or picture.

    A new training gets a folder of its own, `NAME`, `NAME-2` and so on; one that is resumed goes on in the
    last of them.

    Parameters
    ----------
    folder : Path
        What `tensorboard --logdir` is given.
    name : str
    resume : bool

    Raises
    ------
    UsageError
        `folder` is a file.
    ImportError
        TensorBoard is not installed.
    """

    def __init__(self, folder: Path, name: str, *, resume: bool = False) -> None:
        import tensorboard  # noqa: F401  # found out now, not after the training has begun

        if folder.exists() and not folder.is_dir():
            raise UsageError(
                f"--tensorboard is '{printable(folder)}', which is a file; allowed is a folder",
                hint="name a folder; it is made if it does not exist",
            )
        self.path = _run_folder(folder, name, resume=resume)
        self._writer: SummaryWriter | None = None
        self._begins = 0

    def begin(self, step: int) -> None:
        """Forget what an interrupted run wrote after this step, and go on from there."""
        self._begins = step

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._open().add_scalar(name, value, step)

    def picture(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Add a picture, uint8 (H, W, 3); the same pixels give the same bytes."""
        self._open().add_image(name, pixels, step, dataformats="HWC")

    def graph(self, network: nn.Module, example: Tensor) -> None:
        """Add the graph of a network, which is looked at in a copy of it."""
        twin = copy.deepcopy(network).cpu().eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing is deprecated, and what TensorBoard's graph needs
            self._open().add_graph(twin, example.cpu())

    def options(self, options: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        """Add what was asked for beside what came of it: one row of TensorBoard's table of runs."""
        plain = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in options.items()
        }
        self._open().add_hparams(plain, {f"outcome/{name}": v for name, v in figures.items()}, run_name=".")

    def close(self) -> None:
        """Write what is not written yet."""
        if self._writer is not None:
            with storage_errors(self.path):
                self._writer.close()
            self._writer = None

    def _open(self) -> SummaryWriter:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            with storage_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                self._writer = SummaryWriter(str(self.path), purge_step=self._begins or None)
        return self._writer


def _run_folder(folder: Path, name: str, *, resume: bool) -> Path:
    names = [name]
    while (folder / names[-1]).exists():
        names.append(f"{name}-{len(names) + 1}")
    return folder / (names[-2] if resume and len(names) > 1 else names[-1])


def due(step: int, steps: int, times: int) -> bool:
    """Whether something that happens so many times in a training happens after this step.

    Examples
    --------
    >>> [step for step in range(1, 101) if due(step, 100, 5)]
    [1, 20, 40, 60, 80, 100]
    """
    every = max(1, steps // times)
    return step == 1 or step == steps or step % every == 0


def rows_of_pairs(pictures: NDArray[np.uint8], copies: NDArray[np.uint8], across: int) -> NDArray[np.uint8]:
    """Lay originals above their copies, as many side by side as asked for; uint8 (n, H, W, 3) both."""
    starts = range(0, len(pictures), across)
    rows = [part[start : start + across] for start in starts for part in (pictures, copies)]
    return np.concatenate([_band(row, across) for row in rows])


def grid(pictures: NDArray[np.uint8], across: int) -> NDArray[np.uint8]:
    """Lay pictures side by side in rows, white where the last row ends; uint8 (n, H, W, 3)."""
    starts = range(0, len(pictures), across)
    return np.concatenate([_band(pictures[start : start + across], across) for start in starts])


def _band(row: NDArray[np.uint8], across: int) -> NDArray[np.uint8]:
    missing = np.full((across - len(row), *row.shape[1:]), 255, np.uint8)
    return np.concatenate([*row, *missing], axis=1)


def fixed_noise(count: int, latent_dim: int) -> Tensor:
    """Return the same draws of N(0, I) for every step of every training, (count, latent_dim)."""
    return torch.randn(count, latent_dim, generator=torch.Generator().manual_seed(0))
