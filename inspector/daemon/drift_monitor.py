"""Tests the recent pictures of each model for drift, in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from inspector import drift
from inspector.bundle.folder import Bundle
from inspector.daemon.logging import logger
from inspector.daemon.schemas import DriftOutcome
from inspector.errors import InspectorError
from inspector.scoring.detector import Detector
from inspector.types import ModelId

WINDOW_PICTURES = 200  # latest pictures of a model that are tested
MIN_PICTURES = 50  # no test with fewer
NEW_PICTURES = 10  # needed since the last test
INTERVAL_SECONDS = 5.0
MAX_OUTCOMES = 500  # kept for each model

Report = Callable[[ModelId, drift.MmdTest], None]


@dataclass
class _Window:
    """Latents of the latest pictures of one model; holds no detector, which would keep its graphs open."""

    model: ModelId
    bundle: Bundle
    latents: deque[NDArray[np.float32]] = field(default_factory=lambda: deque(maxlen=WINDOW_PICTURES))
    new: int = 0  # pictures since the last test

    @property
    def is_due(self) -> bool:
        return len(self.latents) >= MIN_PICTURES and self.new >= NEW_PICTURES


class DriftMonitor:
    """Compares each model's recent latents with those of its held-out normals.

    Parameters
    ----------
    report : callable
        Called as `report(model, outcome)` after each test.

    Notes
    -----
    Successive windows overlap, so the p-values of one model depend on each other.  A single p-value below
    0.01 is expected now and then; an alert should wait until it stays there.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._windows: dict[str, _Window] = {}
        self._outcomes: dict[str, deque[DriftOutcome]] = {}
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def add(self, detector: Detector, latent: NDArray[np.float32]) -> None:
        """Add one picture's latent (d,); a new version of a model starts with an empty window."""
        name = detector.model.name
        with self._lock:
            window = self._windows.get(name)
            if window is None or window.model != detector.model:
                window = self._windows[name] = _Window(detector.model, detector.bundle)
            window.latents.append(latent)
            window.new += 1

    def outcomes(self, name: str) -> tuple[DriftOutcome, ...]:
        """Return the latest tests of a model, oldest first."""
        with self._lock:
            return tuple(self._outcomes.get(name, ()))

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            for model, bundle, latents in self._due():
                try:
                    found = drift.compare(bundle, latents)
                    self._keep(model.name, found, len(latents))
                    self._report(model, found)
                except InspectorError as error:
                    logger.warning("no drift test: %s", error.message)
                except Exception:  # the thread must survive any failure of the disk
                    logger.exception("no drift test of %s", model.name)

    def _keep(self, name: str, found: drift.MmdTest, pictures: int) -> None:
        outcome = DriftOutcome(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            statistic=found.statistic,
            p_value=found.p_value,
            pictures=pictures,
        )
        with self._lock:
            self._outcomes.setdefault(name, deque(maxlen=MAX_OUTCOMES)).append(outcome)

    def _due(self) -> list[tuple[ModelId, Bundle, NDArray[np.float32]]]:
        """Return model, bundle and latents (n, d) of each window with enough new pictures."""
        with self._lock:
            due = [window for window in self._windows.values() if window.is_due]
            for window in due:
                window.new = 0
            return [(window.model, window.bundle, np.stack(window.latents)) for window in due]
