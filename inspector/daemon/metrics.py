"""Every Prometheus series of the daemon, on a registry of its own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from inspector.errors import InvalidReason
from inspector.types import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from inspector.scoring.detector import Detector
    from inspector.scoring.inspection import Inspection
    from inspector.types import ModelId

CONTENT_TYPE = CONTENT_TYPE_LATEST
STAGES = ("decode", "queue", "infer", "decide")
RELOADS = ("ok", "failed")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SCORES = (-1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)


class Metrics:
    """What a scrape sees.  Label values are closed sets, and counters are there and 0 from the start.

    Parameters
    ----------
    codes : sequence of str
        Of the errors that requests can be answered with.
    routes : sequence of str
        Of the application, as they are written in it.
    queue_depth : callable
        Gives the number of requests that wait.
    """

    def __init__(self, codes: list[str], routes: list[str], queue_depth: Callable[[], float]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, that nobody asks for
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.inspections = Counter(
            "inspector_inspections", "Pictures inspected.", ["model", "verdict"], registry=registry
        )
        self.stage = Histogram(
            "inspector_stage_seconds", "Time of each stage.", ["stage"], buckets=SECONDS, registry=registry
        )
        self.score, self.reconstruction, self.latent = (
            Histogram(name, text, ["model"], buckets=SCORES, registry=registry)
            for name, text in (
                ("inspector_score", "Scores; they rise with anomaly."),
                ("inspector_reconstruction_error", "Reconstruction error, standardised."),
                ("inspector_latent_mmd", "Latent kernel distance, standardised."),
            )
        )
        self.threshold = Gauge("inspector_threshold", "A higher score fails.", ["model"], registry=registry)
        self.promised = Gauge(
            "inspector_promised_false_reject_rate",
            "Share of good parts that the threshold rejects at most.",
            ["model"],
            registry=registry,
        )
        self.drift_mmd = Gauge(
            "inspector_drift_mmd",
            "Squared MMD of recent pictures to the normals.",
            ["model"],
            registry=registry,
        )
        self.drift_p = Gauge(
            "inspector_drift_p_value", "It falls with drift; 1 before a test.", ["model"], registry=registry
        )
        self.invalid = Counter(
            "inspector_invalid_images", "Pictures at fault, by reason.", ["reason"], registry=registry
        )
        self.requests = Counter(
            "inspector_http_requests", "Answers, by route and status.", ["route", "status"], registry=registry
        )
        self.info = Gauge(
            "inspector_model_info",
            "1 for each model in memory.",
            ["model", "version", "digest"],
            registry=registry,
        )
        self.last = Gauge(
            "inspector_last_inspection_timestamp_seconds",
            "Unix time; 0 before the first picture.",
            ["model"],
            registry=registry,
        )
        self.reloads = Counter(
            "inspector_model_reloads", "Models opened, or refused.", ["result"], registry=registry
        )
        self.errors = Counter("inspector_errors", "Errors answered, by code.", ["code"], registry=registry)
        Gauge("inspector_queue_depth", "Requests that wait.", registry=registry).set_function(queue_depth)
        self._of_models = (self.threshold, self.promised, self.last, self.drift_mmd, self.drift_p)
        self._shown: dict[str, str] = {}  # name -> digest of the model that its gauges tell of
        for stage in STAGES:
            self.stage.labels(stage)
        for reason in InvalidReason:
            self.invalid.labels(reason)
        for result in RELOADS:
            self.reloads.labels(result)
        for code in codes:
            self.errors.labels(code)
        for route in routes:
            for status in ("200", "500"):
                self.requests.labels(route, status)

    def set_models(
        self, detectors: list[Detector], by_name: dict[str, Detector], has: Callable[[str], bool]
    ) -> None:
        """Say which models are in memory, which of them each name stands for, and whether there is a name.

        A name that comes into memory has all its series, counters at 0; of one that there is no more no
        gauge is left, so that no alert goes on about it.  One thread at a time.
        """
        self.info.clear()
        for detector in detectors:
            model = detector.model
            self.info.labels(model.name, str(model.version), model.digest).set(1)
            if model.name not in by_name and not self._shown.get(model.name):
                self._show(model.name, detector)
        for name, detector in by_name.items():
            if self._shown.get(name) != detector.model.digest:
                self._show(name, detector)
        for name in [name for name in set(self._shown) - set(by_name) if not has(name)]:
            del self._shown[name]
            for gauge in self._of_models:
                with suppress(KeyError):
                    gauge.remove(name)

    def _show(self, name: str, detector: Detector) -> None:
        for verdict in get_args(Verdict):
            self.inspections.labels(name, verdict)
        for histogram in (self.score, self.reconstruction, self.latent):
            histogram.labels(name)
        self.threshold.labels(name).set(detector.calibration.threshold)
        self.promised.labels(name).set(detector.calibration.promised_false_reject_rate)
        self.last.labels(name)
        self.drift_mmd.labels(name).set(0)
        self.drift_p.labels(name).set(1)
        self._shown[name] = detector.model.digest

    def count(self, inspection: Inspection, waited_seconds: float) -> None:
        """Count one inspected picture."""
        name, took = inspection.model.name, inspection.milliseconds
        self.inspections.labels(name, inspection.verdict).inc()
        self.last.labels(name).set_to_current_time()
        self._shown.setdefault(name, "")  # a picture may come before, or after, the model is known here
        self.stage.labels("decode").observe(took.decode / 1e3)
        self.stage.labels("queue").observe(waited_seconds)
        if inspection.reason is not None:
            self.invalid.labels(inspection.reason).inc()
            return
        self.stage.labels("infer").observe(took.infer / 1e3)
        self.stage.labels("decide").observe(took.decide / 1e3)
        self.score.labels(name).observe(inspection.score or 0.0)
        components = inspection.components or {}
        for component, histogram in (("reconstruction", self.reconstruction), ("latent_mmd", self.latent)):
            if component in components:
                histogram.labels(name).observe(components[component])

    def note_drift(self, model: ModelId, statistic: float, p_value: float) -> None:
        """Keep the outcome of the latest drift test, if it is of the version whose gauges are shown."""
        if self._shown.get(model.name) == model.digest:
            self.drift_mmd.labels(model.name).set(statistic)
            self.drift_p.labels(model.name).set(p_value)

    def text(self) -> bytes:
        """Return what Prometheus scrapes."""
        return generate_latest(self.registry)
