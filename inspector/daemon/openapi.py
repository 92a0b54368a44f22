"""Parts of the OpenAPI description that FastAPI cannot derive: bodies, answers, errors, examples."""

from __future__ import annotations

from typing import Any

from inspector.daemon.errors import INTERNAL, Problem
from inspector.daemon.schemas import ProblemReply
from inspector.types import Record

_TYPES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")


EXAMPLE: dict[str, Any] = {
    "path": "part.png",
    "verdict": "fail",
    "score": 5.2,
    "threshold": 3.2,
    "p_value": 0.0049,
    "components": {"reconstruction": 4.0, "latent_mmd": 6.4},  # names depend on the model
    "regions": [
        {"x": 120, "y": 88, "width": 31, "height": 12, "area_pixels": 240, "peak": 9.2, "above_limit": True}
    ],
    "model": {"name": "tiles", "version": 3, "digest": "sha256:" + 8 * "0f1e2d3c"},
    "image": {
        "width": 640,
        "height": 480,
        "bits": 8,
        "full_scale": 255,
        "clipped_pixels": 0,
        "model_pixel": {"width": 2.5, "height": 1.875},
    },
    "milliseconds": {"decode": 2.1, "infer": 8.7, "decide": 0.3},
    "reason": None,
    "remarks": [],
    "unfamiliar": False,
}


def _found(example: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": "The verdict.",
        "content": {"application/json": {"example": example}},
    }


def _problem(status: int, code: str, text: str, detail: str, hint: str) -> dict[str, Any]:
    example = Problem(status, code, detail, hint).content()
    reference = {"$ref": "#/components/schemas/ProblemReply"}
    return {
        "description": text,
        "content": {"application/problem+json": {"schema": reference, "example": example}},
    }


# status, code, meaning; detail and hint of the example
_ERRORS = (
    (400, "malformed", "The request is malformed.", "the form has no part 'image'; its parts: 'file'",
     "name the picture's part 'image', as curl -F image=@part.png does"),
    (400, "empty", "The body is empty.", "the body is empty",
     "send a picture, as curl --data-binary @part.png does"),
    (400, "disconnected", "The client disconnected.",
     "the client disconnected before the body was complete", ""),
    (401, "unauthorized", "The key is missing or unknown.", "the header Authorization holds no known key",
     "send 'Authorization: Bearer KEY'"),
    (403, "forbidden", "The key has another scope.", "the key has the scope 'score'",
     "use a key with 'admin'"),
    (404, "no_route", "There is no such route.", "there is no route /v1/score/", "ask for /v1/score"),
    (404, "model_not_found", "There is no such model.", "there is no model 'screws'", "known are: tiles"),
    (404, "inspection_not_found", "The inspection is not kept.", "inspection 7 is not kept",
     "see /v1/inspections"),
    (404, "sample_not_found", "The model has fewer samples.", "tiles has 3 samples", "numbers start at 0"),
    (404, "picture_not_kept", "The picture is not kept or cannot be shown.",
     "the picture of inspection 7 is not kept", ""),
    (405, "method_not_allowed", "The route takes another method.", "GET is not allowed on /v1/score",
     "send POST"),
    (408, "request_timeout", "The body took too long.", "the body did not arrive within 30 s",
     "send it faster, or raise INSPECTOR_BODY_SECONDS"),
    (413, "too_large", "The body has too many bytes, or the picture too many pixels.",
     "the body has more than 100000000 bytes", "send a smaller file, or raise INSPECTOR_MAX_BYTES"),
    (415, "unknown_format", "The bytes are not of a supported image type.",
     "the body is base64 text; PNG, JPEG, WebP, BMP and TIFF files are read",
     "decode the base64 text, and send the bytes: "
     "curl -sS --data-binary @part.png http://127.0.0.1:8080/v1/score"),
    (422, "truncated", "The picture is incomplete or damaged.", "the picture is damaged",
     "send a PNG, JPEG, WebP, BMP or TIFF file as it was written"),
    (422, "no_verdict", "There is no verdict to judge.",
     "inspection 7 is invalid: there is no verdict to judge", ""),
    (500, INTERNAL, "An unexpected error occurred.", "an unexpected error occurred",
     "look for the request id in the daemon's log"),
    (503, "full", "The queue is full; Retry-After says when to try again.",
     "the queue is full: 66 requests are being handled", "try again in 1 s"),
    (503, "not_ready", "No model is verified yet, or the daemon is shutting down.",
     "the daemon is starting", ""),
)  # fmt: skip
ERRORS = {code: _problem(status, code, *texts) for status, code, *texts in _ERRORS}

_MODEL: dict[str, Any] = {"model": ProblemReply}
_OF_MODELS = ("malformed", "unauthorized", "forbidden", "model_not_found", "full")
_OF_INSPECTIONS = ("malformed", "unauthorized", "forbidden", "inspection_not_found", "full")
_OF_PICTURES = (*_OF_MODELS, "request_timeout", "too_large", "unknown_format", "truncated")


def _replies(codes: tuple[str, ...]) -> dict[int | str, dict[str, Any]]:
    return {status: _MODEL | ERRORS[code] for status, code, *_ in _ERRORS if code in codes}


MODEL_REPLIES = _replies(_OF_MODELS)
READY_REPLIES = _replies(("not_ready",))
SCORE_REPLIES = {200: _found(EXAMPLE), **_replies(_OF_PICTURES)}
INSPECTION_REPLIES = _replies(_OF_INSPECTIONS)
JUDGE_REPLIES = _replies((*_OF_INSPECTIONS, "request_timeout", "too_large", "no_verdict"))
PNG_REPLIES = {200: {"description": "PNG.", "content": {"image/png": {}}}, **MODEL_REPLIES}
JPEG_REPLIES = {200: {"description": "JPEG.", "content": {"image/jpeg": {}}}, **INSPECTION_REPLIES}
EXPORT_REPLIES = {
    200: {"description": "A ZIP file.", "content": {"application/zip": {}}},
    **_replies(("unauthorized", "forbidden")),
}
BATCH_REPLIES = {200: _found({"results": [EXAMPLE]}), **_replies(_OF_PICTURES)}

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "properties": {"image": schema}, "required": ["image"]}}


_FILE = {"type": "string", "format": "binary"}
SCORE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The image file; its bytes decide the type, not the content type.",
        "content": {**dict.fromkeys(_TYPES, _BINARY), "multipart/form-data": _form(_FILE)},
    }
}
BATCH_BODY = {
    "requestBody": {
        "required": True,
        "description": "One field `image` for each picture.",
        "content": {"multipart/form-data": _form({"type": "array", "items": _FILE})},
    }
}


def json_body(kind: type[Record]) -> dict[str, Any]:
    """Describe a JSON body that the route reads itself."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": kind.model_json_schema()}},
        }
    }
