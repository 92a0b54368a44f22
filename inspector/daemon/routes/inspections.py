"""The routes of recent inspections: list, views, judgements, export."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from inspector.daemon.auth import require
from inspector.daemon.errors import Problem
from inspector.daemon.export import zip_judged
from inspector.daemon.openapi import (
    EXPORT_REPLIES,
    JPEG_REPLIES,
    JUDGE_REPLIES,
    RECENT_REPLIES,
    json_body,
)
from inspector.daemon.recent import Entry
from inspector.daemon.rendering import View, render
from inspector.daemon.schemas import InspectionReply, JudgementRequest, RecentQuery, RecentReply
from inspector.daemon.service import Service
from inspector.daemon.uploads import read_json

Number = Annotated[int, Path(ge=1, le=2**53, description="From the header `X-Inspection-Id`.")]


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to the application."""
    _add_list(app, service)
    _add_view(app, service)
    _add_judgements(app, service)


def _add_list(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/inspections",
        dependencies=require(service.keys, "score"),
        responses=RECENT_REPLIES,
        response_description="The inspections.",
        summary="Recent inspections",
    )
    async def recent(query: Annotated[RecentQuery, Query()]) -> RecentReply:
        """List inspections that are new or were judged since a revision, newest first."""
        await service.recent.wait(query.since, query.wait)
        return service.recent.since(query.since)


def _add_view(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/inspections/{number}/views/{view}",
        dependencies=require(service.keys, "score"),
        responses=JPEG_REPLIES,
        response_class=Response,
        summary="One inspection as a picture",
    )
    async def picture(
        number: Number, view: Annotated[View, Path(description="The view to draw.")]
    ) -> Response:
        """Draw the picture, its heatmap, its reconstruction or a thumbnail, as JPEG."""
        entry = _entry(service, number)
        data, inspection = entry.data, entry.inspection
        if data is None or inspection.verdict == "invalid":
            raise Problem(404, "picture_not_kept", f"the picture of inspection {number} is not kept")

        def draw() -> bytes:
            detector = service.registry.get(inspection.model.reference)
            return render(view, data, inspection, detector)

        async with service.rendering:
            content, _ = await service.workers.run(draw)
        return Response(content, media_type="image/jpeg")


def _add_judgements(app: FastAPI, service: Service) -> None:
    @app.put(
        "/v1/inspections/{number}/judgement",
        dependencies=require(service.keys, "score"),
        responses=JUDGE_REPLIES,
        response_description="The inspection with its judgements.",
        openapi_extra=json_body(JudgementRequest),
        summary="Agree or disagree",
    )
    async def judge(number: Number, request: Request) -> InspectionReply:
        """Store an operator's judgement of a verdict; judgements of other operators stay."""
        judgement = await read_json(request, JudgementRequest, timeout_seconds=service.settings.body_seconds)
        entry = _entry(service, number)
        if entry.inspection.verdict == "invalid":
            raise Problem(422, "no_verdict", f"inspection {number} is invalid: there is no verdict to judge")
        service.recent.judge(entry, judgement.operator, agrees=judgement.agrees)
        return entry.reply()

    @app.get(
        "/v1/judgements.zip",
        dependencies=require(service.keys, "admin"),
        responses=EXPORT_REPLIES,
        response_class=Response,
        summary="Judged pictures as folders",
    )
    async def judgements() -> Response:
        """Export judged pictures: `test/good` for calibrate, `test` for evaluate, `disputed` apart."""
        return StreamingResponse(
            zip_judged(service.recent.judged()),
            media_type="application/zip",
            headers={"Content-Disposition": 'attachment; filename="judgements.zip"'},
        )


def _entry(service: Service, number: int) -> Entry:
    """Return a kept inspection."""
    found = service.recent.get(number)
    if found is None:
        raise Problem(404, "inspection_not_found", f"inspection {number} is not kept", "see /v1/inspections")
    return found
