"""The routes that describe the API: OpenAPI for programs, a page for people."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from inspector.daemon.address import asked_url
from inspector.daemon.auth import require
from inspector.daemon.docs_page import docs_page
from inspector.daemon.openapi import describe
from inspector.daemon.service import Service


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to the application."""
    may_score = require(service.keys, "score")

    @app.get("/openapi.json", dependencies=may_score, include_in_schema=False)
    async def openapi(request: Request) -> dict[str, Any]:
        """Return the OpenAPI description."""
        return describe(request.app)

    @app.get("/docs", dependencies=may_score, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        """Return the description as a page that needs no network."""
        return HTMLResponse(docs_page(describe(request.app), asked_url(request)))
