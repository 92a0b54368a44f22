"""SIGHUP: a closed terminal ends what runs on, and anything else is a request to reload."""

from __future__ import annotations

import fcntl
import os
import signal
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from inspector.bundle.store import Store
from tests.inspector.daemon.conftest import GOOD
from tests.inspector.tiny_bundle import tiny_fill
from tests.inspector.watch.watching import Watcher, rows_so_far, write
from tests.serving import Daemon, until

Attach = Callable[[], None]


class Terminal:
    """A terminal that programs can be started in, and that can be closed."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()

    def attach(self) -> None:
        """Make it the terminal of the calling process, which leads a session of its own from now on.

        The tests themselves may run under nohup.
        """
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.setsid()
        fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)

    def close(self) -> None:
        """Close it, as the user closes its window: the kernel sends SIGHUP to the leader of the session."""
        os.close(self._slave)
        os.close(self._master)


@contextmanager
def folder_with_model(store: Store, place: Path) -> Iterator[Path]:
    """A folder to watch, and a model in the store."""
    store.publish("tiny", tiny_fill())
    folder = place / "incoming"
    folder.mkdir()
    yield folder


def has_row_of(folder: Path, name: str) -> bool:
    """Whether the results of a watch have a line of a picture."""
    return any(name in line for line in rows_so_far(folder / "inspections.jsonl"))


def test_a_daemon_ends_with_its_terminal(store: Store) -> None:
    """The daemon ends as after SIGTERM; a signal that somebody sent before only made it reload."""
    store.publish("tiny", tiny_fill())
    terminal = Terminal()
    with Daemon(before=terminal.attach) as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: bool(daemon.events("reloaded")))
        terminal.close()
        assert daemon.process.wait(20) == 0
    assert daemon.lines[-1]["event"] == "ended"


def test_nohup_keeps_a_daemon(store: Store) -> None:
    """Under nohup the daemon outlives its terminal."""
    store.publish("tiny", tiny_fill())
    terminal = Terminal()

    def attach_with_nohup() -> None:
        terminal.attach()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with Daemon(before=attach_with_nohup) as daemon:
        terminal.close()
        until(lambda: bool(daemon.events("reloaded")))
        assert daemon.is_ready()


def test_a_watch_ends_with_its_terminal(store: Store, tmp_path: Path) -> None:
    """The watch ends with 0 when its terminal is closed."""
    with folder_with_model(store, tmp_path) as folder:
        terminal = Terminal()
        with Watcher(folder, preexec_fn=terminal.attach) as watcher:
            write(folder / "a.png", GOOD)
            until(partial(has_row_of, folder, "a.png"))
            terminal.close()
            assert watcher.ended() == 0
    assert watcher.said == []


def test_a_watch_ignores_a_request_to_reload(store: Store, tmp_path: Path) -> None:
    """Without a terminal, as a service, SIGHUP has no effect on the watch."""
    with folder_with_model(store, tmp_path) as folder, Watcher(folder, preexec_fn=os.setsid) as watcher:
        for name in ("a.png", "b.png"):
            write(folder / name, GOOD)
            until(partial(has_row_of, folder, name))
            watcher.process.send_signal(signal.SIGHUP)
    assert watcher.said == []
