"""Several jobs at once: a few threads work on a small window of them, and results come in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW = 4  # jobs begun ahead of the result that is awaited, per thread: one slow picture stops no thread


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Generator[Result, None, None]:
    """Apply a function to each item, in threads, and give the results in the order of the items.

    Results that are not taken yet are at most `WINDOW` for each thread.  What a call raises is raised
    where its result would come, after all results before it.  When the iterator is closed, by
    `contextlib.closing` say, calls that have not begun are dropped, and the others are waited for.

    Parameters
    ----------
    function : callable
        Gains from threads as far as it releases Python's lock, as decoders and ONNX Runtime do.
    items : iterable
        Taken in the thread that takes the results.
    threads : int
        With one, no thread is started: everything happens when a result is asked for.

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
