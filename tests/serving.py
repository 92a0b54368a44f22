"""A running `inspector serve`, for tests and soak tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx
import psutil


def _script(constants: Mapping[str, float]) -> str:
    """Return a program that sets constants of modules and then runs `inspector`."""
    lines = ["import sys", "from importlib import import_module"]
    for path, value in constants.items():
        module, _, name = path.rpartition(".")
        lines.append(f"import_module({module!r}).{name} = {value!r}")
    return "\n".join([*lines, "from inspector.commands.main import main", "sys.exit(main())"])


class Daemon:
    """A daemon process on a free port; the `with` block ends it, and it must exit with 0.

    Parameters
    ----------
    *arguments : str or Path
        After `inspector serve`.
    ready : bool
        Whether to wait until it is ready, and not just until it answers.
    constants : dict
        Values for constants of modules, such as `inspector.daemon.connections.HEADER_SECONDS`.
    before : callable
        Called in the process before the daemon begins.
    **environment : str
        Added to that of this process.
    """

    def __init__(
        self,
        *arguments: str | Path,
        ready: bool = True,
        constants: Mapping[str, float] | None = None,
        before: Callable[[], None] | None = None,
        **environment: str,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _script(constants or {}), "serve", "--port", "0", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,  # noqa: PLW1509 - it must not wait for our locks, and does not
            env={**os.environ, **environment},
        )
        assert self.process.stderr is not None
        self.lines = [json.loads(self.process.stderr.readline())]
        self.port = int(self.lines[0]["port"])
        self.strange: list[str] = []  # log lines that are not JSON; there must be none
        self.url = str(self.lines[0]["url"])
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,))
        self._reader.start()
        until(self.is_ready if ready else self.is_alive)  # the first line is written before it listens

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send SIGTERM if the process still runs, and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(15) == 0
        self._reader.join()
        assert not self.strange, "".join(self.strange)

    def is_alive(self) -> bool:
        """True if the daemon answers, whether or not it has a model."""
        return httpx.get(f"{self.url}/livez").status_code == 200

    def is_ready(self) -> bool:
        """True if the daemon reports that it is ready."""
        return httpx.get(f"{self.url}/readyz").status_code == 200

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [line for line in self.lines.copy() if line["event"] == name]

    def metric(self, series: str) -> float:
        """The value of one metric series."""
        text = httpx.get(f"{self.url}/metrics").text
        (line,) = [line for line in text.splitlines() if line.rpartition(" ")[0] == series]
        return float(line.rpartition(" ")[2])

    def socket(self) -> socket.socket:
        """A raw TCP connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    @property
    def facts(self) -> psutil.Process:
        """The process, for psutil."""
        return psutil.Process(self.process.pid)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the process so far."""
        times = self.facts.cpu_times()
        return float(times.user + times.system)

    @property
    def megabytes(self) -> float:
        """Resident memory of the process."""
        return float(self.facts.memory_info().rss) / 1e6

    @property
    def peak_megabytes(self) -> float:
        """Peak resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1e3

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    self.strange.append(line)


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except httpx.TransportError:  # the daemon does not listen yet
            pass
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)
