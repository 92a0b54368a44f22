"""Names of models in the store, and references to them."""

from __future__ import annotations

import re
import unicodedata

from inspector.errors import UsageError

CURRENT = "current"
"""The store's pointer to the current name, and so no name of a model."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def slug(name: str) -> str:
    """Turn any name, such as a folder's, into a name that the store accepts.

    Parameters
    ----------
    name : str
        Any name.

    Returns
    -------
    str
        Lower case letters, digits, dots, dashes and underscores; at most 64 of them.

    Raises
    ------
    UsageError
        No letter or digit is left, or the store uses the name itself.

    Examples
    --------
    >>> slug("Gear Wheels, série 3")
    'gear-wheels-serie-3'
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")[:64].rstrip("-._")
    if not found or found == CURRENT:
        raise UsageError(
            f"{name!r} cannot name a model; letters a-z, digits, '.', '-' and '_' can, {CURRENT!r} cannot",
            hint="choose another name with --name",
        )
    return found


def is_model_name(name: str) -> bool:
    """Return whether a model of the store can have this name."""
    return _NAME.fullmatch(name) is not None and name != CURRENT


def is_version(text: str) -> bool:
    """Return whether a text is the number of a version."""
    return _VERSION.fullmatch(text) is not None


def split_reference(reference: str) -> tuple[str | None, int | None]:
    """Split `NAME[@VERSION]`; return (None, None) for any other form.

    Examples
    --------
    >>> split_reference("tiles@2"), split_reference("tiles"), split_reference("models/tiles")
    (('tiles', 2), ('tiles', None), (None, None))
    """
    name, at, version = reference.partition("@")
    if not is_model_name(name) or (at and not is_version(version)):
        return None, None
    return name, int(version) if at else None
