"""The options of a fit with `--preset article`, and which options belong to which preset."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from inspector.errors import UsageError
from models.article.costs import COSTS
from models.article.regularizers import PENALTIES
from models.options import PRESET_SECONDS, CommonOptions, FitOptions, one_of, out_of_range

ARTICLE = "article"
ARTICLE_SECONDS = 900.0
RANGES = {"latent_dim": (2, 512), "width": (8, 2048), "penalty_weight": (0, 1e6)}
WIDTH_STEP = 8  # the first layers have an eighth of the width
WIDTH, SMALL_WIDTH = 1024, 256  # the article's, and what a processor learns a small folder with
SMALL_FOLDER = 1000
DECODERS = ("dcgan", "dcgan_mod")
KERNELS = ("imq", "rbf")
# λ.  For KL it is what makes 0.05·‖d‖² the likelihood of a decoder of variance 0.3: 0.05 · 2 · 0.3.
PENALTY_WEIGHTS = {"mmd": 100.0, "gan": 10.0, "kl": 0.03, "none": 0.0}
OPTION_NAMES = {"penalty_weight": "lambda", "prior": "no-prior"}


@dataclass(frozen=True, kw_only=True)
class ArticleOptions(CommonOptions):
    """All that decides what a fit learns, apart from the pictures.

    Attributes
    ----------
    width : int, optional
        Channels of the deepest layer; without it 1024, or 256 where that would take too long.
    penalty_weight : float, optional
        λ, which depends on the penalty without it.
    """

    preset: str = ARTICLE
    image_size: int = 64
    latent_dim: int = 64
    width: int | None = None
    regularizer: str = "mmd"
    kernel: str = "imq"
    penalty_weight: float | None = None
    cost: str = "l2sq"
    decoder: str = "dcgan"

    def __post_init__(self) -> None:
        """Refuse what lies outside the allowed values, or does not go together."""
        super().__post_init__()
        for name, allowed in (
            ("regularizer", tuple(PENALTIES)),
            ("kernel", KERNELS),
            ("cost", tuple(COSTS)),
            ("decoder", DECODERS),
        ):
            one_of(name, getattr(self, name), allowed)
        self.check_ranges({name: limits for name, limits in RANGES.items() if name != "penalty_weight"})
        if self.width is not None and self.width % WIDTH_STEP:
            raise out_of_range("width", self.width, f"multiples of {WIDTH_STEP}")
        if self.image_size != 64:
            raise out_of_range("image_size", self.image_size, "64 with --preset article")
        self._check_penalty()

    def _check_penalty(self) -> None:
        low, high = RANGES["penalty_weight"]
        if self.penalty_weight is not None and not low <= self.penalty_weight <= high:
            raise out_of_range("lambda", f"{self.penalty_weight:g}", f"{low:g} to {high:g}")
        if self.penalty_weight and self.regularizer == "none":
            raise UsageError(
                f"--lambda is {self.penalty_weight:g}, but --regularizer none has nothing to weigh",
                hint="leave --lambda out, or take --regularizer mmd, gan or kl",
            )
        if self.kernel != "imq" and self.regularizer != "mmd":
            raise UsageError(
                f"--kernel {self.kernel} belongs to --regularizer mmd, not to {self.regularizer}",
                hint="leave --kernel out",
            )

    @property
    def budget_seconds(self) -> float:
        """What the whole fit may take."""
        return self.time_budget_seconds or ARTICLE_SECONDS

    @property
    def weight(self) -> float:
        """λ."""
        return PENALTY_WEIGHTS[self.regularizer] if self.penalty_weight is None else self.penalty_weight

    def width_for(self, images: int) -> int:
        """Return the width that was asked for, or the one that suits so many pictures on this machine."""
        if self.width is not None:
            return self.width
        return SMALL_WIDTH if images < SMALL_FOLDER and self.resolved_device() == "cpu" else WIDTH


def choose(**given: Any) -> FitOptions | ArticleOptions:
    """Make the options of the preset that was asked for.

    Parameters
    ----------
    **given
        Fields of `FitOptions` or `ArticleOptions`; None stands for what the preset does by itself.

    Raises
    ------
    UsageError
        A value is not allowed, or belongs to another preset.

    Examples
    --------
    >>> choose(preset="quick").latent_dim, choose(preset="article", latent_dim=2).latent_dim
    (32, 2)
    """
    given = {name: value for name, value in given.items() if value is not None}
    preset = given.get("preset", FitOptions.preset)
    one_of("preset", preset, (*PRESET_SECONDS, ARTICLE))
    kind = ArticleOptions if preset == ARTICLE else FitOptions
    known = {field.name for field in fields(kind)}
    for name in given:
        if name not in known:
            raise _foreign(name, preset)
    return kind(**given)


def _foreign(name: str, preset: str) -> UsageError:
    """Say where an option belongs that the preset does not have."""
    option = OPTION_NAMES.get(name, name).replace("_", "-")
    if name not in {field.name for kind in (FitOptions, ArticleOptions) for field in fields(kind)}:
        raise TypeError(f"fit() has no option {name!r}")
    homes = "--preset article" if preset != ARTICLE else f"--preset {', '.join(PRESET_SECONDS)}"
    return UsageError(
        f"--{option} belongs to {homes}, not to --preset {preset}", hint=f"leave --{option} out"
    )
