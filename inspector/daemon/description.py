"""What OpenAPI says beyond the routes: bodies, answers, examples; and the page that shows it."""

from __future__ import annotations

from html import escape
from typing import Any, Literal

from pydantic import Field

from inspector.detector import Detector
from inspector.records import ImageContract, ModelId, Record, ScoredImage

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


def _problem(text: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/ProblemReply"}
    return {"description": text, "content": {"application/problem+json": {"schema": reference}}}


ERRORS: dict[str, dict[str, Any]] = {
    "malformed": _problem("The request cannot be understood."),
    "disconnected": _problem("The sender left before the body was complete."),
    "unauthorized": _problem("There is no known key."),
    "forbidden": _problem("The key may not do this."),
    "no_route": _problem("There is no such route."),
    "method_not_allowed": _problem("The route takes another method."),
    "request_timeout": _problem("The body took too long."),
    "empty": _problem("There are no bytes."),
    "unknown_format": _problem("Not an image type that is read."),
    "truncated": _problem("The picture ends too early, or is damaged."),
    "too_large": _problem("Too many bytes or pixels."),
    "full": _problem("No room; Retry-After says when to come again."),
    "not_ready": _problem("No model was proved yet, or the daemon is going down."),
    "internal": _problem("Something unexpected happened."),
}

_STATUSES = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "no_route",
    408: "request_timeout",
    413: "too_large",
    415: "unknown_format",
    422: "truncated",
    503: "full",
}
_MODEL: dict[str, Any] = {"model": ProblemReply}
MODEL_REPLIES: dict[int | str, dict[str, Any]] = {
    status: _MODEL | ERRORS[code] for status, code in _STATUSES.items()
}

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
