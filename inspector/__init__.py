"""Visual inspection that learns from pictures of good parts alone.

>>> import inspector
>>> inspector.open_model.__name__
'open_model'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inspector.errors import InspectorError

if TYPE_CHECKING:
    from pathlib import Path

    from inspector.scoring.detector import Detector
    from inspector.scoring.inspection import Inspection

__all__ = ["Detector", "Inspection", "InspectorError", "__version__", "open_model"]


def open_model(
    reference: str | Path | None = None, *, store: Path | None = None, threads: int | None = None
) -> Detector:
    """Open a model for scoring; loads neither torch nor scikit-learn.

    Parameters
    ----------
    reference : str or Path, optional
        `NAME`, `NAME@VERSION` or the path of a bundle; the store's current model without it.
    store : Path, optional
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
    """
    from inspector.bundle.folder import Bundle
    from inspector.bundle.store import Store
    from inspector.scoring.detector import Detector
    from inspector.settings import Settings

    changes: dict[str, Any] = {"store": store, "threads": threads}
    settings = Settings.from_environment().model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    bundle = Bundle.open(Store(settings.store).resolve(reference))
    return Detector(bundle, settings)


def __getattr__(name: str) -> Any:
    """Import `Detector` and `Inspection` at their first use, because that takes time."""
    if name == "__version__":
        return import_module("importlib.metadata").version("wae-inspector")
    if name in {"Detector", "Inspection"}:
        return getattr(import_module(f"inspector.scoring.{name.lower()}"), name)
    raise AttributeError(f"module 'inspector' has no attribute {name!r}")
