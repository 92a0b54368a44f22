"""One line about the model that became current, and about running daemons and watches."""

from __future__ import annotations


def current_name() -> str | None:
    """Return the name that is current in the store; None if there is none."""
    from inspector.bundle.store import Store
    from inspector.settings import Settings

    return Store(Settings.from_environment().store).current()


def now_current(reference: str, before: str | None) -> str:
    """Return a line that names the current model, and whether running daemons and watches change to it.

    Parameters
    ----------
    reference : str
        `NAME@VERSION` of the model that became current.
    before : str, optional
        The name that was current before.

    Examples
    --------
    >>> now_current("bolts@3", "tiles")
    'bolts@3 is now current; a daemon or watch that uses tiles stays with tiles'
    >>> now_current("bolts@3", "bolts")
    'bolts@3 is now current; a daemon or watch that uses bolts changes to it'
    """
    name = reference.partition("@")[0]
    if before is None:
        return f"{reference} is now current"
    stays = f"stays with {before}" if before != name else "changes to it"
    return f"{reference} is now current; a daemon or watch that uses {before} {stays}"
