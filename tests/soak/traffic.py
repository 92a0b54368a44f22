"""Send good, bad, huge and slow bodies at once for ten minutes; some clients leave early.

Every request carries an id.  At the end each id that a client waited for has exactly one answer and one
line in the log, with the same status, and the memory did not grow.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import socket
import statistics
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from inspector.bundle.store import Store
from inspector.demo.photograph import render
from inspector.imaging.encode import encode_jpeg, encode_png
from tests.inspector.tiny_bundle import bad_picture, good_picture, tiny_fill
from tests.serving import Daemon
from tests.soak.load import together
from tests.soak.program import demand, finish, say

MAX_BYTES = 8_000_000
BODY_SECONDS = 2
CLIENTS = 8
GROWTH = 1.05
SAMPLE_SECONDS = 2.0


@dataclass(frozen=True)
class Kind:
    """One kind of request: its body, how often it is chosen, the statuses allowed, and how it is sent."""

    name: str
    weight: int
    body: bytes
    statuses: frozenset[int]
    path: str = "/v1/score"
    content_type: str = "application/octet-stream"
    pieces: int = 1
    pause_seconds: float = 0.0
    leaves: bool = False  # before the answer, or in the middle of the body


def _form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    lines = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n'
        % (name.encode(), data)
        for name, data in parts
    )
    return lines + b"--b--\r\n", "multipart/form-data; boundary=b"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def kinds() -> list[Kind]:
    """Return every kind of request."""
    good, bad = encode_png(good_picture()), encode_png(bad_picture())
    part = encode_jpeg(render(1, size=512).picture)
    big = encode_jpeg(render(2, size=2400).picture)
    batch, form = _form(("image", good), ("image", b"no picture"), ("image", bad))
    wrong, _ = _form(("picture", good))
    size = (30_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size) + _chunk(b"IDAT", bytes(9)) + _chunk(b"IEND", b"")
    ok, late = frozenset({200}), frozenset({408})
    return [
        Kind("good", 30, good, ok),
        Kind("bad", 20, bad, ok),
        Kind("part", 20, part, ok),
        Kind("map", 3, part, ok, path="/v1/score?map=npy"),
        Kind("big", 3, big, ok),
        Kind("batch", 5, batch, ok, path="/v1/score/batch", content_type=form),
        Kind("empty", 3, b"", frozenset({400})),
        Kind("no picture", 3, b"no picture" * 50, frozenset({415})),
        Kind("truncated", 3, part[: len(part) // 2], frozenset({422})),
        Kind("bomb", 3, bomb, frozenset({413})),
        Kind("huge", 2, bytes(5 * MAX_BYTES), frozenset({413})),
        Kind("wrong field", 2, wrong, frozenset({400}), content_type=form),
        Kind("no such model", 2, good, frozenset({404}), path="/v1/score?model=none"),
        Kind("slow", 2, good, ok, pieces=4, pause_seconds=0.3),
        Kind("too slow", 1, good, late, pieces=6, pause_seconds=0.7),
        Kind("left in the body", 3, part, frozenset(), leaves=True, pieces=2),
        Kind("left before the answer", 3, part, frozenset(), leaves=True),
    ]


# --- in the client's process ----------------------------------------------------------------


def send(port: int, seconds: float, seed: int) -> dict[str, tuple[str, int]]:
    """Send until the time is over; return kind and status of each request id, status 0 without an answer."""
    end, found, choices = time.monotonic() + seconds, {}, kinds()
    weights = [kind.weight for kind in choices]

    def run(client: int) -> None:
        rng = random.Random(seed + client)  # noqa: S311 - traffic, not secrets
        number = 0
        while time.monotonic() < end:
            (kind,) = rng.choices(choices, weights)
            request_id = f"{client}-{number}"
            number += 1
            found[request_id] = (kind.name, _exchange(port, kind, request_id))

    jobs: list[Callable[[], None]] = [lambda client=client: run(client) for client in range(CLIENTS)]  # type: ignore[misc]
    together(jobs)
    return found


def _exchange(port: int, kind: Kind, request_id: str) -> int:
    """Send one request on a connection of its own, read to the end, and return the status."""
    head = (
        f"POST {kind.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: {request_id}\r\n"
        f"Content-Type: {kind.content_type}\r\nContent-Length: {len(kind.body)}\r\n\r\n"
    )
    size = -(-len(kind.body) // kind.pieces) or 1
    pieces = [kind.body[at : at + size] for at in range(0, len(kind.body), size)]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(head.encode() + (pieces.pop(0) if pieces else b""))
            if kind.leaves:
                return 0
            for piece in pieces:
                time.sleep(kind.pause_seconds)
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused: the answer is there already
        return _status(connection, request_id)


def _status(connection: socket.socket, request_id: str) -> int:
    """Read one answer and return its status; -1 unless it is exactly one answer with this id."""
    received = b""
    try:
        while chunk := connection.recv(1 << 20):
            received += chunk
    except ConnectionResetError:
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    is_one = int(fields.get(b"content-length", -1)) == len(body)
    is_mine = fields.get(b"x-request-id") == request_id.encode()
    return int(head.split(b" ", 2)[1]) if is_one and is_mine else -1


# --- the measurement ------------------------------------------------------------------------


def verify(seconds: float, seed: int) -> None:
    """Send requests, watch the memory, and compare the answers with the log."""
    with tempfile.TemporaryDirectory() as place:
        Store(Path(place)).publish("tiny", tiny_fill())
        os.environ["INSPECTOR_STORE"] = place
        with (
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other,
            Daemon(INSPECTOR_MAX_BYTES=str(MAX_BYTES), INSPECTOR_BODY_SECONDS=str(BODY_SECONDS)) as daemon,
        ):
            sent = other.submit(send, daemon.port, seconds, seed)
            held = []
            while not sent.done():
                time.sleep(SAMPLE_SECONDS)
                held.append(daemon.megabytes)
            found = sent.result()
    _check_answers(found)
    _check_log(found, daemon)
    tenth = max(1, len(held) // 10)
    half = statistics.median(held[len(held) // 2 :][:tenth])
    last = statistics.median(held[-tenth:])
    say(f"memory: {half:.0f} MB after half of it, {last:.0f} MB at the end, at most {max(held):.0f} MB")
    demand(last <= GROWTH * half, f"memory grew by {last / half - 1:.1%}")


def _check_answers(found: dict[str, tuple[str, int]]) -> None:
    for kind in kinds():
        seen = Counter(status for name, status in found.values() if name == kind.name)
        say(f"{kind.name:24} {sum(seen.values()):6}  {dict(seen)}")
        allowed = {0} if kind.leaves else kind.statuses
        demand(set(seen) <= allowed, f"{kind.name}: {dict(seen)}, allowed {sorted(allowed)}")


def _check_log(found: dict[str, tuple[str, int]], daemon: Daemon) -> None:
    lines = daemon.events("request")
    times = Counter(line["request_id"] for line in lines)
    logged = {line["request_id"]: line["status"] for line in lines}
    waited = {request_id: status for request_id, (_, status) in found.items() if status}
    say(f"{len(found)} requests, {len(waited)} waited for, {len(lines)} lines in the log")
    demand(max(times.values()) == 1, f"answered twice: {[one for one, n in times.items() if n > 1]}")
    demand(times.keys() <= found.keys(), "a line for an id that was not sent")
    wrong = {one: (status, logged.get(one)) for one, status in waited.items() if logged.get(one) != status}
    demand(not wrong, f"received and logged: {wrong}")
    demand(not daemon.events("unexpected"), f"unhandled: {daemon.events('unexpected')[:3]}")
    demand(all(status < 500 for status in logged.values()), "an answer of 500 or more")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.seconds, options.seed)))
