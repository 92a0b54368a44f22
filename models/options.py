"""Named budgets and the options of a fit, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from inspector.errors import UsageError
from inspector.imaging.images import WHITE, Colour

PRESET_SECONDS = {"quick": 120.0, "standard": 600.0, "thorough": 3600.0}
REGULARIZERS = ("mmd", "none")
DEVICES = ("auto", "cpu", "cuda")
COMMON_RANGES = {"steps": (1, 10_000_000), "seed": (0, 2**31 - 1)}
RANGES = {"image_size": (64, 1024), "latent_dim": (2, 256), "width": (4, 128)}
SIZE_STEP = 32  # the deepest features are at a thirty-second of the resolution


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """What every preset understands."""

    preset: str
    time_budget_seconds: float | None = None
    steps: int | None = None
    max_false_reject: float = 0.05
    max_review: float | None = None
    background: Colour = WHITE
    device: str = "auto"
    seed: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuse what lies outside the allowed values."""
        one_of("device", self.device, DEVICES)
        self.check_ranges(COMMON_RANGES)
        for name in ("max_false_reject", "max_review"):
            value = getattr(self, name)
            if value is not None and not 0.0001 <= value <= 0.5:
                raise out_of_range(name, value, "0.0001 to 0.5")
        if self.max_review is not None and self.max_review + self.max_false_reject >= 1:
            raise out_of_range("max_review", self.max_review, f"below {1 - self.max_false_reject:g}")
        if self.time_budget_seconds is not None and not 1 <= self.time_budget_seconds <= 7 * 86400:
            raise out_of_range("time_budget", f"{self.time_budget_seconds:g}s", "1s to 168h")

    def check_ranges(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Refuse numbers outside of their ranges; what was not given is in all of them."""
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise out_of_range(name, value, f"{low:g} to {high:g}")

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
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }


@dataclass(frozen=True, kw_only=True)
class FitOptions(CommonOptions):
    """All that decides what a fit of the inspection network learns, apart from the pictures."""

    preset: str = "standard"
    image_size: int = 256
    latent_dim: int = 32
    width: int = 32
    regularizer: str = "mmd"
    prior: bool = True

    def __post_init__(self) -> None:
        """Refuse what lies outside the allowed values."""
        one_of("preset", self.preset, tuple(PRESET_SECONDS))
        if self.regularizer not in REGULARIZERS:
            raise UsageError(
                f"--regularizer is {self.regularizer!r}; allowed with --preset {self.preset} are "
                f"{', '.join(REGULARIZERS)}",
                hint="gan and kl belong to --preset article",
            )
        super().__post_init__()
        self.check_ranges(RANGES)
        if self.image_size % SIZE_STEP:
            raise out_of_range("image_size", self.image_size, f"multiples of {SIZE_STEP}")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse the value of an option that is none of those allowed."""
    if value not in allowed:
        raise UsageError(
            f"--{name.replace('_', '-')} is {value!r}; allowed are {', '.join(allowed)}",
            hint=f"for example --{name.replace('_', '-')} {allowed[0]}",
        )


def out_of_range(name: str, value: object, allowed: str) -> UsageError:
    """Say that the value of an option lies outside of what is allowed."""
    option = name.replace("_", "-")
    return UsageError(f"--{option} is {value}; allowed: {allowed}", hint="'inspector fit --help' lists all")
