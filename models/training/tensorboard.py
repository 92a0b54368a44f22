"""Writes curves, pictures, the graph and the options of a training for TensorBoard."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from inspector.bundle.atomic import storage_errors
from inspector.errors import UsageError
from inspector.imaging import montage
from inspector.imaging.files import printable

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVE_POINTS, PANELS = 200, 20  # points of a curve, and sets of pictures, in a whole training


class Board:
    """One run in a folder of TensorBoard runs; the first curve or picture makes its folder.

    Parameters
    ----------
    folder : Path
        The folder for `tensorboard --logdir`.
    name : str
        The run's folder is `NAME`, or `NAME-2`, `NAME-3` and so on where that exists.
    resume : bool
        Continue in the last of these folders.

    Raises
    ------
    UsageError
        `folder` is a file.
    ImportError
        TensorBoard is not installed.
    """

    def __init__(self, folder: Path, name: str, *, resume: bool = False) -> None:
        import tensorboard  # noqa: F401  # fails now rather than after the training has begun

        if folder.exists() and not folder.is_dir():
            raise UsageError(
                f"--tensorboard is '{printable(folder)}', which is a file; allowed is a folder",
                hint="name a folder; it is made if it does not exist",
            )
        self.path = _run_folder(folder, name, resume=resume)
        self._writer: SummaryWriter | None = None

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._open().add_scalar(name, value, step)

    def picture(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Add a picture, uint8 (H, W, 3); the same pixels give the same bytes."""
        self._open().add_image(name, pixels, step, dataformats="HWC")

    def graph(self, network: nn.Module, example: Tensor) -> None:
        """Add the graph of a network, traced on a copy of it."""
        traced = copy.deepcopy(network).cpu().eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing is deprecated, but add_graph() still needs it
            self._open().add_graph(traced, example.cpu())

    def options(self, options: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        """Add a row to TensorBoard's table of runs: the options, and the figures that they led to."""
        plain = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in options.items()
        }
        self._open().add_hparams(plain, {f"outcome/{name}": v for name, v in figures.items()}, run_name=".")

    def close(self) -> None:
        """Write the rest to disk."""
        if self._writer is not None:
            with storage_errors(self.path):
                self._writer.close()
            self._writer = None

    def _open(self) -> SummaryWriter:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            with storage_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                self._writer = SummaryWriter(str(self.path))
        return self._writer


def _run_folder(folder: Path, name: str, *, resume: bool) -> Path:
    names = [name]
    while (folder / names[-1]).exists():
        names.append(f"{name}-{len(names) + 1}")
    return folder / (names[-2] if resume and len(names) > 1 else names[-1])


def due(step: int, steps: int, times: int) -> bool:
    """Return True if something that happens `times` times in a training happens after this step.

    Examples
    --------
    >>> [step for step in range(1, 101) if due(step, 100, 5)]
    [1, 20, 40, 60, 80, 100]
    """
    every = max(1, steps // times)
    return step == 1 or step == steps or step % every == 0


def pairs_in_rows(pictures: NDArray[np.uint8], below: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Lay out pictures, each with its reconstruction below it; uint8 (n, H, W, 3) both, n at least 1."""
    pairs = [montage.stack(upper, lower) for upper, lower in zip(pictures, below, strict=True)]
    return montage.lay_out(pairs, columns)
