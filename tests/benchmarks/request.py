"""The request of one measurement: a set of pictures, the amount of training, a seed, changed options."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.result import Content, place, rounded

RECIPE = 1  # raise this number to make all stored results out of date


@dataclass(frozen=True)
class Effort:
    """The amount of training: a number of steps if given, else a time budget if given, else a preset."""

    preset: str = "standard"
    budget_seconds: float | None = None
    steps: int | None = None

    @property
    def name(self) -> str:
        """The name of the folder of its results.

        Examples
        --------
        >>> Effort().name, Effort(budget_seconds=300.0).name, Effort(steps=40).name
        ('standard', 'budget-300s', 'steps-40')
        """
        if self.steps is not None:
            return f"steps-{self.steps}"
        return self.preset if self.budget_seconds is None else f"budget-{self.budget_seconds:g}s"

    def options(self) -> dict[str, Any]:
        """Return the amount as options of `models.fit`."""
        if self.steps is not None:
            return {"steps": self.steps}
        if self.budget_seconds is not None:
            return {"time_budget_seconds": self.budget_seconds}
        return {"preset": self.preset}


@dataclass(frozen=True)
class Request:
    """One fit and its evaluation.

    Attributes
    ----------
    folder : Path
        A set with `train/good`, `test/good`, folders of defects beside it, and possibly `ground_truth`.
    effort : Effort
    seed : int
    threads : int
        For the training; 0 lets the fit choose by timing.
    variant : str or None
        Name of the change from the defaults; None without a change.
    changes : dict
        Options of `models.fit` that differ from the defaults.
    constants : dict
        Constants of modules that differ during the fit: `module.NAME` to a value.
    without : str or None
        A component that is taken out of the score; the others keep their weights.
    """

    folder: Path
    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    threads: int = 1
    variant: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    without: str | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of `models.fit`, without the seed."""
        return self.effort.options() | self.changes

    def place(self, results: Path) -> Path:
        """Return the path of its result file."""
        return place(results, self.effort.name, self.folder.name, self.seed, self.variant)

    def asked(self, source_digest: str) -> Content:
        """Return everything that decides the outcome; a stored result with equal content is up to date."""
        asked: Content = rounded(
            {
                "recipe": RECIPE,
                "set": self.folder.name,
                "pictures": pictures_digest(self.folder),
                "source": source_digest,
                "effort": self.effort.name,
                "seed": self.seed,
                "threads": self.threads,
                "variant": self.variant,
                "options": self.options(),
            }
            | ({"constants": self.constants} if self.constants else {})
            | ({"without": self.without} if self.without else {})
        )
        return asked


def pictures_digest(folder: Path) -> str:
    """Return a short hexadecimal digest of the names and bytes of a set's files."""
    found = hashlib.sha256()
    for name in ("train", "test", "ground_truth"):
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                found.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return found.hexdigest()[:16]


def sets(data: Path, names: list[str]) -> list[Path]:
    """Return the sets in a folder: all of them, or those of the given names."""
    found = [path.parent.parent for path in sorted(data.glob("*/train/good"))]
    complete = [folder for folder in found if (folder / "test" / "good").is_dir()]
    return [folder for folder in complete if not names or folder.name in names]
