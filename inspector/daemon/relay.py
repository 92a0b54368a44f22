"""Writes each line on stdin as a JSON object: the second process of `inspector.daemon.stderr`."""

from __future__ import annotations

import signal
import sys

from inspector.daemon.log_stream import LogStream
from inspector.daemon.logging import warning_line

LONGEST_BYTES = 2000  # a longer line comes in parts, so that no JSON line is torn by another one

# The process ends with the daemon, when nobody can write to its stdin any more, and not before.
DEAF_TO = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def relay() -> None:
    """Write the lines on stdin, as long as somebody can write there.

    It reads at once, even if nobody reads its own lines: the daemon must not wait for stderr.
    """
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    out = LogStream(sys.stdout.fileno())
    while line := sys.stdin.buffer.readline(LONGEST_BYTES):
        if text := line.decode("utf-8", "backslashreplace").strip():
            out.write(warning_line("stderr", text=text))
    out.close()
