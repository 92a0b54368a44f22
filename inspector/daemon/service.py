"""The parts that the routes share, and the thread that follows the model store."""

from __future__ import annotations

import asyncio
import logging
from threading import Event, Lock, Thread

from inspector.daemon.auth import Keys
from inspector.daemon.drift_monitor import DriftMonitor
from inspector.daemon.errors import code_of
from inspector.daemon.logging import log_event, logger
from inspector.daemon.metrics import RELOADS, Metrics
from inspector.daemon.recent import RecentInspections
from inspector.daemon.scorer import Scorer
from inspector.daemon.workers import Workers
from inspector.drift import MmdTest
from inspector.errors import InspectorError
from inspector.scoring.detector import Detector
from inspector.scoring.registry import ModelRegistry, Outcome
from inspector.settings import ServeSettings
from inspector.types import ModelId

STORE_INTERVAL_SECONDS = 0.25  # a promotion takes effect within two seconds


class Service:
    """The parts that the routes share.

    Parameters
    ----------
    settings : ServeSettings
    keys : Keys
        Without any key, every route is open.
    """

    def __init__(self, settings: ServeSettings, keys: Keys) -> None:
        self.settings, self.keys = settings, keys
        self.workers = Workers(settings.workers, settings.queue_size)
        self.metrics = Metrics(queue_depth=lambda: self.workers.waiting, ready=lambda: self.is_ready)
        self.registry = ModelRegistry(
            settings, settings.model, max_bytes=settings.max_model_bytes, listener=self._model_changed
        )
        self.drift = DriftMonitor(self._drift_tested)
        self.recent = RecentInspections()
        self.scorer = Scorer(settings, self.registry, self.workers, self.recent, self.drift, self.metrics)
        self.rendering = asyncio.Semaphore(self.workers.threads)  # the console's views come after scoring
        self.draining = False
        self._missing_because: str | None = None  # the reason in the log, while there is no model
        self._stop, self._updating = Event(), Lock()
        self._follower = Thread(target=self._follow_store, name="store", daemon=True)

    @property
    def is_ready(self) -> bool:
        """True if requests that name no model are answered now."""
        return not self.draining and self.registry.default is not None

    def start(self) -> None:
        """Start the threads that follow the store and test for drift."""
        self._follower.start()
        self.drift.start()

    def change(self, settings: ServeSettings, keys: Keys) -> None:
        """Use other keys, and the settings that may change while the daemon runs."""
        self.settings = self.scorer.settings = settings
        self.keys.digests = keys.digests
        self.workers.queue_size = settings.queue_size
        self.registry.max_bytes = settings.max_model_bytes

    def drain(self) -> None:
        """Begin the shutdown: report not ready, and end the waiting for news."""
        self.draining = True
        self.recent.close()

    def stop(self) -> None:
        """End after the accepted work."""
        self._stop.set()
        self._follower.join()
        self.drift.stop()
        self.workers.close()

    async def open_model(self, reference: str) -> Detector:
        """Return a model, opening it in a worker thread if necessary."""
        with self.workers.slot():
            detector, _ = await self.workers.run(lambda: self.registry.get(reference))
        return detector

    def _follow_store(self) -> None:
        while True:
            try:
                self.registry.refresh()
                self._update_metrics()
                self._log_missing_model()
            except Exception:  # the thread must survive any failure of the disk
                logger.exception("the store could not be read")
            if self._stop.wait(STORE_INTERVAL_SECONDS):
                return

    def _log_missing_model(self) -> None:
        """Log that the default model is missing, each other reason for it, and that there is one again."""
        problem = self.registry.problem if self.registry.default is None else None
        reason = problem.message if problem else None
        if reason == self._missing_because:
            return
        self._missing_because = reason
        if problem is None:
            log_event("model available")
        else:
            code = code_of(type(problem))
            log_event("no model", logging.WARNING, code=code, reason=reason, hint=problem.hint)

    def _model_changed(
        self, outcome: Outcome, detector: Detector | None, error: InspectorError | None
    ) -> None:
        """Count and log that a model was opened, refused or removed."""
        if outcome in RELOADS:
            self.metrics.reloads.labels(outcome).inc()
        if detector is not None:
            self._update_metrics()
            log_event(
                "model opened" if outcome == "ok" else "model removed",
                model=detector.model.name,
                version=detector.model.version,
                precision=detector.precision,
                int8_problem=detector.int8_problem,
            )
        elif error is not None:
            log_event(
                "model refused",
                logging.ERROR,
                code=code_of(type(error)),
                reason=error.message,
                hint=error.hint,
            )

    def _update_metrics(self) -> None:
        with self._updating:  # called from several threads
            self.metrics.set_models(self.registry.opened(), self.registry.by_name(), self.registry.has)

    def _drift_tested(self, model: ModelId, outcome: MmdTest) -> None:
        with self._updating:
            self.metrics.note_drift(model, outcome.statistic, outcome.p_value)
        if outcome.drifted:
            log_event(
                "drift",
                logging.WARNING,
                model=model.name,
                version=model.version,
                p_value=outcome.p_value,
                statistic=outcome.statistic,
            )
