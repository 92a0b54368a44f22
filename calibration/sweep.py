"""Fits that differ in latent dimension, width and λ: which of them to take, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from calibration.report.charts import Scale, nice_ticks, tick_label

MATCH = 0.01  # a prior match with a smaller p-value is rejected
CLOSE_ERROR, CLOSE_AUROC = 1.05, 0.01  # what differs by less is as good, and the smaller model is taken
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 70, 190, 40, 50
COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#57606a")


@dataclass(frozen=True)
class Trial:
    """One fit and what was measured of it.

    Attributes
    ----------
    latent_dim, width : int
    penalty_weight : float
        λ.
    bundle : str
        Folder of the model.
    figures : dict of str to float
        As in the manifest's training summary.
    auroc : float, optional
        On labelled pictures, where there were some.
    """

    latent_dim: int
    width: int
    penalty_weight: float
    bundle: str
    figures: dict[str, float]
    auroc: float | None = None

    @property
    def error(self) -> float:
        """Squared error of held-out copies."""
        return self.figures["heldout_squared_error"]

    @property
    def matches(self) -> bool:
        """Whether the prior match of held-out codes was tested and is not rejected at 1 %."""
        return self.figures.get("prior_match_p_value", 0.0) >= MATCH

    @property
    def size(self) -> tuple[int, int]:
        """What is preferred where all else is equal: fewer dimensions, then fewer channels."""
        return self.latent_dim, self.width

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def recommend(trials: Sequence[Trial]) -> tuple[Trial, str]:
    """Return the fit to take, and why.

    Where labelled pictures tell defects apart, detection decides.  Otherwise it is the held-out error, of
    those fits first whose held-out codes match the prior: pictures drawn from the prior look like new
    pictures only there.  What comes close to the best is as good, and the smallest of these is taken.

    Parameters
    ----------
    trials : sequence of Trial
        At least one.
    """
    if all(trial.auroc is not None for trial in trials):
        best = max(trial.auroc or 0.0 for trial in trials)
        close = [trial for trial in trials if (trial.auroc or 0.0) >= best - CLOSE_AUROC]
        chosen = min(close, key=lambda trial: (trial.size, trial.error))
        return chosen, (
            f"the smallest of {_count(close)} whose AUROC of {chosen.auroc:.3f} is within {CLOSE_AUROC:g} of "
            f"the best, {best:.3f}"
        )
    matching = [trial for trial in trials if trial.matches]
    among = matching or list(trials)
    lowest = min(trial.error for trial in among)
    close = [trial for trial in among if trial.error <= CLOSE_ERROR * lowest]
    chosen = min(close, key=lambda trial: (trial.size, trial.error))
    which = (
        f"of {_count(matching)} whose held-out codes match the prior"
        if matching
        else "of all fits, as no prior match holds at 1 %"
    )
    return chosen, (
        f"the smallest whose held-out error of {chosen.error:.1f} is within {CLOSE_ERROR - 1:.0%} of the "
        f"lowest, {lowest:.1f}, {which}"
    )


def _count(trials: Sequence[Trial]) -> str:
    return "one fit" if len(trials) == 1 else f"{len(trials)} fits"


def chart(trials: Sequence[Trial]) -> str:
    """Draw held-out error over latent dimension, a line for each width and λ, as one SVG document."""
    dims = sorted({trial.latent_dim for trial in trials})
    highest = 1.05 * max(trial.error for trial in trials) or 1.0
    x = Scale(0, max(1, len(dims) - 1), LEFT, WIDTH - RIGHT)
    y = Scale(0, highest, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}" stroke="#d1d9e0"/>'
        f'<text x="{LEFT - 8}" y="{y(tick) + 4}" text-anchor="end">{tick_label(tick)}</text>'
        for tick in nice_ticks(0, highest, 5)
    ]
    parts += [
        f'<text x="{x(i)}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{dim}</text>'
        for i, dim in enumerate(dims)
    ]
    lines = sorted({(trial.width, trial.penalty_weight) for trial in trials})
    for number, line in enumerate(lines):
        own = [trial for trial in trials if (trial.width, trial.penalty_weight) == line]
        own.sort(key=lambda trial: trial.latent_dim)
        parts.append(_line(own, [x(dims.index(trial.latent_dim)) for trial in own], y, number))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'font-family="system-ui, sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        f'<text x="{LEFT}" y="22" font-weight="600">Squared error of held-out pictures</text>'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 10}" text-anchor="middle">latent dimensions; '
        f"filled: codes match the prior</text>{''.join(parts)}</svg>\n"
    )


def _line(trials: Sequence[Trial], places: Sequence[float], y: Scale, number: int) -> str:
    """One width and λ: points, filled where the prior match holds, a line through them, and its name."""
    colour = COLOURS[number % len(COLOURS)]
    path = " ".join(f"{place},{y(trial.error)}" for place, trial in zip(places, trials, strict=True))
    dots = "".join(
        f'<circle cx="{place}" cy="{y(trial.error)}" r="5" stroke="{colour}" stroke-width="2" '
        f'fill="{colour if trial.matches else "#ffffff"}"/>'
        for place, trial in zip(places, trials, strict=True)
    )
    row = TOP + 20 * number
    name = escape(f"width {trials[0].width}, λ {trials[0].penalty_weight:g}")
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
        f'<text x="{WIDTH - RIGHT + 20}" y="{row + 4}" fill="{colour}">{name}</text>'
    )
