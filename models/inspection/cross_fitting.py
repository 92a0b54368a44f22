"""Held-out pictures become landmarks and layouts too, and yet set thresholds as strangers.

The networks never see them.  Landmarks are codes, and a detector needs those of all good pictures that there
are: a kind of good part that happens to be held out as a whole would be an anomaly otherwise.  So that no
picture vouches for itself, the held-out ones are divided into a few parts, and each is scored by a graph in
which the landmarks and layouts of its part do not count (cross-conformal prediction).  Later pictures are
compared with all of them: no landmark makes a distance larger.  That a distance relative to the picture's
mean, or a layout that has seen more pictures, finds less unusual too is to be expected, but no law.

References
----------
V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74, 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from models.inspection.context import Gaussians
from models.inspection.detector import DISTANCES, LAYOUTS, Maps
from models.inspection.memory_bank import BLOCK, without

PARTS = 4
NO_PART = -1


@dataclass(frozen=True)
class Parts:
    """Which part each held-out picture belongs to, and each landmark.

    Attributes
    ----------
    pictures : int (h,)
        0 to `PARTS` − 1, in the order of the held-out rows.
    landmarks : tuple of int (m,)
        For each of `models.inspection.detector.DISTANCES`; −1 for those of training pictures.
    layouts : dict of int to tuple of tuple of Gaussian
        For each part what each of `models.inspection.detector.LAYOUTS` is without it.
    """

    pictures: NDArray[np.intp]
    landmarks: tuple[NDArray[np.intp], ...]
    layouts: dict[int, tuple[Gaussians, ...]]

    def each(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield each part and the positions of its pictures."""
        for part in np.unique(self.pictures):
            yield int(part), np.flatnonzero(self.pictures == part)


def divide(owners: NDArray[np.integer]) -> NDArray[np.intp]:
    """Divide held-out pictures into parts of about equal size: (h,) owners to (h,) parts.

    Look-alikes, which have the same owner, stay together.
    """
    names, counts = np.unique(owners, return_counts=True)
    sizes, parts = np.zeros(PARTS, int), np.zeros(len(names), np.intp)
    for i in np.argsort(-counts, kind="stable"):
        parts[i] = sizes.argmin()
        sizes[parts[i]] += counts[i]
    return parts[np.searchsorted(names, owners)]


@contextmanager
def left_out(maps: Maps, parts: Parts, part: int) -> Iterator[None]:
    """Make the landmarks of a part, and its layouts, not count in a network."""
    distances = [getattr(maps, name) for name in DISTANCES]
    before = [distance.squares for distance in distances]
    try:
        for distance, owned in zip(distances, parts.landmarks, strict=True):
            distance.squares = without(distance.squares, torch.from_numpy(owned == part))
        with ExitStack() as others:
            for name, gaussians in zip(LAYOUTS, parts.layouts[part], strict=True):
                others.enter_context(getattr(maps, name).instead(gaussians))
            yield
    finally:
        for distance, squares in zip(distances, before, strict=True):
            distance.squares = squares


@contextmanager
def graph_without(path: Path, parts: Parts, part: int) -> Iterator[Path]:
    """Write a copy of an exported graph in which the landmarks of a part, and its layouts, do not count."""
    model = onnx.load(path)
    constants = {value.name: value for value in model.graph.initializer}
    for name, owned in zip(DISTANCES, parts.landmarks, strict=True):
        for i, marked in enumerate(np.split(owned == part, range(BLOCK, len(owned), BLOCK))):
            constant = constants[f"maps.{name}.blocks.{i}.squares"]
            squares = numpy_helper.to_array(constant).copy()
            squares[marked] = np.inf
            constant.CopyFrom(numpy_helper.from_array(squares, constant.name))
    for layout, gaussians in zip(LAYOUTS, parts.layouts[part], strict=True):
        for i, gaussian in enumerate(gaussians):
            for name, value in gaussian._asdict().items():
                constant = constants[f"maps.{layout}.grids.{i}.{name}"]
                constant.CopyFrom(numpy_helper.from_array(value.numpy(), constant.name))
    with TemporaryDirectory() as folder:
        target = Path(folder) / path.name
        onnx.save(model, target)
        yield target
