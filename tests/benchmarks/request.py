"""What is asked of a measurement: sets of pictures, how much training, seeds, and changed options."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector.commands.options import seconds
from inspector.errors import UsageError
from models.inspection.options import InspectionOptions
from tests.benchmarks.result import Content, place, rounded
from tests.benchmarks.source import ROOT

RECIPE = 1  # of a result file; another number makes all of them out of date
RESULTS = ROOT / "docs" / "results"


@dataclass(frozen=True)
class Effort:
    """How much a fit may learn: a preset, a time budget or a number of steps, the last one given."""

    preset: str = "standard"
    budget_seconds: float | None = None
    steps: int | None = None

    @property
    def name(self) -> str:
        """Name of its folder of results.

        Examples
        --------
        >>> Effort().name, Effort(budget_seconds=300.0).name, Effort(steps=40).name
        ('standard', 'budget-300s', 'steps-40')
        """
        if self.steps is not None:
            return f"steps-{self.steps}"
        return self.preset if self.budget_seconds is None else f"budget-{self.budget_seconds:g}s"

    def options(self) -> dict[str, Any]:
        """Return it as options of `models.fit`."""
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
        A set: `train/good`, `test/good`, other folders of defects, perhaps `ground_truth`.
    effort : Effort
    seed : int
    threads : int
        For the training; 0 lets the fit choose by timing.
    part : str or None
        Name of what is changed from the defaults.
    changes : dict
        The options of `models.fit` that it changes.
    constants : dict
        What it changes beyond options, for the time of the fit: `module.NAME` to another value.
    """

    folder: Path
    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    threads: int = 1
    part: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Return the options of `models.fit`, without the seed."""
        return self.effort.options() | self.changes

    def place(self, results: Path) -> Path:
        """Return where its result lies."""
        return place(results, self.effort.name, self.folder.name, self.seed, self.part)

    def asked(self, source_digest: str) -> Content:
        """Return all that decides the outcome: a result that was asked for the same is still right."""
        asked: Content = rounded(
            {
                "recipe": RECIPE,
                "set": self.folder.name,
                "pictures": pictures_digest(self.folder),
                "source": source_digest,
                "effort": self.effort.name,
                "seed": self.seed,
                "threads": self.threads,
                "part": self.part,
                "options": self.options(),
            }
            | ({"constants": self.constants} if self.constants else {})
        )
        return asked


def pictures_digest(folder: Path) -> str:
    """Return one short hexadecimal word for the names and bytes of a set's files."""
    found = hashlib.sha256()
    for name in ("train", "test", "ground_truth"):
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                found.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return found.hexdigest()[:16]


def sets(data: Path, names: list[str]) -> list[Path]:
    """Return the sets in a folder, or those of the given names."""
    found = [path.parent.parent for path in sorted(data.glob("*/train/good"))]
    complete = [folder for folder in found if (folder / "test" / "good").is_dir()]
    return [folder for folder in complete if not names or folder.name in names]


def arguments(description: str) -> argparse.ArgumentParser:
    """Return what all measurements of sets take on the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder of sets: train/good, test/good, test/KIND")
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME", help="only these")
    parser.add_argument("--preset", choices=tuple(InspectionOptions.PRESET_SECONDS), default="standard")
    parser.add_argument("--budget", metavar="TIME", help="such as 90s or 5m, instead of a preset")
    parser.add_argument("--steps", type=int, metavar="N", help="train so many steps, whatever time they take")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="without it one with --steps, else by timing"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="a folder (default: docs/results)")
    parser.add_argument("--again", action="store_true", help="measure also what is there and up to date")
    return parser


def requests(options: argparse.Namespace) -> list[Request]:
    """Return what the command line asks for: every set with the first seed, then with the next one.

    Threads that are chosen by timing change the last digits of a training; a number of steps is asked
    for where the outcome is to be the same again.

    Raises
    ------
    UsageError
        If there is no set to measure.
    """
    budget = None if options.budget is None else seconds(options.budget)
    effort = Effort(options.preset, budget, options.steps)
    threads = options.threads if options.threads is not None else int(options.steps is not None)
    found = sets(options.data, options.sets)
    if not found:
        named = f" of the names {', '.join(options.sets)}" if options.sets else ""
        raise UsageError(f"no set{named} in {options.data}", hint="a set has train/good and test/good")
    return [Request(folder, effort, seed, threads) for seed in options.seeds for folder in found]
