"""What the routes share: models, threads, metrics and drift, and the scoring of uploads."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from threading import Event, Lock, Thread

import numpy as np
from fastapi import Request

from inspector.daemon.auth import Keys
from inspector.daemon.drift_watch import DriftWatch
from inspector.daemon.errors import Problem, code_of
from inspector.daemon.history import History
from inspector.daemon.logging import say
from inspector.daemon.metrics import RELOADS, Metrics
from inspector.daemon.uploads import Upload, read_uploads
from inspector.daemon.workers import Engine, FullError
from inspector.drift import MmdTest
from inspector.errors import InspectorError
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import Detector
from inspector.scoring.inspection import Inspection
from inspector.scoring.registry import ModelRegistry, Outcome
from inspector.settings import ServeSettings
from inspector.types import ModelId

WATCH_SECONDS = 0.25  # a promotion is seen within two seconds
UPLOADS_PER_PLACE = 2  # bodies that may arrive at once, for each place in the queue
MOST_ANSWER_BYTES = 256_000_000  # of a batch, before its last picture


class MapFormat(StrEnum):
    """Values of `?map=`."""

    NONE = "none"
    PNG = "png"
    NPY = "npy"


@dataclass(frozen=True)
class Answer:
    """One scored picture, already as JSON and without its pixels, and its number in the history."""

    inspection: Inspection
    content: bytes
    number: int = 0


class Service:
    """All that the routes share.

    Parameters
    ----------
    settings : ServeSettings
    keys : Keys
        None of them means that everything is open.
    """

    def __init__(self, settings: ServeSettings, keys: Keys) -> None:
        self.settings, self.keys = settings, keys
        self.engine = Engine(settings.workers, settings.queue_size)
        self.metrics: Metrics
        self.registry = ModelRegistry(
            settings, settings.model, max_bytes=settings.max_model_bytes, listener=self._heard
        )
        self.drawing = asyncio.Semaphore(self.engine.workers)  # pictures of the console: scoring goes first
        self.uploads = 0
        self.draining = False
        self.drift = DriftWatch(self._note_drift)
        self.history = History()
        self._stop, self._showing = Event(), Lock()
        self._watcher = Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look after the models."""
        self._watcher.start()
        self.drift.start()

    def drain(self) -> None:
        """Begin to end: not ready any more, and nobody waits for news."""
        self.draining = True
        self.history.close()

    def stop(self) -> None:
        """End after the work that was accepted."""
        self._stop.set()
        self._watcher.join()
        self.drift.stop()
        self.engine.close()

    def _watch(self) -> None:
        while True:
            try:
                self.registry.refresh()
                self._show_models()
            except Exception:  # this thread has to outlive whatever happens to the disk
                logging.getLogger("inspector.daemon").exception("the store could not be looked at")
            if self._stop.wait(WATCH_SECONDS):
                return

    def _heard(self, result: Outcome, detector: Detector | None, error: InspectorError | None) -> None:
        """Tell the log and the metrics what became of a model."""
        if result in RELOADS:
            self.metrics.reloads.labels(result).inc()
        if detector is not None:
            self._show_models()
            event = "model opened" if result == "ok" else "model removed"
            say(
                event,
                model=detector.model.name,
                version=detector.model.version,
                precision=detector.precision,
                int8_problem=detector.int8_problem,
            )
        elif error is not None:
            say(
                "model refused",
                logging.ERROR,
                code=code_of(type(error)),
                reason=error.message,
                hint=error.hint,
            )

    def _show_models(self) -> None:
        with self._showing:  # several threads do
            self.metrics.set_models(self.registry.opened(), self.registry.by_name(), self.registry.has)

    def _note_drift(self, model: ModelId, outcome: MmdTest) -> None:
        with self._showing:
            self.metrics.note_drift(model, outcome.statistic, outcome.p_value)
        if outcome.drifted:
            say(
                "drift",
                logging.WARNING,
                model=model.name,
                version=model.version,
                p_value=outcome.p_value,
                statistic=outcome.statistic,
            )

    # --- scoring ----------------------------------------------------------------------------

    async def uploads_of(self, request: Request) -> list[Upload]:
        """Read a request's pictures, unless there is no room for them."""
        self.engine.check()
        if self.uploads >= UPLOADS_PER_PLACE * self.engine.capacity:
            raise FullError(1)
        self.uploads += 1
        try:
            return await read_uploads(
                request, max_bytes=self.settings.max_bytes, seconds=self.settings.body_seconds
            )
        finally:
            self.uploads -= 1

    async def score(self, uploads: list[Upload], model: str | None, map_: MapFormat) -> list[Answer]:
        """Score pictures one after the other; the whole request holds one place."""
        with self.engine.place():
            answers: list[Answer] = []
            for upload in uploads:
                if sum(len(answer.content) for answer in answers) > MOST_ANSWER_BYTES:
                    raise Problem(
                        413,
                        "too_large",
                        f"the maps of {len(answers)} of {len(uploads)} pictures have more than "
                        f"{MOST_ANSWER_BYTES} bytes already",
                        "send fewer at once, or ask for map=png",
                    )
                answer, waited = await self.engine.run(partial(self._score, upload, model, map_))
                self.metrics.count(answer.inspection, waited)
                number = self.history.add(answer.inspection, upload.data)
                answers.append(replace(answer, number=number))
        return answers

    def _score(self, upload: Upload, model: str | None, map_: MapFormat) -> Answer:
        detector = self.registry.get(model)
        inspection = detector.score(upload.data, upload.name)
        if inspection.latent is not None:
            self.drift.add(detector, inspection.latent)
        record = inspection.record()
        if map_ is MapFormat.NONE:
            content = record.model_dump_json()
        else:
            map_of_it = encoded_map(detector, inspection, map_)
            content = json.dumps(record.model_dump(mode="json") | {"map": map_of_it})
        return Answer(inspection.without_pixels(), content.encode())  # a batch would hold all of them


def encoded_map(detector: Detector, inspection: Inspection, format_: MapFormat) -> dict[str, str] | None:
    """The map in the picture's own pixels: float32 as npy, or grey from 0 to the model's ceiling as PNG."""
    anomaly_map = inspection.anomaly_map
    if anomaly_map is None:
        return None
    if format_ is MapFormat.NPY:
        buffer = io.BytesIO()
        np.save(buffer, anomaly_map, allow_pickle=False)
        data = buffer.getvalue()
    else:
        grey = np.clip(anomaly_map * (255 / detector.calibration.map_ceiling), 0, 255).astype(np.uint8)
        data = encode_png(np.repeat(grey[..., np.newaxis], 3, axis=2))
    return {"format": format_.value, "data": base64.b64encode(data).decode("ascii")}
