"""Compares fits that differ in latent dimension, width and λ, and chooses one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from calibration.report.charts import Line, line_chart

SIGNIFICANCE = 0.01  # a prior match with a smaller p-value is rejected
CLOSE_ERROR, CLOSE_AUROC = 1.05, 0.01  # a fit this close to the best is as good as the best


@dataclass(frozen=True)
class Trial:
    """One fit and its measurements.

    Attributes
    ----------
    latent_dim, width : int
    regularizer_weight : float
        λ, the weight of the regularizer.
    bundle : str
        Folder of the model.
    figures : dict of str to float
        The figures of the manifest's training summary.
    auroc : float, optional
        Image AUROC on labelled pictures; None where there were none.
    """

    latent_dim: int
    width: int
    regularizer_weight: float
    bundle: str
    figures: dict[str, float]
    auroc: float | None = None

    @property
    def error(self) -> float:
        """Squared error of the reconstructions of held-out pictures."""
        return self.figures["heldout_squared_error"]

    @property
    def matches(self) -> bool:
        """True if the latents of held-out pictures were tested against the prior and match it at 1 %."""
        return self.figures.get("prior_match_p_value", 0.0) >= SIGNIFICANCE

    @property
    def size(self) -> tuple[int, int]:
        """Sort key of the smaller model: fewer latent dimensions, then a smaller width."""
        return self.latent_dim, self.width

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def recommend(trials: Sequence[Trial]) -> tuple[Trial, str]:
    """Return the fit to take, and the reason in words.

    With labelled pictures, the image AUROC decides.  Without them, the held-out error decides among the fits
    whose latents match the prior, because only such a fit generates pictures that look like new ones.  Of
    the fits close to the best, the smallest is taken.

    Parameters
    ----------
    trials : sequence of Trial
        At least one.
    """
    if all(trial.auroc is not None for trial in trials):
        return _by_detection(trials)
    matching = [trial for trial in trials if trial.matches]
    among = matching or list(trials)
    lowest = min(trial.error for trial in among)
    close = [trial for trial in among if trial.error <= CLOSE_ERROR * lowest]
    chosen = min(close, key=lambda trial: (trial.size, trial.error))
    which = (
        f"of {_count(matching)} whose held-out latents match the prior"
        if matching
        else "of all fits, because no fit's held-out latents match the prior at 1 %"
    )
    return chosen, (
        f"the smallest whose held-out error of {chosen.error:.1f} is within {CLOSE_ERROR - 1:.0%} of the "
        f"lowest, {lowest:.1f}, {which}"
    )


def _by_detection(trials: Sequence[Trial]) -> tuple[Trial, str]:
    best = max(trial.auroc or 0.0 for trial in trials)
    close = [trial for trial in trials if (trial.auroc or 0.0) >= best - CLOSE_AUROC]
    chosen = min(close, key=lambda trial: (trial.size, trial.error))
    return chosen, (
        f"the smallest of {_count(close)} with an AUROC within {CLOSE_AUROC:g} of the best, {best:.3f}; "
        f"its AUROC is {chosen.auroc:.3f}"
    )


def _count(trials: Sequence[Trial]) -> str:
    return "one fit" if len(trials) == 1 else f"{len(trials)} fits"


def chart(trials: Sequence[Trial]) -> str:
    """Draw the held-out error over the latent dimension, a line for each width and λ, as an SVG document."""
    lines = sorted({(trial.width, trial.regularizer_weight) for trial in trials})
    return line_chart(
        [_line(trials, width, weight) for width, weight in lines],
        title="Squared error of the reconstructions of held-out pictures",
        categories="latent dimensions",
        filled="latents match the prior",
        hollow="latents do not match the prior",
    ).document()


def _line(trials: Sequence[Trial], width: int, weight: float) -> Line:
    chosen = [trial for trial in trials if (trial.width, trial.regularizer_weight) == (width, weight)]
    points = sorted((trial.latent_dim, trial.error, trial.matches) for trial in chosen)
    return Line(f"width {width}, λ {weight:g}", tuple(points))
