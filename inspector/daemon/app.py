"""Assembles the application: routes, error handlers, middleware and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request

from inspector import __version__
from inspector.daemon.errors import INTERNAL, Problem, add_error_handlers, code_of
from inspector.daemon.middleware import RequestMiddleware
from inspector.daemon.openapi import ERRORS
from inspector.daemon.origins import OriginsMiddleware
from inspector.daemon.routes import console, docs, health, inspections, models, scoring
from inspector.daemon.service import Service
from inspector.errors import InspectorError, error_classes
from inspector.imaging.files import printable


def create_app(service: Service) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    service : Service
        Started and stopped with the application.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="inspector",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(_refuse_repeated)],
        redirect_slashes=False,  # behind a proxy such a redirect would lead elsewhere
        servers=[{"url": ".", "description": "This daemon, also behind the path of a proxy."}],
        lifespan=lifespan,
    )
    for group in (scoring, models, health, docs, inspections):
        group.add_routes(app, service)
    console.add_routes(app)
    _add_middleware(app, service)
    return app


async def _refuse_repeated(request: Request) -> None:
    """Refuse a query that gives a parameter twice: it is not clear which of the values is meant."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        if count > 1:
            given = f"the parameter '{printable(name[:40])}' is given {count} times"
            raise Problem(400, "malformed", given, "give it once")


def _add_middleware(app: FastAPI, service: Service) -> None:
    """Count answers and errors, from 0; let pages of the allowed origins in."""
    metrics = service.metrics
    codes = {code_of(kind) for kind in error_classes(InspectorError)} | set(ERRORS)
    metrics.start_at_zero([str(getattr(route, "path", "")) for route in app.routes], sorted(codes))
    add_error_handlers(app, lambda code: metrics.errors.labels(code).inc(), service.workers)
    app.add_middleware(
        RequestMiddleware,
        count=lambda route, status: metrics.requests.labels(route, str(status)).inc(),
        failed=metrics.errors.labels(INTERNAL).inc,
    )
    if service.settings.allowed_origins:  # outermost, so that unexpected errors have its headers, too
        app.add_middleware(OriginsMiddleware, origins=service.settings.allowed_origins)
