"""All Prometheus series of the daemon, in a registry of their own."""

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

from inspector.daemon.middleware import UNKNOWN_ROUTE
from inspector.errors import InvalidReason
from inspector.types import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from inspector.daemon.errors import Problem
    from inspector.scoring.detector import Detector
    from inspector.scoring.inspection import Inspection
    from inspector.types import ModelId

CONTENT_TYPE = CONTENT_TYPE_LATEST
STAGES = ("decode", "queue", "infer", "decide")
RELOADS = ("ok", "failed")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SCORES = (-1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
DEPRECATED = {"reconstruction": "inspector_reconstruction_error", "latent_mmd": "inspector_latent_mmd"}
"""Series of single components from before `inspector_component_score`; removed in the next version."""


class Metrics:
    """The series of a scrape.  Label values are closed sets; counters start at 0.

    Parameters
    ----------
    queue_depth : callable
        Returns the number of waiting requests.
    ready : callable
        Returns whether the daemon is ready.
    """

    def __init__(self, queue_depth: Callable[[], float], ready: Callable[[], bool]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each, never queried
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._create_counters()
        self._create_histograms()
        self._create_gauges(queue_depth, ready)
        self._shown: dict[str, str] = {}  # name -> digest of the model that its gauges describe
        self._components: dict[str, set[str]] = {}  # name -> components that have a series

    def _create_counters(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"inspector_{name}", text, labels, registry=self.registry)

        self.inspections = counter("inspections", "Inspected pictures.", "model", "verdict")
        self.clipped = counter(
            "clipped_images",
            "Pictures with samples beyond the model's full scale, which were clipped.",
            "model",
        )
        self.invalid = counter("invalid_images", "Pictures with the verdict invalid, by reason.", "reason")
        self.requests = counter("http_requests", "HTTP answers, by route and status.", "route", "status")
        self.reloads = counter("model_reloads", "Models that were opened or refused.", "result")
        self.errors = counter("errors", "HTTP errors, by problem code.", "code")
        for reason in InvalidReason:
            self.invalid.labels(reason)
        for result in RELOADS:
            self.reloads.labels(result)

    def _create_histograms(self) -> None:
        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = SCORES) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

        self.stage = histogram(
            "inspector_stage_seconds", "Duration of each stage of an inspection.", "stage", buckets=SECONDS
        )
        self.score = histogram("inspector_score", "Scores; higher is more anomalous.", "model")
        self.component_score = histogram(
            "inspector_component_score",
            "Scores of each component of a model, standardised; higher is more anomalous.",
            "model",
            "component",
        )
        self.deprecated = {
            component: histogram(
                name, f'Deprecated, use inspector_component_score{{component="{component}"}}.', "model"
            )
            for component, name in DEPRECATED.items()
        }
        for stage in STAGES:
            self.stage.labels(stage)

    def _create_gauges(self, queue_depth: Callable[[], float], ready: Callable[[], bool]) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"inspector_{name}", text, labels, registry=self.registry)

        self.threshold = gauge("threshold", "A score above this threshold fails.", "model")
        self.promised = gauge(
            "promised_false_reject_rate", "Promised maximum share of good parts that fail.", "model"
        )
        self.drift_mmd = gauge(
            "drift_mmd", "Squared MMD between recent pictures and the held-out normals.", "model"
        )
        self.drift_p = gauge(
            "drift_p_value", "p-value of the drift test; low means drift, 1 before the first test.", "model"
        )
        self.last = gauge(
            "last_inspection_timestamp_seconds",
            "Unix time of the last inspection; 0 before the first one.",
            "model",
        )
        self.info = gauge("model_info", "1 for each opened model.", "model", "version", "digest")
        gauge("queue_depth", "Requests that wait for a worker.").set_function(queue_depth)
        gauge("ready", "1 while GET /readyz answers 200, else 0.").set_function(ready)

    def start_at_zero(self, routes: Iterable[str], codes: Iterable[str]) -> None:
        """Create the series of these routes and problem codes, at 0."""
        for route in routes:
            for status in ("200", "500"):
                self.requests.labels(route, status)
        for code in codes:
            self.errors.labels(code)

    def set_models(
        self, detectors: list[Detector], by_name: dict[str, Detector], has: Callable[[str], bool]
    ) -> None:
        """Update the series of models; call from one thread at a time.

        Parameters
        ----------
        detectors : list of Detector
            All opened models.
        by_name : dict
            The opened model that each name stands for.  A new name gets all its series.
        has : callable
            Tells whether a name still exists.  The gauges of a deleted name are removed, so that its alerts
            resolve, and so are the series of its components.
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
            self._remove(name)

    def _show(self, name: str, detector: Detector) -> None:
        """Let the series of a name describe this model."""
        for verdict in get_args(Verdict):
            self.inspections.labels(name, verdict)
        self.clipped.labels(name)
        for histogram in (self.score, *self.deprecated.values()):
            histogram.labels(name)
        self.threshold.labels(name).set(detector.calibration.threshold)
        self.promised.labels(name).set(detector.calibration.promised_false_reject_rate)
        self.last.labels(name)
        self.drift_mmd.labels(name).set(0)
        self.drift_p.labels(name).set(1)
        self._show_components(name, set(detector.components))
        self._shown[name] = detector.model.digest

    def _show_components(self, name: str, components: set[str]) -> None:
        """Create a series for each component of a name, and remove those of an earlier version."""
        for component in self._components.get(name, set()) - components:
            _discard(self.component_score, name, component)
        for component in components:
            self.component_score.labels(name, component)
        self._components[name] = components

    def _remove(self, name: str) -> None:
        """Remove the gauges and the components of a deleted name."""
        del self._shown[name]
        self._show_components(name, set())
        for gauge in (self.threshold, self.promised, self.last, self.drift_mmd, self.drift_p):
            _discard(gauge, name)

    def count(self, inspection: Inspection, waited_seconds: float) -> None:
        """Count one inspected picture."""
        name, took = inspection.model.name, inspection.milliseconds
        self.inspections.labels(name, inspection.verdict).inc()
        self.last.labels(name).set_to_current_time()
        self._shown.setdefault(name, "")  # the model may be opened, or deleted, in this very moment
        self.stage.labels("decode").observe(took.decode / 1e3)
        self.stage.labels("queue").observe(waited_seconds)
        if inspection.reason is not None:
            self.invalid.labels(inspection.reason).inc()
            return
        if inspection.image is not None and inspection.image.clipped_pixels:
            self.clipped.labels(name).inc()
        self.stage.labels("infer").observe(took.infer / 1e3)
        self.stage.labels("decide").observe(took.decide / 1e3)
        self.score.labels(name).observe(inspection.score or 0.0)
        for component, score in (inspection.components or {}).items():
            self._components.setdefault(name, set()).add(component)
            self.component_score.labels(name, component).observe(score)
            if component in self.deprecated:
                self.deprecated[component].labels(name).observe(score)

    def count_refusal(self, problem: Problem) -> None:
        """Count a problem that the connection answered, because no request reached a route."""
        self.errors.labels(problem.code).inc()
        self.requests.labels(UNKNOWN_ROUTE, str(problem.status)).inc()

    def note_drift(self, model: ModelId, statistic: float, p_value: float) -> None:
        """Show the latest drift test, unless the gauges describe another version of the model."""
        if self._shown.get(model.name) == model.digest:
            self.drift_mmd.labels(model.name).set(statistic)
            self.drift_p.labels(model.name).set(p_value)

    def text(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)


def _discard(metric: Gauge | Histogram, *labels: str) -> None:
    """Remove a child of a metric, if it exists."""
    with suppress(KeyError):
        metric.remove(*labels)
