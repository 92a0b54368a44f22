"""Pages of another origin that use the daemon, in a real browser."""

from __future__ import annotations

import base64

from playwright.sync_api import Page

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.console.conftest import Visitor
from tests.inspector.tiny_bundle import bad_picture
from tests.proxy import Proxy
from tests.serving import Daemon

KEY = "0123456789abcdef-score"
SEND = """async ([url, data, headers]) => {
  const body = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  try {
    const answer = await fetch(url, { method: "POST", headers, body });
    const { verdict, code } = await answer.json();
    return [answer.status, verdict ?? code, answer.headers.get("X-Inspection-Id")];
  } catch (error) { return [error.name, null, null]; }
}"""


def send(page: Page, daemon: Daemon, data: bytes, **headers: str) -> list[object]:
    """Send a picture from a script of the page; return the status, the verdict or code, and the number."""
    sent = [f"{daemon.url}/v1/score", base64.b64encode(data).decode(), headers]
    found: list[object] = page.evaluate(SEND, sent)
    return found


def test_pages_of_another_origin(store: Store, visitor: Visitor) -> None:
    """An allowed page scores with its key and reads errors; another page learns nothing."""
    picture, bearer = encode_png(bad_picture()), f"Bearer {KEY}"
    with Daemon() as silent, Proxy(silent.port) as other:
        origin = other.url.removesuffix("/inspector/")
        with Daemon(INSPECTOR_API_KEYS=f"score:{KEY}", INSPECTOR_ALLOWED_ORIGINS=origin) as daemon:
            page = visitor.open(f"{origin}/page")  # the proxy's 404, without any policy
            assert send(page, daemon, picture, Authorization=bearer) == [200, "fail", "1"]
            assert send(page, daemon, picture) == [401, "unauthorized", None]
            assert send(page, daemon, b"{}", Authorization=bearer) == [415, "unknown_format", None]
            assert send(page, silent, picture) == ["TypeError", None, None]
