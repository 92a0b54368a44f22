"""The presets of a fit, and the options of each."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from inspector.errors import UsageError
from models.article.options import ArticleOptions
from models.fit_options import FitOptions, check_choice, option_name
from models.inspection.options import InspectionOptions

# Every preset, and the class of its options.
PRESETS: dict[str, type[FitOptions]] = {
    preset: kind for kind in (InspectionOptions, ArticleOptions) for preset in kind.PRESET_SECONDS
}
DEFAULT_PRESET = InspectionOptions.preset
# Options whose name on the command line is not that of the field.
OPTION_NAMES = {"regularizer_weight": "--lambda"}


def choose(**given: Any) -> FitOptions:
    """Make the options of the given preset.

    Parameters
    ----------
    **given
        Fields of `InspectionOptions` or `ArticleOptions`; None leaves the preset's default.

    Raises
    ------
    UsageError
        A value is not allowed, or the option belongs to another preset.
    TypeError
        No preset has an option of that name.

    Examples
    --------
    >>> choose(preset="quick").latent_dim, choose(preset="article", latent_dim=2).latent_dim
    (32, 2)
    """
    given = {name: value for name, value in given.items() if value is not None}
    preset = given.get("preset", DEFAULT_PRESET)
    check_choice("preset", preset, tuple(PRESETS))
    for name in given:
        _check_belongs(name, preset)
    return PRESETS[preset](**given)


def _check_belongs(name: str, preset: str) -> None:
    """Raise an error if the preset does not have this option."""
    homes = [other for other, kind in PRESETS.items() if name in {field.name for field in fields(kind)}]
    if not homes:
        raise TypeError(f"fit() has no option {name!r}")
    if preset not in homes:
        option = OPTION_NAMES.get(name, option_name(name))
        raise UsageError(
            f"{option} belongs to --preset {', '.join(homes)}, not to --preset {preset}",
            hint=f"leave {option} out",
        )
