"""Applies a function to many items in threads; results come in order, and memory stays bounded."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

from inspector.process.cgroup import cpu_quota

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW = 4  # calls per thread that may run ahead of the next result, so that a slow one stops no thread


def cores() -> int:
    """Return the number of cores that this process may use: its affinity, at most its quota rounded up."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return found if quota is None else min(found, math.ceil(quota))


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Generator[Result, None, None]:
    """Apply a function to each item, in threads, and yield the results in the order of the items.

    At most `WINDOW` results per thread wait to be taken.  An error of a call is raised in place of its
    result, after all earlier results.  Closing the generator, for example with `contextlib.closing`, drops
    the calls that have not begun and waits for the others.

    Parameters
    ----------
    function : callable
        Runs in parallel as far as it releases Python's lock, as decoders and ONNX Runtime do.
    items : iterable
        Iterated in the thread that takes the results.
    threads : int
        Number of threads; 1 starts none and calls the function when its result is taken.

    Examples
    --------
    >>> list(in_order(abs, [-3, 2, -1], threads=2))
    [3, 2, 1]
    """
    if threads == 1:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    begun: deque[Future[Result]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) == WINDOW * threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
