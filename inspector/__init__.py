"""Visual inspection that learns from pictures of good parts alone.

>>> import inspector
>>> inspector.open_model.__name__
'open_model'
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from inspector.errors import InspectorError

if TYPE_CHECKING:
    from os import PathLike

    from inspector.scoring.detector import Detector
    from inspector.scoring.inspection import Inspection

# ONNX Runtime 1.29 and later reports its use to its maker, and keeps an identifier below ~/.cache.  It reads
# this variable once, at its first import: so it is set before any module of ours can import it.  Child
# processes inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = ["Detector", "Inspection", "InspectorError", "__version__", "open_model"]


def open_model(
    reference: str | PathLike[str] | None = None,
    *,
    store: str | PathLike[str] | None = None,
    threads: int | None = None,
) -> Detector:
    """Open a model for scoring; loads neither torch nor scikit-learn.

    Parameters
    ----------
    reference : str or path, optional
        `NAME`, `NAME@VERSION` or the path of a bundle; the store's current model without it.
    store : str or path, optional
        Folder of the model store; `INSPECTOR_STORE` without it.
    threads : int, optional
        Threads of ONNX Runtime; 0 means one for each core.

    Returns
    -------
    Detector

    Raises
    ------
    StoreError
        There is no such model.
    BundleError
        The model on disk cannot be trusted.
    TypeError, ValueError
        An argument is of another type or out of its range.
    """
    from os import PathLike
    from pathlib import Path

    if not isinstance(reference, str | PathLike | None):
        raise TypeError(
            f"a model is named by text or a path, not by {reference!r:.80} of type {type(reference).__name__}"
        )
    named = Path(reference) if isinstance(reference, PathLike) else reference
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store
    from inspector.scoring.detector import Detector
    from inspector.settings import Settings

    settings = Settings.from_environment().changed(store=store, threads=threads)
    bundle = Bundle.open(Store(settings.store).resolve(named))
    return Detector(bundle, settings)


def __dir__() -> list[str]:
    """List the public names alone."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import `Detector` and `Inspection` at their first use, because that takes time."""
    if name == "__version__":
        return import_module("importlib.metadata").version("wae-inspector")
    if name in {"Detector", "Inspection"}:
        return getattr(import_module(f"inspector.scoring.{name.lower()}"), name)
    raise AttributeError(f"module 'inspector' has no attribute {name!r}")
