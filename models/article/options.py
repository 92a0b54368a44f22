"""The options of `--preset article`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from inspector.errors import UsageError
from models.article.costs import COSTS
from models.article.regularizers import REGULARIZERS
from models.fit_options import FitOptions, check_choice, check_range, out_of_range

WIDTH_STEP = 8  # the first layer has an eighth of the width
WIDTH, SMALL_WIDTH = 1024, 256  # the article's, and one that a processor can train on a small folder
SMALL_FOLDER = 1000  # pictures
DECODERS = ("dcgan", "dcgan_mod")
KERNELS = ("imq", "rbf")
# λ.  With that of KL, 0.05·‖d‖² is the likelihood of a decoder of variance 0.3: 0.05 · 2 · 0.3 = 0.03.
REGULARIZER_WEIGHTS = {"mmd": 100.0, "gan": 10.0, "kl": 0.03, "none": 0.0}
MAX_REGULARIZER_WEIGHT = 1e6


@dataclass(frozen=True, kw_only=True)
class ArticleOptions(FitOptions):
    """Options of `--preset article`.

    Attributes
    ----------
    width : int, optional
        Channels of the deepest layer; by default 1024, or 256 for a small folder without a GPU.
    regularizer_weight : float, optional
        λ; by default it depends on the regularizer.
    """

    PRESET_SECONDS: ClassVar[Mapping[str, float]] = {"article": 900.0}

    preset: str = "article"
    image_size: int = 64
    latent_dim: int = 64
    width: int | None = None
    regularizer: str = "mmd"
    kernel: str = "imq"
    regularizer_weight: float | None = None
    cost: str = "l2sq"
    decoder: str = "dcgan"

    def __post_init__(self) -> None:
        """Refuse values that are not allowed, or that do not go together."""
        super().__post_init__()
        check_choice("regularizer", self.regularizer, tuple(REGULARIZERS))
        check_choice("kernel", self.kernel, KERNELS)
        check_choice("cost", self.cost, tuple(COSTS))
        check_choice("decoder", self.decoder, DECODERS)
        check_range("latent_dim", self.latent_dim, 2, 512)
        check_range("width", self.width, 8, 2048)
        if self.width is not None and self.width % WIDTH_STEP:
            raise out_of_range("width", self.width, f"multiples of {WIDTH_STEP}")
        if self.image_size != 64:
            raise out_of_range("image_size", self.image_size, "64 with --preset article")
        self._check_regularizer()

    def _check_regularizer(self) -> None:
        weight = self.regularizer_weight
        if weight is not None and not 0 <= weight <= MAX_REGULARIZER_WEIGHT:
            raise out_of_range("lambda", f"{weight:.15g}", f"0 to {MAX_REGULARIZER_WEIGHT:.15g}")
        if weight and self.regularizer == "none":
            raise UsageError(
                f"--lambda is {weight:g}, but --regularizer none has nothing to weigh",
                hint="leave --lambda out, or take --regularizer mmd, gan or kl",
            )
        if self.kernel != "imq" and self.regularizer != "mmd":
            raise UsageError(
                f"--kernel {self.kernel} belongs to --regularizer mmd, not to {self.regularizer}",
                hint="leave --kernel out",
            )

    @property
    def weight(self) -> float:
        """λ."""
        default = REGULARIZER_WEIGHTS[self.regularizer]
        return default if self.regularizer_weight is None else self.regularizer_weight

    def for_pictures(self, count: int) -> Self:
        """Return the options with a width: the requested one, or the default for so many pictures here."""
        small = count < SMALL_FOLDER and self.resolved_device() == "cpu"
        return replace(self, width=self.width or (SMALL_WIDTH if small else WIDTH))
