"""Reads keys and settings again while the daemon runs, when it is asked to by SIGHUP."""

from __future__ import annotations

from collections.abc import Callable
from logging import ERROR
from queue import SimpleQueue
from threading import Thread

from inspector.daemon.auth import Keys, read_keys
from inspector.daemon.logging import log_event
from inspector.daemon.service import Service
from inspector.errors import UsageError
from inspector.settings import ServeSettings

LIVE = ("body_seconds", "max_model_bytes", "queue_size")  # settings that take effect without a restart
OF_KEYS = ("api_keys", "api_keys_file")

Read = Callable[[], ServeSettings]


def reload_when_asked(service: Service, read: Read, asked: SimpleQueue[None]) -> None:
    """Start a thread that reloads each time that something is put into the queue."""

    def follow() -> None:
        while True:
            asked.get()
            reload(service, read)

    Thread(target=follow, name="reload", daemon=True).start()


def reload(service: Service, read: Read) -> None:
    """Read settings and keys, use all that can change in a running daemon, and log the outcome.

    If anything is wrong with them, all of the old ones stay.
    """
    try:
        settings = read()
        keys = read_keys(settings.api_keys, settings.api_keys_file)
        _refuse_to_open(service.keys, keys)
    except UsageError as error:
        log_event("reload refused", ERROR, reason=error.message, hint=error.hint)
        return
    before = service.settings
    changed = [name for name in before.model_fields if getattr(before, name) != getattr(settings, name)]
    new_keys = keys.digests != service.keys.digests
    service.change(before.model_copy(update={name: getattr(settings, name) for name in LIVE + OF_KEYS}), keys)
    log_event(
        "reloaded",
        keys=len(keys.digests),
        keys_changed=new_keys,
        settings_changed=[name for name in changed if name in LIVE],
        restart_needed_for=[name for name in changed if name not in LIVE + OF_KEYS],
    )


def _refuse_to_open(before: Keys, after: Keys) -> None:
    """Raise an error if the daemon would begin or cease to ask for keys: its routes are made for one."""
    if bool(before) != bool(after):
        state = "without keys" if not before else "with keys"
        raise UsageError(
            f"the daemon was started {state}, and there are now {len(after.digests)}",
            hint="restart the daemon",
        )
