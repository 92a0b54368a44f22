"""The routes that describe models."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path
from fastapi.responses import Response

from inspector.bundle import golden
from inspector.daemon.auth import require
from inspector.daemon.errors import Problem
from inspector.daemon.openapi import MODEL_REPLIES, MODELS_REPLIES, PNG_REPLIES
from inspector.daemon.schemas import ModelCard, ModelReply
from inspector.daemon.service import Service

_NAMES = {"description": "`NAME` or `NAME@VERSION`.", "examples": ["tiles", "tiles@1"]}
ModelName = Annotated[str, Path(**_NAMES)]
LimitedModelName = Annotated[str, Path(max_length=100, **_NAMES)]
SampleNumber = Annotated[int, Path(ge=0, le=1000, description="From 0; the card has their number.")]


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to the application."""
    may_score = require(service.keys, "score")

    @app.get(
        "/v1/models",
        dependencies=may_score,
        responses=MODELS_REPLIES,
        response_description="The models.",
        summary="Opened models",
    )
    async def models() -> list[ModelReply]:
        """List the opened models, by name and version."""
        return [ModelReply.of(detector, service.registry.default) for detector in service.registry.opened()]

    @app.get(
        "/v1/models/{name}",
        dependencies=may_score,
        responses=MODEL_REPLIES,
        response_description="The model.",
        summary="One model",
    )
    async def model(name: ModelName) -> ModelReply:
        """Describe `NAME` or `NAME@VERSION`, opening it if necessary."""
        return ModelReply.of(await service.open_model(name), service.registry.default)

    @app.get(
        "/v1/models/{name}/card",
        dependencies=may_score,
        responses=MODEL_REPLIES,
        response_description="The card.",
        summary="A model's card",
    )
    async def card(name: LimitedModelName) -> ModelCard:
        """Return how a model was made, its promise, and the drift of its recent pictures."""
        detector = await service.open_model(name)
        return ModelCard(
            manifest=detector.manifest,
            calibration=detector.calibration,
            samples=len(golden.image_names(detector.bundle)),
            drift=service.drift.outcomes(detector.model.name),
        )

    @app.get(
        "/v1/models/{name}/samples/{number}",
        dependencies=may_score,
        responses=PNG_REPLIES,
        response_class=Response,
        summary="A sample picture",
    )
    async def sample(name: LimitedModelName, number: SampleNumber) -> Response:
        """Return a golden picture of the model as PNG: good ones, and a last one with synthetic defects."""
        detector = await service.open_model(name)
        names = golden.image_names(detector.bundle)
        if number >= len(names):
            raise Problem(404, "sample_not_found", f"{name} has {len(names)} samples", "numbers start at 0")
        return Response((detector.bundle.path / names[number]).read_bytes(), media_type="image/png")
