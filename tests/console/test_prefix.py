"""The console behind a proxy that serves the daemon below a path."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import httpx
from playwright.sync_api import expect

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.console import hands
from tests.console.conftest import Visitor
from tests.inspector.tiny_bundle import bad_picture, good_picture
from tests.proxy import Proxy
from tests.serving import Daemon

GOOD, BAD = encode_png(good_picture(1, 300, 400)), encode_png(bad_picture(1, 300, 400))
KEY = "0123456789abcdef-admin"


def test_the_console_below_a_path(store: Store, visitor: Visitor) -> None:
    """Key, drop, judge, sample and export work; no request leaves the prefix."""
    with Daemon(INSPECTOR_API_KEYS=f"admin:{KEY}") as daemon, Proxy(daemon.port) as proxy:
        page = visitor.open(proxy.url)
        page.locator("#key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("live")
        expect(page.locator("#model")).to_contain_text("tiny@1")
        hands.drop(page, "part.png", BAD)
        hands.see(page, "fail", "part.png")
        expect(page.locator("#stream img.thumb").first).to_have_js_property("complete", True)
        page.keyboard.press("d")
        expect(page.locator("#judgements")).to_contain_text("the part counts as good")
        page.locator("#sample").click()
        hands.see(page, "pass", "sample-0.png")
        with page.expect_download() as download:
            page.locator("#export").click()
        content = io.BytesIO(Path(download.value.path()).read_bytes())
        assert "judgements.jsonl" in zipfile.ZipFile(content).namelist()
        asked = [url for url in visitor.asked if url.startswith("http")]
        assert len(asked) > 10
        assert all(url.startswith(proxy.url) for url in asked)
    assert not proxy.strays


def test_the_description_below_a_path(daemon: Daemon, visitor: Visitor) -> None:
    """The link to the description works, and the description leads to routes below the path."""
    with Proxy(daemon.port) as proxy:
        page = visitor.open(proxy.url)
        page.get_by_role("link", name="HTTP API").click()
        expect(page).to_have_url(f"{proxy.url}docs")
        page.get_by_role("link", name="openapi.json").click()
        expect(page).to_have_url(f"{proxy.url}openapi.json")
        (server,) = httpx.get(page.url).json()["servers"]
        address = urljoin(page.url, server["url"]).removesuffix("/") + "/v1/score"
        assert httpx.post(address, content=GOOD).json()["verdict"] == "pass"
        page.goto(f"{proxy.url}v1/models/")
        assert "ask for /v1/models" in page.content()
    assert not proxy.strays
