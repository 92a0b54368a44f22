"""Worker threads that score off the event loop, and a bounded queue that refuses at once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from inspector.process.concurrency import cores

Result = TypeVar("Result")

_DECAY = 0.9  # weight of earlier jobs in the running mean of a job's duration
_FIRST_GUESS_SECONDS = 0.05


class QueueFullError(Exception):
    """The queue has no room; `retry_after_seconds` estimates when it will."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"the queue is full for about {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Workers:
    """Runs jobs in threads.

    Only the jobs run in threads; everything else happens on the event loop, so no lock is needed.

    Parameters
    ----------
    threads : int
        0 means one for each core.
    queue_size : int
        Jobs that may wait beside those that run.
    """

    def __init__(self, threads: int, queue_size: int) -> None:
        self.threads = threads or cores()
        self.queue_size = queue_size
        self._accepted = 0
        self._mean_seconds = _FIRST_GUESS_SECONDS
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="score")

    @property
    def capacity(self) -> int:
        """Largest number of jobs that run or wait."""
        return self.threads + self.queue_size

    @property
    def waiting(self) -> int:
        """Number of accepted jobs that no thread has started."""
        return max(0, self._accepted - self.threads)

    def check(self) -> None:
        """Raise `QueueFullError` if a job would be refused now."""
        if self._accepted >= self.capacity:
            seconds = self._accepted * self._mean_seconds / self.threads
            raise QueueFullError(max(1, math.ceil(seconds)))

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot of the queue for one job.

        Raises
        ------
        QueueFullError
            All slots are taken.
        """
        self.check()
        self._accepted += 1
        try:
            yield
        finally:
            self._accepted -= 1

    async def run(self, job: Callable[[], Result]) -> tuple[Result, float]:
        """Run a job in a thread; return its result and the seconds that it waited for the thread."""
        submitted = perf_counter()

        def timed() -> tuple[Result, float, float]:
            began = perf_counter()
            return job(), began - submitted, perf_counter() - began

        result, waited, took = await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        self._mean_seconds = _DECAY * self._mean_seconds + (1 - _DECAY) * took
        return result, waited

    def close(self) -> None:
        """Wait for the accepted jobs and end the threads."""
        self._pool.shutdown()
