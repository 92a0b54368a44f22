"""The daemon under load: latency, processor time, refusals and memory, next to a bare loop in the same run.

Clients live in a process of their own.  Pictures are rendered, or those of a set as in MVTec AD.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from inspector.bundle.store import Store
from inspector.demo.dataset import write_dataset
from inspector.process.concurrency import cores
from tests.serving import Daemon
from tests.soak.program import call, demand, finish, say

READY_SECONDS = 2.5
IDLE_MEGABYTES = 250
LATENCY_MORE_MS = 3.0
CPU_RATIO, CPU_MORE_MS = 1.25, 1.0
TAIL_RATIO = 4.0
LIVE_SECONDS = 0.25
MEMORY_GROWTH = 1.05
STARTS = 5


@dataclass(frozen=True)
class Answer:
    """One answer: status (0 if there was none), seconds, and `Retry-After`."""

    status: int
    seconds: float
    retry_after: str | None = None


# --- in the client's process ----------------------------------------------------------------


def clients(port: int, files: Sequence[Path], number: int, seconds: float, rate: float = 0) -> list[Answer]:
    """Send pictures over `number` connections: one after the other, or at `rate` pictures a second in all."""
    bodies = [path.read_bytes() for path in files]
    end = time.monotonic() + seconds
    answers: list[Answer] = []

    def send(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        due = time.monotonic() + (first / rate if rate else 0)
        for turn in range(first, 10**9, number):
            if rate:
                time.sleep(max(0.0, due - time.monotonic()))
                due += number / rate
            if time.monotonic() >= end:
                break
            answers.append(_ask(connection, bodies[turn % len(bodies)]))
        connection.close()

    together([lambda first=first: send(first) for first in range(number)])  # type: ignore[misc]
    return answers


def _ask(connection: http.client.HTTPConnection, body: bytes) -> Answer:
    began = time.perf_counter()
    try:
        connection.request("POST", "/v1/score", body)
        reply = connection.getresponse()
        reply.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return Answer(0, time.perf_counter() - began)
    return Answer(reply.status, time.perf_counter() - began, reply.getheader("Retry-After"))


def together(jobs: Sequence[Callable[[], None]]) -> None:
    """Run each job in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bare(graph: Path, files: Sequence[Path], seconds: float) -> tuple[float, float]:
    """Decode and run in a plain loop; the median seconds of a picture, and the mean processor seconds."""
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    height, width = image.shape[1:3]
    bodies = [path.read_bytes() for path in files]
    taken: list[float] = []
    end, processor = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        began = time.perf_counter()
        pixels = cv2.imdecode(np.frombuffer(bodies[len(taken) % len(bodies)], np.uint8), cv2.IMREAD_COLOR_RGB)
        assert pixels is not None
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        session.run(None, {image.name: small[np.newaxis]})
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), (time.process_time() - processor) / len(taken)


# --- the measurement ------------------------------------------------------------------------


class Alive:
    """Asks `/livez` ten times a second, on a connection of its own, while a block runs."""

    def __init__(self, port: int) -> None:
        self.slowest = 0.0
        self._port, self._stop = port, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Alive:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            connection.request("GET", "/livez")
            status = connection.getresponse().status
            connection.close()
            self.slowest = max(self.slowest, time.perf_counter() - began if status == 200 else 10.0)


def verify(data: Path | None, model: Path | None, seconds: float) -> None:
    """Take each figure in turn, and check its limit at once."""
    with tempfile.TemporaryDirectory() as place:
        if data is None:
            data = Path(place) / "flange"
            write_dataset(data, train=20, good=20, per_kind=5, size=512)
        files = sorted(path for path in (data / "test").rglob("*.*") if path.is_file())
        bundle = model or _fitted(data, Path(place) / "store")
        _starts(bundle)
        with (
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other,
            Daemon("--model", bundle) as daemon,
        ):
            rate = _levels(daemon, other, files, bundle / "detector.onnx", seconds)
            _flood(daemon, other, files, seconds, rate)


