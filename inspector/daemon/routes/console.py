"""The routes of the console: the page, recent inspections, what operators say of them, model cards."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field, StrictBool

from inspector.bundle import golden
from inspector.bundle.records import Calibration, Manifest
from inspector.daemon.access import allowed
from inspector.daemon.drawing import View, render
from inspector.daemon.drift_watch import DriftOutcome
from inspector.daemon.errors import Problem
from inspector.daemon.history import Entry, InspectionReply, RecentReply, export
from inspector.daemon.openapi import (
    EXPORT_REPLIES,
    INSPECTION_REPLIES,
    JPEG_REPLIES,
    JUDGE_REPLIES,
    MODEL_REPLIES,
    PNG_REPLIES,
    json_body,
)
from inspector.daemon.service import Service
from inspector.daemon.uploads import read_record
from inspector.scoring.detector import Detector
from inspector.types import Record

PAGE = {"/": "page.html", "/console/style.css": "style.css", "/console/script.js": "script.js"}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LONGEST_WAIT = 25.0  # seconds, below what proxies cut off

Number = Annotated[int, Path(ge=1, le=2**53, description="Of `X-Inspection-Id`.")]
ModelName = Annotated[str, Path(max_length=100, examples=["tiles", "tiles@1"])]


class Word(Record):
    """What one operator says of a verdict; null takes it back."""

    operator: str = Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")
    agrees: StrictBool | None


class Card(Record):
    """All that is known of a model, and the latest drift tests of its pictures."""

    manifest: Manifest
    calibration: Calibration
    samples: int = Field(description="golden pictures of /v1/models/{name}/samples/{number}, from 0")
    drift: tuple[DriftOutcome, ...]


def add_console(app: FastAPI, service: Service) -> None:
    """Add the page and the routes that it is made of."""
    _add_page(app)
    _add_inspections(app, service)
    _add_cards(app, service)


def _add_page(app: FastAPI) -> None:
    """The page itself holds no data, so it needs no key: it asks for one where the routes do."""

    def add(path: str, file: str) -> None:
        content = files("inspector").joinpath("console", file).read_bytes()
        kind = TYPES[file.rpartition(".")[2]]

        @app.get(path, include_in_schema=False)
        async def page() -> Response:
            return Response(content, headers={"Content-Security-Policy": POLICY}, media_type=kind)

    for path, file in PAGE.items():
        add(path, file)


def _add_inspections(app: FastAPI, service: Service) -> None:
    may_look, may_export = allowed(service, scope="score"), allowed(service, scope="admin")
    history = service.history

    def entry_of(number: int) -> Entry:
        found = history.get(number)
        if found is None:
            raise Problem(
                404, "inspection_not_found", f"inspection {number} is not kept", "see /v1/inspections"
            )
        return found

    @app.get(
        "/v1/inspections", dependencies=[may_look], responses=INSPECTION_REPLIES, summary="Recent inspections"
    )
    async def recent(
        since: Annotated[int, Query(ge=0, le=2**53, description="A revision that is known already.")] = 0,
        wait: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for something new.")
        ] = 0,
    ) -> RecentReply:
        """List inspections that are new or were judged since a revision, the newest first."""
        await history.wait(since, wait)
        return history.since(since)

    @app.get(
        "/v1/inspections/{number}/views/{view}",
        dependencies=[may_look],
        responses=JPEG_REPLIES,
        response_class=Response,
        summary="One inspection as a picture",
    )
    async def picture(number: Number, view: View) -> Response:
        """Draw the picture, its heatmap, its reconstruction or a thumbnail, as JPEG."""
        entry = entry_of(number)
        data, inspection = entry.data, entry.inspection
        if data is None or inspection.verdict == "invalid":
            raise Problem(404, "picture_not_kept", f"the picture of inspection {number} is not kept")

        def draw() -> bytes:
            detector = service.registry.get(f"{inspection.model.name}@{inspection.model.version}")
            return render(view, data, inspection, detector)

        async with service.drawing:
            content, _ = await service.engine.run(draw)
        return Response(content, media_type="image/jpeg")

    @app.put(
        "/v1/inspections/{number}/judgement",
        dependencies=[may_look],
        responses=JUDGE_REPLIES,
        openapi_extra=json_body(Word),
        summary="Agree or disagree",
    )
    async def judge(number: Number, request: Request) -> InspectionReply:
        """Note whether an operator agrees with a verdict; what others said stays beside it."""
        word = await read_record(request, Word, seconds=service.settings.body_seconds)
        entry = entry_of(number)
        if entry.inspection.verdict == "invalid":
            raise Problem(422, "no_verdict", f"inspection {number} is invalid: there is no verdict to judge")
        history.judge(entry, word.operator, agrees=word.agrees)
        return entry.reply()

    @app.get(
        "/v1/judgements.zip",
        dependencies=[may_export],
        responses=EXPORT_REPLIES,
        response_class=Response,
        summary="Judged pictures as folders",
    )
    async def judgements() -> Response:
        """Pack what operators judged: `test/good` for calibrate, `test` for evaluate, `disputed` apart."""
        return StreamingResponse(
            export(history.judged()),
            media_type="application/zip",
            headers={"Content-Disposition": 'attachment; filename="judgements.zip"'},
        )


def _add_cards(app: FastAPI, service: Service) -> None:
    may_look = allowed(service, scope="score")

    async def opened(name: str) -> Detector:
        with service.engine.place():
            detector, _ = await service.engine.run(lambda: service.registry.get(name))
        return detector

    @app.get(
        "/v1/models/{name}/card", dependencies=[may_look], responses=MODEL_REPLIES, summary="A model's card"
    )
    async def card(name: ModelName) -> Card:
        """Tell how a model was made, what it promises, and how its pictures drift."""
        detector = await opened(name)
        return Card(
            manifest=detector.manifest,
            calibration=detector.calibration,
            samples=len(golden.samples(detector.bundle)),
            drift=service.drift.outcomes(detector.model.name),
        )

    @app.get(
        "/v1/models/{name}/samples/{number}",
        dependencies=[may_look],
        responses=PNG_REPLIES,
        response_class=Response,
        summary="A picture to try",
    )
    async def sample(name: ModelName, number: Annotated[int, Path(ge=0, le=1000)]) -> Response:
        """Give a golden picture of the model as PNG: good ones, and a last one with synthetic defects."""
        detector = await opened(name)
        names = golden.samples(detector.bundle)
        if number >= len(names):
            raise Problem(404, "sample_not_found", f"{name} has {len(names)} samples", "they count from 0")
        return Response((detector.bundle.path / names[number]).read_bytes(), media_type="image/png")
