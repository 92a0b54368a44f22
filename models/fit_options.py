"""The options that every preset of a fit has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import torch

from inspector.errors import UsageError
from inspector.imaging.colour import WHITE, Colour
from inspector.rate import rate_error

DEVICES = ("auto", "cpu", "cuda")
MAX_BUDGET_SECONDS = 7 * 86400.0


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Options that every preset has; each kind of network adds its own in a subclass.

    Attributes
    ----------
    PRESET_SECONDS : mapping of str to float
        The presets of this kind of network, and the time budget of each.
    """

    PRESET_SECONDS: ClassVar[Mapping[str, float]] = {}

    preset: str
    image_size: int
    latent_dim: int
    regularizer: str
    time_budget_seconds: float | None = None
    steps: int | None = None
    max_false_reject: float = 0.05
    max_review: float | None = None
    background: Colour = WHITE
    device: str = "auto"
    seed: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        check_choice("preset", self.preset, tuple(self.PRESET_SECONDS))
        check_choice("device", self.device, DEVICES)
        check_range("steps", self.steps, 1, 10_000_000)
        check_range("seed", self.seed, 0, 2**31 - 1)
        for name, rate in (("max_false_reject", self.max_false_reject), ("max_review", self.max_review)):
            if rate is not None and not 0.0001 <= rate <= 0.5:
                raise rate_error(option_name(name), rate, "0.0001 to 0.5", 0.5)
        if self.max_review is not None and self.max_review + self.max_false_reject >= 1:
            raise out_of_range("max_review", self.max_review, f"below {1 - self.max_false_reject:g}")
        budget = self.time_budget_seconds
        if budget is not None and not 1 <= budget <= MAX_BUDGET_SECONDS:
            raise out_of_range("time_budget", f"{budget:.15g}s", "1s to 168h")

    @property
    def budget_seconds(self) -> float:
        """Time budget of the whole fit."""
        return self.time_budget_seconds or self.PRESET_SECONDS[self.preset]

    def resolved_device(self) -> str:
        """Return `cpu` or `cuda`; `auto` takes CUDA where torch finds it."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda: torch finds no CUDA device", hint="use --device cpu or auto")
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    def for_pictures(self, count: int) -> Self:  # noqa: ARG002  # some presets choose by the number of pictures
        """Return the options with the defaults for this number of pictures filled in."""
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return the options as JSON values, for the manifest and for `--resume`."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise `UsageError` unless the option has one of the allowed values."""
    if value not in allowed:
        option = option_name(name)
        raise UsageError(
            f"{option} is {value!r}; allowed are {', '.join(allowed)}",
            hint=f"for example {option} {allowed[0]}",
        )


def check_range(name: str, value: float | None, low: float, high: float) -> None:
    """Raise `UsageError` if the option was given and lies outside of `low` to `high`."""
    if value is not None and not low <= value <= high:
        raise out_of_range(name, value, f"{low:.15g} to {high:.15g}")  # :g writes 1e+07


def out_of_range(name: str, value: object, allowed: str) -> UsageError:
    """Return the error for an option whose value is not allowed."""
    return UsageError(
        f"{option_name(name)} is {value}; allowed: {allowed}", hint="'inspector fit --help' lists all"
    )


def option_name(name: str) -> str:
    """Return the command line's name of an option.

    Examples
    --------
    >>> option_name("latent_dim")
    '--latent-dim'
    """
    return f"--{name.replace('_', '-')}"
