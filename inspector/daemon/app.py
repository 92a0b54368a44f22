"""The application: routes over the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from inspector import __version__
from inspector.daemon.access import allowed
from inspector.daemon.errors import INVALID_STATUS, Problem, code_of, problem_of
from inspector.daemon.metrics import CONTENT_TYPE, Metrics
from inspector.daemon.middleware import INTERNAL, Edge
from inspector.daemon.openapi import (
    BATCH_BODY,
    BATCH_REPLIES,
    ERRORS,
    MODEL_REPLIES,
    READY_REPLIES,
    SCORE_BODY,
    SCORE_REPLIES,
    BatchReply,
    ModelReply,
    Reply,
    docs_page,
)
from inspector.daemon.routes.console import add_console
from inspector.daemon.service import Answer, MapFormat, Service
from inspector.daemon.workers import FullError
from inspector.errors import InspectorError, error_classes
from inspector.scoring.inspection import Inspection

TITLE = "inspector"


ModelQuery = Annotated[
    str | None,
    Query(
        description="NAME or NAME@VERSION; the current model without it.",
        max_length=100,
        examples=["tiles", "tiles@1"],
    ),
]
MapQuery = Annotated[
    MapFormat, Query(description="Add the anomaly map, in the picture's own pixels, as base64.")
]


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
        title=TITLE, version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    _add_errors(app, service)
    _add_scoring(app, service)
    _add_state(app, service)
    add_console(app, service)
    routes = [str(getattr(route, "path", "")) for route in app.routes]
    codes = sorted({code_of(kind) for kind in error_classes(InspectorError)} | set(ERRORS))
    service.metrics = Metrics(codes, routes, lambda: service.engine.waiting)
    requests, failed = service.metrics.requests, service.metrics.errors.labels(INTERNAL)
    app.add_middleware(
        Edge, count=lambda route, status: requests.labels(route, str(status)).inc(), failed=failed.inc
    )
    return app


def _add_errors(app: FastAPI, service: Service) -> None:
    def answer(problem: Problem) -> Response:
        service.metrics.errors.labels(problem.code).inc()
        return problem.response()

    @app.exception_handler(Problem)
    async def _problem(_request: Request, exc: Problem) -> Response:
        return answer(exc)

    @app.exception_handler(InspectorError)
    async def _ours(_request: Request, exc: InspectorError) -> Response:
        return answer(problem_of(exc))

    @app.exception_handler(FullError)
    async def _full(_request: Request, exc: FullError) -> Response:
        wait = str(exc.retry_after_seconds)
        text = f"all {service.engine.capacity} places are taken"
        return answer(Problem(503, "full", text, f"try again in {wait} s", {"Retry-After": wait}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, exc: RequestValidationError) -> Response:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(Problem(400, "malformed", f"{where}: {first['msg']}", "see /docs"))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, exc: HTTPException) -> Response:
        code = {404: "no_route", 405: "method_not_allowed"}.get(exc.status_code, "malformed")
        return answer(Problem(exc.status_code, code, str(exc.detail), "see /docs", exc.headers))


async def _known_parameters(request: Request) -> None:
    """Refuse what scoring does not know: a mistyped `model` would be scored by another one."""
    if strange := sorted(set(request.query_params) - {"model", "map"}):
        raise Problem(400, "malformed", f"there is no parameter {strange[0]!r}", "there are model and map")


def _add_scoring(app: FastAPI, service: Service) -> None:
    may_score = [allowed(service, scope="score"), Depends(_known_parameters)]

    @app.post(
        "/v1/score",
        dependencies=may_score,
        response_model=Reply,
        responses=SCORE_REPLIES,
        openapi_extra=SCORE_BODY,
        summary="Score one picture",
    )
    async def score(request: Request, model: ModelQuery = None, map: MapQuery = MapFormat.NONE) -> Response:  # noqa: A002
        """Give a verdict for one picture: the raw body, or the multipart field `image`."""
        uploads = await service.uploads_of(request)
        if len(uploads) > 1:
            raise Problem(
                400, "malformed", f"{len(uploads)} pictures were sent", "send several to /v1/score/batch"
            )
        (answer,) = await service.score(uploads, model, map)
        _note(request, [answer])
        _raise_if_unreadable(answer.inspection)
        headers = {"X-Inspection-Id": str(answer.number)}  # of /v1/inspections
        return Response(answer.content, headers=headers, media_type="application/json")

    @app.post(
        "/v1/score/batch",
        dependencies=may_score,
        response_model=BatchReply,
        responses=BATCH_REPLIES,
        openapi_extra=BATCH_BODY,
        summary="Score several pictures",
    )
    async def batch(request: Request, model: ModelQuery = None, map: MapQuery = MapFormat.NONE) -> Response:  # noqa: A002
        """Give a verdict for each multipart field `image`, in order; a bad one is `invalid`."""
        uploads = await service.uploads_of(request)
        answers = await service.score(uploads, model, map)
        _note(request, answers)
        content = b'{"results":[' + b",".join(answer.content for answer in answers) + b"]}"
        return Response(content, media_type="application/json")


def _note(request: Request, answers: list[Answer]) -> None:
    """Put what was found into the request's log line."""
    model = answers[0].inspection.model
    request.state.log.update(
        model=f"{model.name}@{model.version}", verdicts=[answer.inspection.verdict for answer in answers]
    )


