"""The only module of `inspector` that imports `models` and `calibration`, which need the extra `train`.

The modules are imported by name at the moment of use, so that scoring never loads torch.  An import error
that they raise is turned into one line by `missing_extra`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from inspector.errors import MissingExtraError

# Import names of the packages in our extras, and the names by which pip knows them.
DISTRIBUTIONS = {
    "torch": "torch",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "jinja2": "jinja2",
    "tensorboard": "tensorboard",
}


def models() -> ModuleType:
    """Import `models`, which trains and exports."""
    return _load("models")


def recalibration() -> ModuleType:
    """Import `calibration.recalibration`, which gives a model new thresholds."""
    return _load("calibration.recalibration")


def thresholds() -> ModuleType:
    """Import `calibration.thresholds`, which states the promise of a calibration in words."""
    return _load("calibration.thresholds")


def labelled() -> ModuleType:
    """Import `calibration.labelled`, which lists labelled pictures and their masks."""
    return _load("calibration.labelled")


def evaluation() -> ModuleType:
    """Import `calibration.evaluation`, which measures a model on labelled pictures."""
    return _load("calibration.evaluation")


def evaluation_page() -> ModuleType:
    """Import `calibration.report.evaluation_page`, which writes the report of an evaluation."""
    return _load("calibration.report.evaluation_page")


def sweep() -> ModuleType:
    """Import `calibration.sweep`, which compares several fits."""
    return _load("calibration.sweep")


def missing_extra(exc: ImportError, needed_by: str) -> MissingExtraError | None:
    """Name the package to install if `exc` is about a package of an extra, else return None.

    Parameters
    ----------
    exc : ImportError
        Raised by one of the imports above, or by a module that they load.
    needed_by : str
        The command that the person gave, such as `inspector fit`.
    """
    name = (exc.name or "").partition(".")[0]
    if name not in DISTRIBUTIONS:
        return None
    extra = "tensorboard" if name == "tensorboard" else "train"
    return MissingExtraError(
        f"'{needed_by}' needs {DISTRIBUTIONS[name]}, which is not installed",
        hint=f"pip install 'wae-inspector[{extra}]'",
    )


def _load(module: str) -> ModuleType:
    for package in ("models", "calibration"):
        _refuse_shadow(package)
    return import_module(module)


def _refuse_shadow(package: str) -> None:
    """Raise `MissingExtraError` if Python would import another package of this name instead of ours."""
    ours = Path(__file__).resolve().parents[1]
    spec = find_spec(package)
    found = Path(spec.origin).resolve() if spec is not None and spec.origin is not None else None
    if found is not None and found.parents[1] == ours:
        return
    raise MissingExtraError(
        f"inspector needs its own package {package!r} in {ours}, but Python finds {found or 'none'}",
        hint=f"rename or uninstall the other {package!r}, or start inspector from another folder",
    )
