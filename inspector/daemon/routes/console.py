"""The routes of the console's page and its files."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import Response

FILES = {"/": "page.html", "/console/style.css": "style.css", "/console/script.js": "script.js"}
MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_routes(app: FastAPI) -> None:
    """Add the routes.  They need no key: the page holds no data and asks for a key itself."""
    for path, file in FILES.items():
        _add_file(app, path, file)


def _add_file(app: FastAPI, path: str, file: str) -> None:
    content = files("inspector").joinpath("console", file).read_bytes()
    media_type = MEDIA_TYPES[file.rpartition(".")[2]]

    @app.get(path, include_in_schema=False)
    async def page() -> Response:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return Response(content, headers=headers, media_type=media_type)
