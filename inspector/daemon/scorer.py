"""Scores the pictures of a request in the worker threads."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from fastapi import Request

from inspector.daemon.body_kind import BodyKind, body_kind
from inspector.daemon.drift_monitor import DriftMonitor
from inspector.daemon.errors import Problem
from inspector.daemon.metrics import Metrics
from inspector.daemon.recent import RecentInspections
from inspector.daemon.schemas import EncodedMap, MapFormat, ScoreQuery
from inspector.daemon.uploads import Upload, read_uploads
from inspector.daemon.workers import QueueFullError, Workers
from inspector.errors import InvalidReason
from inspector.imaging.encode import encode_png
from inspector.scoring.detector import Detector
from inspector.scoring.inspection import Inspection
from inspector.scoring.registry import ModelRegistry
from inspector.settings import ServeSettings

UPLOADS_PER_SLOT = 2  # request bodies that may arrive at once, for each slot of the queue
MAX_ANSWER_BYTES = 256_000_000  # of a batch: once they are exceeded, no further picture is scored


@dataclass(frozen=True)
class Answer:
    """One scored picture.

    Attributes
    ----------
    inspection : Inspection
        Without pixels.
    content : bytes
        The JSON to send.
    number : int
        The number of the inspection.
    upload : Upload
        The body, or the part of a form, that was scored.
    kind : BodyKind or None
        The kind of an upload that is no picture; None if it is a picture, or of no known kind.
    """

    inspection: Inspection
    content: bytes
    number: int
    upload: Upload
    kind: BodyKind | None


class Scorer:
    """Reads pictures from requests and scores them.

    Parameters
    ----------
    settings : ServeSettings
        Limits on bodies; a reload replaces them.
    registry : ModelRegistry
        Opens the models.
    workers : Workers
        Run the scoring.
    recent : RecentInspections
        Keeps each inspection.
    drift : DriftMonitor
        Collects the latent of each picture.
    metrics : Metrics
        Count each inspection.
    """

    def __init__(
        self,
        settings: ServeSettings,
        registry: ModelRegistry,
        workers: Workers,
        recent: RecentInspections,
        drift: DriftMonitor,
        metrics: Metrics,
    ) -> None:
        self.settings, self._registry, self._workers = settings, registry, workers
        self._recent, self._drift, self._metrics = recent, drift, metrics
        self._uploading = 0

    async def read(self, request: Request) -> list[Upload]:
        """Read the pictures of a request.

        Raises
        ------
        QueueFullError
            The queue is full, or too many bodies are arriving.
        Problem
            The body cannot be read; see `read_uploads`.
        """
        self._workers.check()
        if self._uploading >= UPLOADS_PER_SLOT * self._workers.capacity:
            raise QueueFullError(1)
        self._uploading += 1
        try:
            return await read_uploads(
                request,
                max_bytes=self.settings.max_bytes,
                timeout_seconds=self.settings.body_seconds,
            )
        finally:
            self._uploading -= 1

    async def score(self, uploads: list[Upload], query: ScoreQuery) -> list[Answer]:
        """Score pictures one after the other; the whole request holds one slot of the queue."""
        with self._workers.slot():
            answers: list[Answer] = []
            for upload in uploads:
                if sum(len(answer.content) for answer in answers) > MAX_ANSWER_BYTES:
                    raise Problem(
                        413,
                        "too_large",
                        f"the maps of {len(answers)} of {len(uploads)} pictures already have more than "
                        f"{MAX_ANSWER_BYTES} bytes",
                        "send fewer pictures at once, or ask for map=png",
                    )
                answers.append(await self._score_upload(upload, query))
        return answers

    async def _score_upload(self, upload: Upload, query: ScoreQuery) -> Answer:
        """Score one picture in a worker thread, then count and keep the inspection."""
        job = partial(self._inspect, upload, query)
        (inspection, content, kind), waited_seconds = await self._workers.run(job)
        self._metrics.count(inspection, waited_seconds)
        return Answer(inspection, content, self._recent.add(inspection, upload.data), upload, kind)

    def _inspect(self, upload: Upload, query: ScoreQuery) -> tuple[Inspection, bytes, BodyKind | None]:
        """Score one picture; return its inspection, its JSON, and the kind of an upload that is no picture.

        The inspection comes without pixels, so that a large batch needs little memory.
        """
        detector = self._registry.get(query.model)
        inspection = detector.score(upload.data, upload.name)
        if inspection.latent is not None:
            self._drift.add(detector, inspection.latent)
        kind = None
        if inspection.reason is InvalidReason.UNKNOWN_FORMAT:
            kind = body_kind(upload.data, upload.content_type, upload.content_encoding)
        if kind is not None:
            message = f"{upload.title} is {kind.name}; PNG, JPEG, WebP, BMP and TIFF files are read"
            inspection = replace(inspection, message=message)
        record = inspection.record()
        if query.map is MapFormat.NONE:
            content = record.model_dump_json()
        else:
            encoded = encode_map(detector, inspection, query.map)
            fields = {"map": None if encoded is None else encoded.model_dump()}
            content = json.dumps(record.model_dump(mode="json") | fields)
        return inspection.without_pixels(), content.encode(), kind


def encode_map(detector: Detector, inspection: Inspection, format_: MapFormat) -> EncodedMap | None:
    """Encode the anomaly map in the picture's own size; None if the inspection is invalid.

    `npy` holds float32.  `png` is grey: black is 0 or less, white is the model's `map_ceiling` or more.
    """
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
    return EncodedMap(format=format_.value, data=base64.b64encode(data).decode("ascii"))
