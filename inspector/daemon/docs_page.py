"""The page `/docs`: shows the OpenAPI description without scripts and without network."""

from __future__ import annotations

from html import escape
from typing import Any

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
    """Return an OpenAPI description as one HTML page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>inspector: HTTP API</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style><h1>HTTP API</h1>",
        "<p>The full description, for programs: <a href=openapi.json>openapi.json</a>.</p>",
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