def _fitted(data: Path, store: Path) -> Path:
    """Fit a model of the default size; its steps do not change the time of scoring."""
    ended = call("fit", data / "train" / "good", "--name", data.name, "--steps", "60", store=store)
    demand(ended.returncode == 0, f"fit ended with {ended.returncode}: {ended.stderr}")
    return Store(store).resolve(data.name)


def _starts(bundle: Path) -> None:
    taken, held = [], []
    for _ in range(STARTS):
        began = time.monotonic()
        with Daemon("--model", bundle) as daemon:
            taken.append(time.monotonic() - began)
            time.sleep(1)
            held.append(daemon.megabytes)
    ready, idle = statistics.median(taken), max(held)
    say(
        f"start to ready {ready:.2f} s, allowed {READY_SECONDS}; idle {idle:.0f} MB, allowed {IDLE_MEGABYTES}"
    )
    demand(ready <= READY_SECONDS, f"ready only after {ready:.2f} s")
    demand(idle <= IDLE_MEGABYTES, f"{idle:.0f} MB while idle")


def _levels(
    daemon: Daemon, other: ProcessPoolExecutor, files: Sequence[Path], graph: Path, seconds: float
) -> float:
    """Measure 1, 4 and 16 clients, and the bare loop between them; return the rate of 16 clients."""
    rate = 0.0
    for number in (1, 4, 16):
        least, processor = other.submit(bare, graph, files, seconds / 4).result()
        before = daemon.cpu_seconds
        answers = other.submit(clients, daemon.port, files, number, seconds).result()
        used = (daemon.cpu_seconds - before) / len(answers)
        rate = len(answers) / seconds
        times = np.array([answer.seconds for answer in answers]) * 1e3
        median, tail = float(np.median(times)), float(np.percentile(times, 99))
        say(
            f"{number:2} clients: {rate:5.1f} pictures a second, median {median:.1f} ms, p99 {tail:.1f} ms, "
            f"processor {used * 1e3:.1f} ms; bare {least * 1e3:.1f} ms, processor {processor * 1e3:.1f} ms"
        )
        seen = Counter(answer.status for answer in answers)
        demand(set(seen) == {200}, f"{number} clients: {dict(seen)}")
        if number == 1:
            limit = least * 1e3 + LATENCY_MORE_MS
            demand(median <= limit, f"median {median:.1f} ms, allowed {limit:.1f}")
        else:
            limit = CPU_RATIO * processor * 1e3 + CPU_MORE_MS
            demand(used * 1e3 <= limit, f"{used * 1e3:.1f} ms of processor time, allowed {limit:.1f}")
        if number == 4:
            demand(tail <= TAIL_RATIO * median, f"p99 is {tail / median:.1f} times the median")
    return rate


def _flood(
    daemon: Daemon, other: ProcessPoolExecutor, files: Sequence[Path], seconds: float, rate: float
) -> None:
    """Send four times as fast as the daemon scores, from four times the clients that fit its queue."""
    number = 4 * (cores() + 64)
    with Alive(daemon.port) as alive:
        sent = other.submit(clients, daemon.port, files, number, seconds, 4 * rate)
        time.sleep(seconds / 2)
        half = daemon.megabytes
        answers = sent.result()
        held = daemon.megabytes
    seen = Counter(answer.status for answer in answers)
    say(
        f"{number} clients, {4 * rate:.0f} pictures a second: {dict(seen)}, livez at most "
        f"{alive.slowest * 1e3:.0f} ms, {half:.0f} MB after half of it, {held:.0f} MB at the end"
    )
    demand(set(seen) == {200, 503}, f"flood: {dict(seen)}")
    demand(all(int(a.retry_after or 0) >= 1 for a in answers if a.status == 503), "a 503 without Retry-After")
    demand(alive.slowest <= LIVE_SECONDS, f"livez took {alive.slowest * 1e3:.0f} ms")
    demand(held <= MEMORY_GROWTH * half, f"memory grew from {half:.0f} to {held:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a set of pictures with train/good and test")
    parser.add_argument("--model", type=Path, help="a bundle; one is fitted without it")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    sys.exit(finish(lambda: verify(options.data, options.model, options.seconds)))