def _raise_if_unreadable(inspection: Inspection) -> None:
    """Refuse a request whose picture cannot be decoded; every other picture gets a verdict."""
    if inspection.reason is None or INVALID_STATUS[inspection.reason] == 200:
        return
    raise Problem(
        INVALID_STATUS[inspection.reason],
        inspection.reason,
        inspection.message or "",
        "send a PNG, JPEG, WebP, BMP or TIFF file as it was written",
    )


def _add_state(app: FastAPI, service: Service) -> None:
    may_score = allowed(service, scope="score")
    may_scrape = allowed(service, scope="score", is_open=lambda: service.settings.metrics_open)

    @app.get("/v1/models", dependencies=[may_score], responses=MODEL_REPLIES, summary="Models in memory")
    async def models() -> list[ModelReply]:
        """List the models that are in memory, by name and version."""
        return [ModelReply.of(detector, service.registry.default) for detector in service.registry.opened()]

    @app.get("/v1/models/{name}", dependencies=[may_score], responses=MODEL_REPLIES, summary="One model")
    async def model(name: Annotated[str, Path(examples=["tiles", "tiles@1"])]) -> ModelReply:
        """Describe `NAME` or `NAME@VERSION`; it is opened if it is not in memory yet."""
        with service.engine.place():
            detector, _ = await service.engine.run(lambda: service.registry.get(name))
        return ModelReply.of(detector, service.registry.default)

    @app.get("/livez", summary="Alive")
    async def livez() -> dict[str, str]:
        """Answer while the process can answer."""
        return {"status": "alive"}

    @app.get("/readyz", summary="Ready", responses=READY_REPLIES)
    async def readyz() -> dict[str, str]:
        """Answer 200 only after the golden images of the model reproduced their scores."""
        if service.draining or service.registry.default is None:
            error = service.registry.problem
            text = "it is going down" if service.draining else error.message if error else "it is starting"
            raise Problem(503, "not_ready", text, error.hint if error else "", {"Retry-After": "1"})
        return {"status": "ready"}

    @app.get("/metrics", dependencies=[may_scrape], include_in_schema=False)
    async def metrics() -> Response:
        """Prometheus text."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/openapi.json", dependencies=[may_score], include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        """Describe the routes."""
        return app.openapi()

    @app.get("/docs", dependencies=[may_score], include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Show the description as a page that needs no network."""
        return HTMLResponse(docs_page(app.openapi()))
