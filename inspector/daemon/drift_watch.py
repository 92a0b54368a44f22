"""Drift of what the daemon sees: the test of `inspector drift` over each model's recent pictures."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from inspector import drift
from inspector.bundle.folder import Bundle
from inspector.errors import InspectorError
from inspector.scoring.detector import Detector
from inspector.types import ModelId, Record

RECENT = 200  # pictures of one model that are looked at
FEWEST = 50  # before that nothing is said
FRESH = 10  # new pictures that are worth a new test
SECONDS = 5.0
OUTCOMES = 500  # of one model that are kept

Report = Callable[[ModelId, drift.MmdTest], None]


class DriftOutcome(Record):
    """One test of a model's recent pictures; `p_value` falls with drift."""

    time: str
    statistic: float
    p_value: float
    pictures: int


class DriftWatch:
    """Tests each model's recent codes against its normals, in a thread of its own.

    Parameters
    ----------
    report : callable
        Called as `report(model, outcome)` after each test.

    Notes
    -----
    Windows overlap, so the p-values of one model depend on each other: one alone below 0.01 is expected
    now and then, and an alert should wait for it to stay there.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock, self._stop = threading.Lock(), threading.Event()
        # A detector would stay in memory with what is kept here.
        self._recent: dict[str, tuple[ModelId, Bundle, deque[NDArray[np.float32]]]] = {}
        self._fresh: dict[str, int] = {}
        self._outcomes: dict[str, deque[DriftOutcome]] = {}
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def add(self, detector: Detector, latent: NDArray[np.float32]) -> None:
        """Take note of one picture's code (d,); another version of a model begins anew."""
        name = detector.model.name
        with self._lock:
            known = self._recent.get(name)
            if known is None or known[0] != detector.model:
                known = self._recent[name] = (detector.model, detector.bundle, deque(maxlen=RECENT))
                self._fresh[name] = 0
            known[2].append(latent)
            self._fresh[name] += 1

    def outcomes(self, name: str) -> tuple[DriftOutcome, ...]:
        """Return the latest tests of a model, oldest first."""
        with self._lock:
            return tuple(self._outcomes.get(name, ()))

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            for model, bundle, rows in self._due():
                try:
                    found = drift.compare(bundle, rows)
                    self._keep(model.name, found, len(rows))
                    self._report(model, found)
                except InspectorError as error:
                    logging.getLogger("inspector.daemon").warning("no drift test: %s", error.message)
                except Exception:  # this thread has to outlive whatever happens to the disk
                    logging.getLogger("inspector.daemon").exception("no drift test of %s", model.name)

    def _keep(self, name: str, found: drift.MmdTest, pictures: int) -> None:
        outcome = DriftOutcome(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            statistic=found.statistic,
            p_value=found.p_value,
            pictures=pictures,
        )
        with self._lock:
            self._outcomes.setdefault(name, deque(maxlen=OUTCOMES)).append(outcome)

    def _due(self) -> list[tuple[ModelId, Bundle, NDArray[np.float32]]]:
        with self._lock:
            due = []
            for model, bundle, codes in self._recent.values():
                if len(codes) >= FEWEST and self._fresh[model.name] >= FRESH:
                    self._fresh[model.name] = 0
                    due.append((model, bundle, np.stack(codes)))
            return due
