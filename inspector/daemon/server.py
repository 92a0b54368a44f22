"""The process of the daemon: socket, limits and signals around the application."""

from __future__ import annotations

import signal
import socket
from logging import WARNING
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import uvicorn

from inspector.bundle.names import split_reference
from inspector.daemon import logging
from inspector.daemon.address import find_address, url_of
from inspector.daemon.app import create_app
from inspector.daemon.auth import read_keys
from inspector.daemon.connections import Connection, raise_file_limit
from inspector.daemon.log_stream import LogStream
from inspector.daemon.reload import Read, reload_when_asked
from inspector.daemon.service import Service
from inspector.errors import UsageError
from inspector.settings import unknown_variables

DRAIN_SECONDS = 9
BACKLOG = 512


def serve(read: Read, log: LogStream, reloads: SimpleQueue[None]) -> None:
    """Serve until SIGTERM or Ctrl-C; accepted requests are answered before the process ends.

    Parameters
    ----------
    read : callable
        Returns the settings; called at the start, and for each reload.
    log : LogStream
        Takes the JSON lines of the log.
    reloads : SimpleQueue
        Gets an item for each reload.

    Raises
    ------
    UsageError
        The address cannot be used, or other computers can reach it and no keys are set, or no model can have
        the given name.
    """
    settings = read()
    _refuse_impossible(settings.model)
    keys = read_keys(settings.api_keys, settings.api_keys_file)
    address = find_address(settings.host, settings.port)
    if not keys and not settings.allow_anonymous and not address.is_loopback:
        raise UsageError(
            f"--host {settings.host} can be reached from other computers, and no API keys are set",
            hint="set INSPECTOR_API_KEYS or --api-keys-file, or add --allow-anonymous",
        )
    listening = address.bind()
    logging.configure(log)
    Connection.max_connections = raise_file_limit()
    service = Service(settings, keys)
    Connection.answered = service.metrics.count_refusal
    config = uvicorn.Config(
        create_app(service),
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=BACKLOG,
    )
    _log_start(listening, service)
    reload_when_asked(service, read, reloads)
    signal.signal(signal.SIGTERM, _end)  # uvicorn drains first, then raises the signal again
    try:
        with listening:
            _Server(config, service).run([listening])
    finally:
        logging.log_event("ended")


def _refuse_impossible(reference: str | None) -> None:
    """Raise a `UsageError` for a model that cannot come: neither a name nor a path to wait for.

    A name may be published later, and an absolute path may lie on a disk that is not mounted yet.
    """
    if reference is None or split_reference(reference)[0] is not None:
        return
    try:
        path = Path(reference).expanduser()
        can_come = path.is_absolute() or path.exists()
    except (OSError, RuntimeError):  # too long, or the home of nobody
        can_come = False
    if not can_come:
        raise UsageError(
            f"--model {reference!r} is not NAME or NAME@VERSION, and no bundle has this path",
            hint="'inspector models list' shows the names",
        )


def _log_start(listening: socket.socket, service: Service) -> None:
    """Log the address, and warnings about the settings."""
    host, port = listening.getsockname()[:2]
    logging.log_event(
        "listening",
        url=url_of(listening),
        host=host,
        port=port,
        workers=service.workers.threads,
        keys=len(service.keys.digests),
    )
    for warning in unknown_variables():
        logging.log_event("unknown variable", WARNING, reason=warning)
    if "*" in service.settings.allowed_origins:
        logging.log_event(
            "pages of every website may use this daemon", WARNING, hint="list INSPECTOR_ALLOWED_ORIGINS"
        )


class _Server(uvicorn.Server):
    """Drains the service before it waits for accepted requests."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down."""
        self._service.drain()
        await super().shutdown(sockets)


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
