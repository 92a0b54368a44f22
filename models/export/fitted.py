"""The facts of a fit that everything after the training needs: its pictures, its request, its model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.imaging.one_colour import of_one_colour
from inspector.settings import Settings
from models import dataset
from models.export.scoring_model import ScoringModel
from models.fit_options import FitOptions
from models.training.course import Course
from models.types import Progress


@dataclass(frozen=True)
class Pictures:
    """The pictures of a fit.

    Attributes
    ----------
    known : PictureSet
        All pictures.
    training, heldout : int (n,)
        Rows of the set.
    groups : int (N,)
        Near-duplicates have the same number.
    """

    known: dataset.PictureSet
    training: NDArray[np.intp]
    heldout: NDArray[np.intp]
    groups: NDArray[np.integer]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W, 3)."""
        return self.known.pixels

    @cached_property
    def of_one_colour(self) -> NDArray[np.bool_]:
        """True for pictures that show nothing, (N,); they count as suspicious."""
        return of_one_colour(self.pixels)


@dataclass(frozen=True)
class Fitted:
    """Everything that a bundle is written from.

    Attributes
    ----------
    folder : Path
        The folder of the pictures.
    name : str
    options : FitOptions
    settings : Settings
    pictures : Pictures
    course : Course
        Of the training.
    model : ScoringModel
    progress : callable
    """

    folder: Path
    name: str
    options: FitOptions
    settings: Settings
    pictures: Pictures
    course: Course
    model: ScoringModel
    progress: Progress
