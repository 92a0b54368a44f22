"""Parts of the OpenAPI description that FastAPI cannot derive: bodies, answers, errors, examples."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from inspector.daemon.errors import INTERNAL, Problem
from inspector.daemon.schemas import ProblemReply
from inspector.types import Record

_PROBLEM = {"$ref": f"#/components/schemas/{ProblemReply.__name__}"}
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


_NUMBER = {"type": "integer", "minimum": 1}
_INSPECTION_ID = {
    "X-Inspection-Id": {"description": "number of the inspection in `/v1/inspections`.", "schema": _NUMBER}
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "seconds after which to try again.",
        "schema": _NUMBER,
    },
}


def _found(text: str, example: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "headers": headers, "content": {"application/json": {"example": example}}}


def _problem(status: int, code: str, text: str, detail: str, hint: str) -> dict[str, Any]:
    example = Problem(status, code, detail, hint).content()
    content = {"application/problem+json": {"schema": _PROBLEM, "example": example}}
    headers = {"headers": _RETRY_AFTER} if code in {"full", "not_ready"} else {}
    return {"description": text, "content": content, **headers}


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
     "the body is not of an image type that is read: it begins with b'\\x00\\x01\\x02'",
     "PNG, JPEG, WebP, BMP and TIFF are read; save it as one of them"),
    (422, "truncated", "The picture is incomplete or damaged.", "the body is damaged or ends too early",
     "copy it again from where it was taken; it may have been cut while it was written"),
    (422, "no_verdict", "There is no verdict to judge.",
     "inspection 7 is invalid: there is no verdict to judge", ""),
    (500, INTERNAL, "An unexpected error occurred.", "an unexpected error occurred",
     "look for the request id in the daemon's log"),
    (503, "bundle", "The model cannot be used.", "tiles@3 lacks detector.onnx", ""),
    (503, "full", "The queue is full, or the model cannot be used.",
     "the queue is full: 66 requests are being handled", "try again in 1 s"),
    (503, "not_ready", "No model is verified yet, or the daemon is shutting down.",
     "the daemon is starting", ""),
)  # fmt: skip
ERRORS = {code: _problem(status, code, *texts) for status, code, *texts in _ERRORS}

_ALWAYS = ("malformed",)  # a parameter that is given twice
_WITH_KEY = (*_ALWAYS, "unauthorized")
_OF_A_MODEL = (*_WITH_KEY, "model_not_found", "full")
_OF_AN_INSPECTION = (*_WITH_KEY, "inspection_not_found")
_OF_PICTURES = (*_OF_A_MODEL, "request_timeout", "too_large", "unknown_format")

Replies = dict[int | str, dict[str, Any]]


def _replies(*codes: str) -> Replies:
    return {status: ERRORS[code] for status, code, *_ in _ERRORS if code in codes}


ALIVE_REPLIES = _replies(*_ALWAYS)
READY_REPLIES = _replies(*_ALWAYS, "not_ready")
MODELS_REPLIES = _replies(*_WITH_KEY)
MODEL_REPLIES = _replies(*_OF_A_MODEL)
SCORE_REPLIES: Replies = {
    200: _found("The verdict.", EXAMPLE, _INSPECTION_ID),
    **_replies(*_OF_PICTURES, "truncated"),
}
BATCH_REPLIES: Replies = {
    200: _found("The verdicts; that of a picture at fault is `invalid`.", {"results": [EXAMPLE]}, {}),
    **_replies(*_OF_PICTURES),
    413: ERRORS["too_large"] | {"description": "The body, or the maps to answer, have too many bytes."},
    415: ERRORS["unknown_format"] | {"description": "The body is neither a form nor a picture."},
}
RECENT_REPLIES = _replies(*_WITH_KEY)
JUDGE_REPLIES = _replies(*_OF_AN_INSPECTION, "request_timeout", "too_large", "no_verdict")
PNG_REPLIES: Replies = {200: {"description": "The picture.", "content": {"image/png": {}}}, **MODEL_REPLIES}
JPEG_REPLIES: Replies = {
    200: {"description": "The picture.", "content": {"image/jpeg": {}}},
    **_replies(*_OF_AN_INSPECTION, "bundle"),
}
EXPORT_REPLIES: Replies = {
    200: {"description": "The ZIP file.", "content": {"application/zip": {}}},
    **_replies(*_WITH_KEY, "forbidden"),
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of the application.

    FastAPI adds an answer 422 of its own to each route with parameters.  This daemon answers 400 instead, as
    a problem.
    """
    description = app.openapi()
    schemas = description["components"]["schemas"]
    if schemas.pop("HTTPValidationError", None) is not None:
        del schemas["ValidationError"]
        for operation in (each for methods in description["paths"].values() for each in methods.values()):
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    schemas[ProblemReply.__name__] = ProblemReply.model_json_schema()
    return description


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
