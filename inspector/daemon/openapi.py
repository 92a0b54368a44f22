"""What OpenAPI says beyond the routes: bodies, answers, examples; and the page that shows it."""

from __future__ import annotations

from html import escape
from typing import Any, Literal

from pydantic import Field

from inspector.bundle.records import ImageContract
from inspector.daemon.errors import TITLES
from inspector.scoring.detector import Detector
from inspector.scoring.records import ScoredImage
from inspector.types import ModelId, Record

_TYPES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")


class EncodedMap(Record):
    """The anomaly map in the picture's own pixels.

    `npy` is float32 (H, W); `png` is grey, where 0 is the model's normal and 255 its ceiling.
    """

    format: Literal["png", "npy"]
    data: str = Field(description="base64")


class Reply(ScoredImage):
    """One scored picture; `map` only where it was asked for."""

    map: EncodedMap | None = None


class BatchReply(Record):
    """Scored pictures in the order in which they were sent."""

    results: tuple[Reply, ...]


class ModelReply(Record):
    """One model in memory."""

    model: ModelId
    default: bool = Field(description="whether it answers requests that name none")
    created: str
    image: ImageContract
    threshold: float
    review_threshold: float | None
    promised_false_reject_rate: float

    @classmethod
    def of(cls, detector: Detector, default: Detector | None) -> ModelReply:
        """Describe an opened model."""
        calibration = detector.calibration
        return cls(
            model=detector.model,
            default=detector is default,
            created=detector.manifest.created,
            image=detector.manifest.image,
            threshold=calibration.threshold,
            review_threshold=calibration.review_threshold,
            promised_false_reject_rate=calibration.promised_false_reject_rate,
        )


class ProblemReply(Record):
    """What went wrong, as `application/problem+json` (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str


EXAMPLE: dict[str, Any] = {
    "path": "part.png",
    "verdict": "fail",
    "score": 7.18,
    "threshold": 3.2,
    "p_value": 0.0049,
    "components": {
        "reconstruction": 1.9,
        "latent_mmd": 6.4,
        "latent_mmd_coarse": 1.6,
        "head": 8.1,
        "layout": 7.67,
    },
    "regions": [{"x": 120, "y": 88, "width": 31, "height": 12, "area_pixels": 240, "peak": 9.2}],
    "model": {"name": "tiles", "version": 3, "digest": "sha256:" + 8 * "0f1e2d3c"},
    "image": {"width": 640, "height": 480},
    "milliseconds": {"decode": 2.1, "infer": 8.7, "decide": 0.3},
    "reason": None,
}


def _found(example: dict[str, Any]) -> dict[str, Any]:
    return {"description": "Inspected.", "content": {"application/json": {"example": example}}}


def _problem(status: int, code: str, text: str, detail: str, hint: str) -> dict[str, Any]:
    content = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
    }
    reference = {"$ref": "#/components/schemas/ProblemReply"}
    return {
        "description": text,
        "content": {"application/problem+json": {"schema": reference, "example": content}},
    }


# status and code; what it means; detail and hint of an example
_ERRORS = (
    (400, "malformed", "The request cannot be understood.", "the form has no file field 'image'",
     "name the file's field 'image', as curl -F image=@part.png does"),
    (400, "empty", "There are no bytes.", "the body is empty", "send an image file as the body"),
    (400, "disconnected", "The sender left.", "the sender left before the body was complete", ""),
    (401, "unauthorized", "There is no known key.", "there is no known key in the header Authorization",
     "send 'Authorization: Bearer KEY'"),
    (403, "forbidden", "The key may not do this.", "the key has the scope 'score'", "use one with 'admin'"),
    (404, "no_route", "There is no such route.", "Not Found", "see /docs"),
    (404, "model_not_found", "There is no such model.", "there is no model 'screws'", "known are: tiles"),
    (404, "inspection_not_found", "It is not kept any more, or never was.", "inspection 7 is not kept",
     "see /v1/inspections"),
    (404, "sample_not_found", "The model has fewer samples.", "tiles has 3 samples", "they count from 0"),
    (404, "picture_not_kept", "It had to make room, or cannot be shown.",
     "the picture of inspection 7 is not kept", ""),
    (405, "method_not_allowed", "The route takes another method.", "Method Not Allowed", "see /docs"),
    (408, "request_timeout", "The body took too long.", "the body did not arrive within 30 s",
     "send it faster, or raise INSPECTOR_BODY_SECONDS"),
    (413, "too_large", "Too many bytes or pixels.", "the body has more than 100000000 bytes",
     "send a smaller file, or raise INSPECTOR_MAX_BYTES"),
    (415, "unknown_format", "Not an image type that is read.", "the bytes are not of a known image type",
     "send a PNG, JPEG, WebP, BMP or TIFF file as it was written"),
    (422, "truncated", "The picture ends too early, or is damaged.", "the picture is damaged",
     "send a PNG, JPEG, WebP, BMP or TIFF file as it was written"),
    (422, "no_verdict", "There is no verdict to judge.",
     "inspection 7 is invalid: there is no verdict to judge", ""),
    (500, "internal", "Something unexpected happened.", "something unexpected happened",
     "look for the request id in the log"),
    (503, "full", "No room; Retry-After says when to come again.", "all 66 places are taken",
     "try again in 1 s"),
    (503, "not_ready", "No model was proved yet, or the daemon is going down.", "it is starting", ""),
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
        "description": "The image file; its bytes decide what it is.",
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
    """Describe a body that the route reads by itself."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": kind.model_json_schema()}},
        }
    }


_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1rem; margin: 2rem 0 .3rem; } code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { padding: .7rem; overflow-x: auto; border: 1px solid #8886; border-radius: 4px; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; } .method { opacity: .65; }
"""

_SNIPPETS = """curl -sS --data-binary @part.png http://127.0.0.1:8080/v1/score
curl -sS -F image=@a.png -F image=@b.png http://127.0.0.1:8080/v1/score/batch"""

_PYTHON = """import json, urllib.request
data = open("part.png", "rb").read()
request = urllib.request.Request("http://127.0.0.1:8080/v1/score", data, {"Content-Type": "image/png"})
print(json.load(urllib.request.urlopen(request))["verdict"])"""


def docs_page(openapi: dict[str, Any]) -> str:
    """Lay a description out as one page, without scripts and without anything from elsewhere."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>inspector: HTTP API</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style><h1>HTTP API</h1>",
        "<p>The whole description, for programs: <a href=openapi.json>openapi.json</a>.</p>",
        f"<pre>{escape(_SNIPPETS)}</pre><pre>{escape(_PYTHON)}</pre>",
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts.append(
                f"<h2><span class=method>{method.upper()}</span> <code>{escape(path)}</code></h2>"
                f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p><table>"
            )
            rows = [
                (part["name"], part.get("description", part["in"]))
                for part in operation.get("parameters", ())
            ]
            rows += [(status, reply["description"]) for status, reply in operation["responses"].items()]
            parts += [f"<tr><td><code>{escape(name)}</code><td>{escape(text)}" for name, text in rows]
            parts.append("</table>")
    return "".join(parts)
