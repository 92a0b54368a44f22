"""Compares fits that differ in latent dimension, width and λ, and chooses one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calibration.report.charts import Line, line_chart

SIGNIFICANCE = 0.01  # a prior match with a smaller p-value is rejected
NAMED = 5  # fits that a sentence names; it counts the others
LEVEL = 0.95  # of the interval of a difference
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
    errors : sequence of float
        Squared error of each held-out picture; every fit of a sweep holds out the same ones.
    good_scores, defect_scores : sequence of float or None
        Score of each labelled picture; None of one that could not be judged, which counts as the highest.
    """

    latent_dim: int
    width: int
    regularizer_weight: float
    bundle: str
    figures: dict[str, float]
    auroc: float | None = None
    errors: Sequence[float] = ()
    good_scores: Sequence[float | None] = ()
    defect_scores: Sequence[float | None] = ()

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
        """Return plain values, for JSON, without those of single pictures."""
        single = {"errors", "good_scores", "defect_scores"}
        return {name: value for name, value in asdict(self).items() if name not in single}


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
    if _are_labelled(trials):
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


def _are_labelled(trials: Sequence[Trial]) -> bool:
    return all(trial.auroc is not None for trial in trials)


def _count(trials: Sequence[Trial]) -> str:
    return "one fit" if len(trials) == 1 else f"{len(trials)} fits"


# --- how much the recommendation means ------------------------------------------------------------


def doubts(trials: Sequence[Trial], seed: int) -> list[str]:
    """Return sentences on the part that chance has in the recommendation.

    Two fits are told apart if the 95 % interval of their difference excludes 0.  The difference is paired,
    because both were measured on the same pictures.  It covers the chance in the choice of pictures, and not
    the chance in the training, which one fit of each combination cannot show.

    Parameters
    ----------
    trials : sequence of Trial
        At least one.
    seed : int
        With which all of them were trained.

    Returns
    -------
    list of str
        Sentences; none for a single fit.
    """
    if len(trials) == 1:
        return []
    labelled = _are_labelled(trials)
    among = trials if labelled else [trial for trial in trials if trial.matches] or trials
    best = max(among, key=lambda trial: trial.auroc or 0.0) if labelled else min(among, key=lambda t: t.error)
    equal = [other for other in among if other is not best and is_told_apart(best, other) is False]
    found = []
    if all(trial.figures.get("error_reduction", 1.0) <= 0 for trial in among):
        found.append(
            "No fit reproduces held-out pictures better than the mean picture does: train longer before you "
            "compare."
        )
    if equal:
        names = ", ".join(Path(trial.bundle).name for trial in equal[:NAMED])
        names += f" and {len(equal) - NAMED} more" if len(equal) > NAMED else ""
        pictures = (
            f"{len(best.good_scores)} good and {len(best.defect_scores)} defective pictures"
            if labelled
            else f"{len(best.errors)} held-out pictures"
        )
        found.append(
            f"{pictures} cannot tell {names} from the best fit, {Path(best.bundle).name}: the choice among "
            "them means little. More pictures show smaller differences."
        )
    return [
        *found,
        "Each combination was fitted once, so chance in the training may decide, too. Repeat the sweep with "
        f"--seed {seed + 1} and another --output, and trust a recommendation that comes back.",
    ]


def is_told_apart(one: Trial, other: Trial) -> bool | None:
    """Return whether two fits differ by more than chance in the choice of pictures; None if not recorded.

    Notes
    -----
    The AUROC is a mean over pairs of a good and a defective picture.  With `p_i` the share of good pictures
    that the defective picture i beats, and `q_j` the share of defective pictures that beat the good picture
    j, the variance of the difference of two AUROCs is `var(p - p') / m + var(q - q') / n` [1]_.

    References
    ----------
    .. [1] E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the areas under two or more correlated receiver
       operating characteristic curves: a nonparametric approach", Biometrics 1988.
    """
    if one.auroc is not None and other.auroc is not None:
        pairs = list(zip(_wins(one), _wins(other), strict=True))
    else:
        pairs = [(np.array(one.errors), np.array(other.errors))]
    parts = [a - b if a.shape == b.shape else np.zeros(0) for a, b in pairs]
    fewest = min(part.size for part in parts)
    if fewest == 0:
        return None
    if fewest == 1:
        return False
    error = float(np.sqrt(sum(part.var(ddof=1) / part.size for part in parts)))
    return bool(abs(parts[0].mean()) > stats.t.ppf((1 + LEVEL) / 2, fewest - 1) * error)


def _wins(trial: Trial) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `p` (m,) of the defective pictures, and `q` (n,) of the good ones; a tie counts half."""
    good, defect = (
        np.array([np.inf if score is None else score for score in scores], dtype=np.float64)
        for scores in (trial.good_scores, trial.defect_scores)
    )
    if not good.size or not defect.size:
        return np.zeros(0), np.zeros(0)
    wins = (defect[:, None] > good) + 0.5 * (defect[:, None] == good)  # (m, n)
    return wins.mean(axis=1), wins.mean(axis=0)


# --- the chart ------------------------------------------------------------------------------------


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
