"""Every line on stderr is one JSON object, whoever writes it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx
import psutil
import pytest

from inspector.bundle.store import Store
from tests.inspector.daemon.conftest import GOOD, Start
from tests.inspector.tiny_bundle import tiny_fill
from tests.serving import until

BEGIN = """
import ctypes, os, sys, threading, warnings
from inspector.daemon import logging
from inspector.daemon.stderr import json_lines
with json_lines() as log:
    logging.configure(log)
"""
# PyDLL keeps Python's lock while the function runs, as careless libraries do.
CASES = {
    "a library": 'os.write(2, b"libpng warning: \\xff\\n\\nsecond")',
    "a flood": 'text = b"w" * 99 + b"\\n"; ctypes.PyDLL(None).write(2, text * 5000, 500_000)',
    "a warning": 'warnings.warn("beware\\nof this")',
    "a thread": "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()",
    "a finaliser": 'type("Broken", (), {"__del__": lambda self: 1 / 0})()',
    "a child": 'os.system("echo child >&2")',
    "a print": 'print("printed", file=sys.stderr)',
    "an error": 'raise RuntimeError("unforeseen")',
    "a crash": 'os.write(2, b"last words\\n"); os.abort()',
}
TOLD = {
    "a library": "libpng warning: \\xff",
    "a flood": "w" * 99,
    "a warning": "beware\nof this",
    "a thread": "ZeroDivisionError",
    "a finaliser": "ZeroDivisionError",
    "a child": "child",
    "a print": "printed",
    "an error": "RuntimeError: unforeseen",
    "a crash": "last words",
}


def lines_of(code: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a program inside `json_lines`; return its exit code, and its lines on stderr, parsed as JSON."""
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + "    " + code], capture_output=True, text=True, check=False, timeout=60
    )
    return ended.returncode, [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.mark.parametrize("name", CASES)
def test_every_line_is_json(name: str) -> None:
    """Lines of libraries, warnings, errors that no code handles, and the last words of a crash are JSON."""
    code, lines = lines_of(CASES[name])
    assert code == {"an error": 1, "a crash": -signal.SIGABRT}.get(name, 0)
    assert TOLD[name] in "".join(str(value) for line in lines for value in line.values())
    for line in lines:
        assert {"time", "level", "event"} <= line.keys()
        assert line["event"] != "stderr" or (line["level"], bool(line["text"])) == ("warning", True)


def test_nothing_of_a_flood_is_lost() -> None:
    """More than a pipe holds arrives completely, although the writer holds Python's lock."""
    _code, lines = lines_of(CASES["a flood"])
    assert [line["text"] for line in lines] == ["w" * 99] * 5000


def test_a_crash_leaves_a_traceback() -> None:
    """The log shows where Python was when the process crashed."""
    _code, lines = lines_of(CASES["a crash"])
    assert "Fatal Python error: Aborted" in [line["text"] for line in lines]


def test_a_refused_start_is_told_in_plain_lines(store: Store) -> None:
    """If the daemon cannot start, the person who starts it reads `error:` and `hint:`, and nothing else."""
    del store
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [sys.executable, "-m", "inspector", "serve", "--port", str(taken.getsockname()[1])]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    error, hint = ended.stderr.splitlines()
    assert (ended.returncode, error[:7], hint[:6]) == (2, "error: ", "hint: ")


def test_ctrl_c_is_no_word_of_its_own(store: Store, start: Start) -> None:
    """After Ctrl-C the last line is JSON, too."""
    store.publish("tiny", tiny_fill())
    daemon = start()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(20) == 130


def test_a_mistyped_variable_is_logged(store: Store, start: Start) -> None:
    """A variable that looks like a setting and is none is named in the log."""
    store.publish("tiny", tiny_fill())
    daemon = start(INSPECTOR_STROE="elsewhere")
    (line,) = daemon.events("unknown variable")
    assert "did you mean INSPECTOR_STORE?" in line["reason"]
    assert (line["level"], daemon.lines[0]["event"]) == ("warning", "listening")


STALL = {
    "the daemon's own lines": "from inspector.daemon.logging import log_event\n"
    "    for number in range(60_000): log_event('one of many', number=number, text='w' * 100)",
    "lines of a library": 'ctypes.PyDLL(None).write(2, (b"w" * 99 + b"\\n") * 200_000, 20_000_000)',
}


@pytest.mark.parametrize("name", STALL)
def test_nobody_reads(name: str) -> None:
    """A program ends although nobody reads stderr; who reads later learns how many lines are lost."""
    words = [
        sys.executable,
        "-c",
        f"{BEGIN}    {STALL[name]}\n    print('done', flush=True)\n    sys.stdin.read()",
    ]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "done\n"
        lost, total = 0, 0
        while total < (60_000 if "own" in name else 200_000):
            line = json.loads(process.stderr.readline())
            lost += line["count"] if line["event"] == "log lines lost" else 0
            total += line.get("count", 1)
        assert lost > 0
        process.stdin.close()
        assert process.stderr.read() == ""


def test_nobody_reads_the_log_of_a_daemon(store: Store) -> None:
    """Parts are inspected, and SIGTERM ends the daemon and its second process, while stderr stalls."""
    store.publish("tiny", tiny_fill())
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    words = [sys.executable, "-m", "inspector", "serve", "--port", "0"]
    with os.fdopen(reader, "rb", buffering=0) as log, subprocess.Popen(words, stderr=writer) as process:
        os.close(writer)
        first = json.loads(log.readline())  # and no further line: without a buffer it reads no more
        assert first["event"] == "listening"
        url = first["url"]
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        (relay,) = psutil.Process(process.pid).children()
        for data, status in ((b"no picture", 415), (GOOD, 200)) * 30:
            assert httpx.post(f"{url}/v1/score", content=data).status_code == status
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        until(lambda: not relay.is_running())
