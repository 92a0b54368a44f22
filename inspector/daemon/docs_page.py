"""The page `/docs`: shows the OpenAPI description without scripts and without network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1rem; margin: 2rem 0 .3rem; } code, pre { font: 13px/1.5 ui-monospace, monospace; }
code { white-space: nowrap; }
pre { padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8886;
  border-radius: 4px; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; } .method { opacity: .65; }
"""

_CURL = """curl -sS --data-binary @part.png {url}/v1/score
curl -sS -F image=@a.png -F image=@b.png {url}/v1/score/batch"""

_PYTHON = """import json, urllib.request
data = open("part.png", "rb").read()
url = "{url}/v1/score"
request = urllib.request.Request(url, data, {{"Content-Type": "image/png"}})
print(json.load(urllib.request.urlopen(request))["verdict"])"""


def docs_page(openapi: dict[str, Any], url: str) -> str:
    """Return an OpenAPI description as one HTML page.

    Parameters
    ----------
    openapi : dict
    url : str
        Address of the daemon for the examples, without a slash at its end.
    """
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>inspector: HTTP API</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style><h1>HTTP API</h1>",
        "<p>The full description, for programs: <a href=openapi.json>openapi.json</a>.</p>",
        *(f"<pre>{escape(example.format(url=url))}</pre>" for example in (_CURL, _PYTHON)),
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts += _operation(path, method, operation)
    return "".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yield the heading of one route, what it does, and a table of its parameters and answers."""
    yield f"<h2><span class=method>{method.upper()}</span> <code>{escape(path)}</code></h2>"
    yield f"<p>{_prose(operation['description'])}</p><table>"
    rows = [(part["name"], part["description"]) for part in operation.get("parameters", ())]
    for status, reply in operation["responses"].items():
        headers = [f"`{name}`: {header['description']}" for name, header in reply.get("headers", {}).items()]
        rows.append((status, " ".join([reply["description"], *headers])))
    for name, text in rows:
        yield f"<tr><td><code>{escape(name)}</code><td>{_prose(text)}"
    yield "</table>"


def _prose(text: str) -> str:
    """Return a text as HTML; words between backticks become code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
