"""The routes for orchestrators and Prometheus: alive, ready, metrics."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import Response

from inspector.daemon.auth import require
from inspector.daemon.errors import Problem
from inspector.daemon.metrics import CONTENT_TYPE
from inspector.daemon.openapi import ALIVE_REPLIES, READY_REPLIES
from inspector.daemon.service import Service


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to the application."""
    may_scrape = [] if service.settings.metrics_open else require(service.keys, "score")

    @app.get("/livez", summary="Alive", responses=ALIVE_REPLIES, response_description="It is alive.")
    async def livez() -> dict[str, str]:
        """Answer 200 while the process can answer."""
        return {"status": "alive"}

    @app.get("/readyz", summary="Ready", responses=READY_REPLIES, response_description="It is ready.")
    async def readyz() -> dict[str, str]:
        """Answer 200 once the model has reproduced the scores of its golden images."""
        if not service.is_ready:
            error = service.registry.problem
            detail = (
                "the daemon is shutting down"
                if service.draining
                else error.message
                if error
                else "the daemon is starting"
            )
            raise Problem(503, "not_ready", detail, error.hint if error else "", {"Retry-After": "1"})
        return {"status": "ready"}

    @app.get("/metrics", dependencies=may_scrape, include_in_schema=False)
    async def metrics() -> Response:
        """Return the metrics as Prometheus text."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)
