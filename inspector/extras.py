"""The one door from the product to the workshop: `models` and `calibration`, if what they need is there."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from inspector.errors import MissingExtraError

EXTRA = "train"
# Import names of the extras, and what a person knows each of them by.
PACKAGES = {
    "torch": "torch",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "jinja2": "jinja2",
    "tensorboard": "tensorboard",
}
OTHER_EXTRAS = {"tensorboard": "tensorboard"}


def models(needed_by: str = "this command") -> ModuleType:
    """Import `models`, which learns and exports.

    Parameters
    ----------
    needed_by : str
        What the person asked for, such as `inspector fit`.

    Raises
    ------
    MissingExtraError
        torch, onnx or another package of the extra `train` is not installed.
    """
    return room("models", needed_by)


def calibration(needed_by: str = "this command") -> ModuleType:
    """Import `calibration`, which fits thresholds and evaluates.

    Parameters
    ----------
    needed_by : str
        What the person asked for, such as `inspector evaluate`.

    Raises
    ------
    MissingExtraError
        scikit-learn or another package of the extra `train` is not installed.
    """
    return room("calibration", needed_by)


def room(name: str, needed_by: str = "this command") -> ModuleType:
    """Import one module of the workshop, such as `calibration.evaluation`."""
    try:
        return import_module(name)
    except ImportError as exc:
        error = missing_extra(exc, needed_by)
        if error is None:
            raise
        raise error from exc


def missing_extra(exc: ImportError, needed_by: str) -> MissingExtraError | None:
    """Say which package to install, where `exc` is about one of the extras."""
    package = PACKAGES.get((exc.name or "").partition(".")[0])
    if package is None:
        return None
    return MissingExtraError(
        f"'{needed_by}' needs {package}, which is not installed",
        hint=f"pip install 'wae-inspector[{OTHER_EXTRAS.get(package, EXTRA)}]'",
    )
