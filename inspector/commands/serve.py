"""`inspector serve`: run the HTTP daemon."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

from inspector.commands import exits
from inspector.commands.options import ModelOption

EXAMPLE = """
inspector serve
inspector serve --model tiles --port 9000
inspector serve --host 0.0.0.0 --api-keys-file /etc/inspector/keys
"""


def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help="Port to listen on; 0 takes any free port.  [default: 8080]"
        ),
    ] = None,
    model: ModelOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="TOML file with settings; options and environment variables override it."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=256, help="Threads that score; 0 means one for each core.  [default: 0]"
        ),
    ] = None,
    queue_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=100_000, help="Requests that may wait for a thread.  [default: 64]"
        ),
    ] = None,
    max_model_bytes: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES", min=1, help="Memory for all opened models together.  [default: 1073741824]"
        ),
    ] = None,
    api_keys_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File with one SCOPE:KEY on each line; the scopes are score and admin."
        ),
    ] = None,
    metrics_open: Annotated[
        bool | None, typer.Option("--metrics-open", help="Let anybody read /metrics without a key.")
    ] = None,
    allow_anonymous: Annotated[
        bool | None, typer.Option("--allow-anonymous", help="Let other computers in without a key.")
    ] = None,
) -> None:
    """Score pictures over HTTP, until SIGTERM or Ctrl-C; SIGHUP reads the keys again.

    Each option but --config can also be set in the environment: --port as INSPECTOR_PORT, and so on.
    """
    from inspector.daemon.stderr import json_lines
    from inspector.process.hangup import hangups

    flags = {
        "host": host,
        "port": port,
        "model": model,
        "workers": workers,
        "queue_size": queue_size,
        "max_model_bytes": max_model_bytes,
        "api_keys_file": api_keys_file,
        "metrics_open": metrics_open,
        "allow_anonymous": allow_anonymous,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    reloads: SimpleQueue[None] = SimpleQueue()
    with (
        hangups(closed=partial(signal.raise_signal, signal.SIGTERM), asked=partial(reloads.put, None)),
        json_lines() as log,
    ):
        from inspector.daemon import server
        from inspector.settings import ServeSettings

        try:
            server.serve(
                lambda: ServeSettings.from_environment(file=config).model_copy(update=given), log, reloads
            )
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None
