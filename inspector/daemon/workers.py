"""Scoring off the event loop: a few threads, and a bounded queue that refuses at once."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

Result = TypeVar("Result")

_MEMORY = 0.9  # weight of the past in the running mean of a job's duration


class FullError(Exception):
    """There is no room; `retry_after_seconds` is when there probably is."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"no room for {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Engine:
    """Runs jobs in threads; everything but the jobs happens on the event loop, so nothing needs a lock.

    Parameters
    ----------
    workers : int
        Threads; 0 means one for each core.
    queue_size : int
        Jobs that may wait beside those that run.
    """

    def __init__(self, workers: int, queue_size: int) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.capacity = self.workers + queue_size
        self.held = 0
        self._seconds = 0.05
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="score")

    @property
    def waiting(self) -> int:
        """Number of accepted jobs that no thread has begun."""
        return max(0, self.held - self.workers)

    def check(self) -> None:
        """Raise `FullError` where a job that came now would be refused."""
        if self.held >= self.capacity:
            raise FullError(max(1, math.ceil(self.held * self._seconds / self.workers)))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for one job; `FullError` where there is none."""
        self.check()
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    async def run(self, job: Callable[[], Result]) -> tuple[Result, float]:
        """Run a job in a thread; return its result and the seconds that it had to wait for one."""
        submitted = perf_counter()

        def timed() -> tuple[Result, float, float]:
            began = perf_counter()
            return job(), began - submitted, perf_counter() - began

        result, waited, took = await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        self._seconds = _MEMORY * self._seconds + (1 - _MEMORY) * took
        return result, waited

    def close(self) -> None:
        """Let the threads end after the jobs that they have."""
        self._pool.shutdown()
