"""The routes that score pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from inspector.daemon.address import asked_url
from inspector.daemon.auth import require
from inspector.daemon.body_kind import lost_line_breaks
from inspector.daemon.errors import INVALID_STATUS, Problem
from inspector.daemon.openapi import BATCH_BODY, BATCH_REPLIES, SCORE_BODY, SCORE_REPLIES
from inspector.daemon.schemas import BatchReply, ScoreQuery, ScoreReply
from inspector.daemon.scorer import Answer
from inspector.daemon.service import Service
from inspector.errors import InvalidReason


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to the application."""
    may_score = require(service.keys, "score")

    @app.post(
        "/v1/score",
        dependencies=may_score,
        response_model=ScoreReply,
        responses=SCORE_REPLIES,
        openapi_extra=SCORE_BODY,
        summary="Score one picture",
    )
    async def score(request: Request, query: Annotated[ScoreQuery, Query()]) -> Response:
        """Return the verdict for one picture: the raw body, or the multipart field `image`."""
        uploads = await service.scorer.read(request)
        if len(uploads) > 1:
            raise Problem(
                400,
                "malformed",
                f"the form has {len(uploads)} pictures",
                "send several pictures to /v1/score/batch",
            )
        (answer,) = await service.scorer.score(uploads, query)
        _add_to_log(request, [answer])
        _refuse_undecodable(request, answer)
        headers = {"X-Inspection-Id": str(answer.number)}
        return Response(answer.content, headers=headers, media_type="application/json")

    @app.post(
        "/v1/score/batch",
        dependencies=may_score,
        response_model=BatchReply,
        responses=BATCH_REPLIES,
        openapi_extra=BATCH_BODY,
        summary="Score several pictures",
    )
    async def batch(request: Request, query: Annotated[ScoreQuery, Query()]) -> Response:
        """Return a verdict for each multipart field `image`, in order; a picture at fault is `invalid`."""
        uploads = await service.scorer.read(request)
        answers = await service.scorer.score(uploads, query)
        _add_to_log(request, answers)
        if not uploads[0].is_part and answers[0].inspection.reason is InvalidReason.UNKNOWN_FORMAT:
            _refuse_undecodable(request, answers[0])
        content = b'{"results":[' + b",".join(answer.content for answer in answers) + b"]}"
        return Response(content, media_type="application/json")


def _add_to_log(request: Request, answers: list[Answer]) -> None:
    """Add model and verdicts to the request's log line."""
    model = answers[0].inspection.model
    request.state.log.update(
        model=model.reference, verdicts=[answer.inspection.verdict for answer in answers]
    )


def _refuse_undecodable(request: Request, answer: Answer) -> None:
    """Refuse a request whose picture cannot be decoded; every other picture gets a verdict."""
    reason = answer.inspection.reason
    if reason is None or INVALID_STATUS[reason] == 200:
        return
    if answer.kind is not None:
        hint = f"{answer.kind.advice}: {_curl(request)}"
    elif lost_line_breaks(answer.upload.data, answer.upload.content_type):
        hint = "send the file as it was written; curl -d removes line breaks, curl --data-binary does not"
    else:
        hint = answer.inspection.hint
    headers = {"Accept-Encoding": "identity"} if reason is InvalidReason.UNKNOWN_FORMAT else {}
    raise Problem(INVALID_STATUS[reason], reason, answer.inspection.message or "", hint, headers)


def _curl(request: Request) -> str:
    """Return a command that sends pictures to the route of this request."""
    path = request.scope["path"]
    body = "-F image=@a.png -F image=@b.png" if path.endswith("/batch") else "--data-binary @part.png"
    return f"curl -sS {body} {asked_url(request)}{path}"
