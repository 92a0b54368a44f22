"""The options of the presets that fit the inspection network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from inspector.errors import UsageError
from models.fit_options import FitOptions, check_range, out_of_range

REGULARIZERS = ("mmd", "none")
SIZE_STEP = 32  # the deepest features have a thirty-second of the resolution


@dataclass(frozen=True, kw_only=True)
class InspectionOptions(FitOptions):
    """Options of `--preset quick`, `standard` and `thorough`.

    Attributes
    ----------
    split : bool
        Hold pictures out of everything, and set the thresholds with them alone (split conformal).  Without it
        all pictures set the thresholds, each scored without itself.
    """

    PRESET_SECONDS: ClassVar[Mapping[str, float]] = {"quick": 120.0, "standard": 600.0, "thorough": 3600.0}

    preset: str = "standard"
    image_size: int = 256
    latent_dim: int = 32
    width: int = 32
    regularizer: str = "mmd"
    split: bool = False

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        super().__post_init__()
        if self.regularizer not in REGULARIZERS:
            raise UsageError(
                f"--regularizer is {self.regularizer!r}; allowed with --preset {self.preset} are "
                f"{', '.join(REGULARIZERS)}",
                hint="gan and kl belong to --preset article",
            )
        check_range("image_size", self.image_size, 64, 1024)
        check_range("latent_dim", self.latent_dim, 2, 256)
        check_range("width", self.width, 4, 128)
        if self.image_size % SIZE_STEP:
            raise out_of_range("image_size", self.image_size, f"multiples of {SIZE_STEP}")
