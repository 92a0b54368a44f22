"""Named budgets and the options of a fit, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from inspector.errors import UsageError

PRESET_SECONDS = {"quick": 120.0, "standard": 600.0, "thorough": 3600.0}
REGULARIZERS = ("mmd", "none")
DEVICES = ("auto", "cpu", "cuda")
RANGES = {
    "image_size": (64, 1024),
    "latent_dim": (2, 256),
    "width": (4, 128),
    "steps": (1, 10_000_000),
    "seed": (0, 2**31 - 1),
}
SIZE_STEP = 32  # the deepest features are at a thirty-second of the resolution


@dataclass(frozen=True)
class FitOptions:
    """All that decides what a fit learns, apart from the pictures."""

    preset: str = "standard"
    time_budget_seconds: float | None = None
    steps: int | None = None
    max_false_reject: float = 0.05
    max_review: float | None = None
    image_size: int = 256
    latent_dim: int = 32
    width: int = 32
    regularizer: str = "mmd"
    prior: bool = True
    device: str = "auto"
    seed: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuse what lies outside the allowed values."""
        _one_of("preset", self.preset, tuple(PRESET_SECONDS))
        _one_of("regularizer", self.regularizer, REGULARIZERS)
        _one_of("device", self.device, DEVICES)
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise _out_of_range(name, value, f"{low} to {high}")
        if self.image_size % SIZE_STEP:
            raise _out_of_range("image_size", self.image_size, f"multiples of {SIZE_STEP}")
        for name in ("max_false_reject", "max_review"):
            value = getattr(self, name)
            if value is not None and not 0.0001 <= value <= 0.5:
                raise _out_of_range(name, value, "0.0001 to 0.5")
        if self.max_review is not None and self.max_review <= self.max_false_reject:
            raise _out_of_range("max_review", self.max_review, f"above {self.max_false_reject}")
        if self.time_budget_seconds is not None and not 1 <= self.time_budget_seconds <= 7 * 86400:
            raise _out_of_range("time_budget", f"{self.time_budget_seconds:g}s", "1s to 168h")

    @property
    def budget_seconds(self) -> float:
        """What the whole fit may take."""
        return self.time_budget_seconds or PRESET_SECONDS[self.preset]

    def resolved_device(self) -> str:
        """`cpu` or `cuda`."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda: torch finds no CUDA device", hint="use --device cpu or auto")
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the manifest and for telling one request from another."""
        return asdict(self)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(
            f"--{name.replace('_', '-')} is {value!r}; allowed are {', '.join(allowed)}",
            hint=f"for example --{name.replace('_', '-')} {allowed[0]}",
        )


def _out_of_range(name: str, value: object, allowed: str) -> UsageError:
    option = name.replace("_", "-")
    return UsageError(f"--{option} is {value}; allowed: {allowed}", hint="'inspector fit --help' lists all")
