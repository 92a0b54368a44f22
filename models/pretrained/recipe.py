"""What pretrained weights are made from: written on their card, and the same whenever a training goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from inspector.bundle.atomic import write_bytes
from inspector.errors import ResumeError, UsageError
from inspector.imaging.files import printable
from models.pretrained.photographs import Photographs

NO_PHOTOGRAPHS = Photographs([], "")


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights.

    Attributes
    ----------
    scenes : int
        Number of invented scenes.
    steps : int
        The learning rate falls to 0 at this step.
    seed, threads : int
    photographs : Photographs
    credits : tuple of str
        Where the photographs come from: name, authors and licence of each source.
    """

    scenes: int
    steps: int
    seed: int
    threads: int
    photographs: Photographs = NO_PHOTOGRAPHS
    credits: tuple[str, ...] = ()

    def card(self, steps_taken: int) -> dict[str, str]:
        """Return what is written into the file of weights."""
        number = len(self.photographs.files)
        photographs = f"{number:,} photographs and" if number else "no photographs,"
        card = {
            "made from": f"{photographs} {self.scenes:,} invented scenes; from random weights",
            "steps": f"{steps_taken} of {self.steps}",
            "seed": str(self.seed),
            "threads": str(self.threads),
        }
        if number:
            card["photographs"] = "; ".join(self.credits) or "not credited"
            card["photographs sha256"] = self.photographs.digest
        return card

    def claim(self, path: Path, *, begun: bool) -> None:
        """Write this recipe into a file beside the checkpoint, or compare it with the one that is there.

        Parameters
        ----------
        path : Path
        begun : bool
            There is a checkpoint; if not, the file may be replaced.

        Raises
        ------
        UsageError
            A training with another recipe has begun there.
        ResumeError
            The file is damaged.
        """
        wanted = {
            "--scenes": str(self.scenes),
            "--steps": str(self.steps),
            "--seed": str(self.seed),
            "--threads": str(self.threads),
            "--photographs": f"{len(self.photographs.files)} pictures {self.photographs.digest[:12]}".strip(),
        }
        if not (begun and path.exists()):
            write_bytes(path, json.dumps(wanted, indent=2).encode())
            return
        first = _read(path)
        for option, value in wanted.items():
            if first.get(option) != value:
                raise UsageError(
                    f"the training in {printable(path.parent)} began with {option} {first.get(option)}, "
                    f"and cannot go on with {value}",
                    hint="repeat the first command, or name another folder",
                )


def _read(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as exc:
        raise ResumeError(f"{printable(path)} is damaged", hint="name another folder") from exc
