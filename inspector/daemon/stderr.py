"""Keeps stderr a stream of JSON lines, although libraries in this process write to it as they like.

Libraries in C write to descriptor 2 themselves.  So descriptor 2 becomes a pipe to a second process, which
writes each line as a JSON object.  A thread would not do: a library that fills the pipe while it holds
Python's lock would wait for ever, and the last words of a crash would be lost.

Neither process waits for the reader of stderr: `LogStream` drops lines instead.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.daemon.log_stream import LogStream
from inspector.errors import InspectorError

STDERR = 2
PACKAGES = Path(__file__).parents[2]
# Isolated and without site-packages, so that it starts at once and imports nothing from the working folder.
RELAY = "import sys; sys.path.insert(0, sys.argv[1]); from inspector.daemon.relay import relay; relay()"


@contextmanager
def json_lines() -> Iterator[LogStream]:
    """Turn lines on descriptor 2 to JSON, and give the stream for the process's own JSON lines.

    If the block raises an `InspectorError`, the daemon could not start: descriptor 2 is put back, so that the
    person who started it reads the error.  Otherwise it stays as it is until the process ends.
    """
    log = os.dup(STDERR)
    reader, writer = os.pipe()
    relay = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", "-B", "-c", RELAY, str(PACKAGES)], stdin=reader, stdout=log, stderr=log
    )
    os.dup2(writer, STDERR)
    os.close(reader)
    os.close(writer)
    faulthandler.enable(STDERR)
    stream = LogStream(log)
    try:
        yield stream
    except InspectorError:
        faulthandler.disable()
        os.dup2(log, STDERR)  # closes the pipe, so that the other process ends
        relay.wait()
        raise
    finally:
        stream.close()
