"""Several jobs at once: order, bounds, errors and endings."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from inspector.process.concurrency import WINDOW, cores, in_order


def take(results: Iterator[int], into: list[int]) -> None:
    """Collect results one by one; an error leaves the earlier results in the list."""
    for result in results:
        into.append(result)  # noqa: PERF402 - see above


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads: int) -> None:
    """Results come in the order of the items, whatever the duration of each job."""

    def job(number: int) -> int:
        time.sleep(0.003 if number % 3 == 0 else 0)
        return number * number

    assert list(in_order(job, range(60), threads)) == [number * number for number in range(60)]


def test_jobs_run_at_once() -> None:
    """As many jobs run at the same time as there are threads; each job waits for the others here."""
    meeting = threading.Barrier(3, timeout=30)
    assert sorted(in_order(lambda _: meeting.wait(), range(3), 3)) == [0, 1, 2]


def test_one_thread_is_our_own() -> None:
    """With one thread each job runs when its result is taken, and none runs ahead."""
    begun: list[int] = []

    def job(number: int) -> threading.Thread:
        begun.append(number)
        return threading.current_thread()

    results = in_order(job, itertools.count(), 1)
    assert next(results) is threading.current_thread()
    assert begun == [0]


def test_the_window_is_bounded() -> None:
    """Only a window of endless items is taken, in the thread that takes the results."""
    taken: list[threading.Thread] = []

    def items() -> Iterator[int]:
        for number in itertools.count():
            taken.append(threading.current_thread())
            yield number

    with closing(in_order(str, items(), 2)) as results:
        for number in range(1, 30):
            next(results)
            assert len(taken) < WINDOW * 2 + number
    assert set(taken) == {threading.current_thread()}


def test_an_error_keeps_its_place() -> None:
    """The error of a job comes after all earlier results, even if a later job ended first."""

    def job(number: int) -> int:
        time.sleep(0.05 if number == 3 else 0)
        return 6 // (3 - number)

    found: list[int] = []
    with pytest.raises(ZeroDivisionError):
        take(in_order(job, range(10), 2), found)
    assert found == [2, 3, 6]


def test_closing_drops_waiting_jobs() -> None:
    """After closing, no job runs and no thread is left."""
    before = threading.active_count()
    begun: list[int] = []

    def job(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)

    with closing(in_order(job, itertools.count(), 2)) as results:
        next(results)
    ended = len(begun)
    assert ended < WINDOW * 2
    time.sleep(0.05)
    assert len(begun) == ended
    assert threading.active_count() == before


def test_there_is_a_core() -> None:
    """The number of cores is at least 1."""
    assert cores() >= 1
