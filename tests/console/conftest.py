"""A real browser over a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from inspector.bundle.store import Store
from tests.inspector.tiny_bundle import tiny_fill
from tests.serving import Daemon

expect.set_options(timeout=20_000)  # test machines are busy


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with one model; every command and daemon of the test uses it."""
    monkeypatch.setenv("INSPECTOR_STORE", str(tmp_path / "store"))
    store = Store(tmp_path / "store")
    store.publish("tiny", tiny_fill(training_digests=()))
    return store


@pytest.fixture
def daemon(store: Store) -> Iterator[Daemon]:
    """A daemon on that store."""
    with Daemon() as running:
        yield running


@dataclass
class Visitor:
    """Opens pages and records their console messages and requests."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def open(self, url: str, *, scheme: str = "light", width: int = 1440, height: int = 1000) -> Page:
        """Open the URL in a new browser profile."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
        )
        page = context.new_page()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.add(request.url))
        page.goto(url)
        return page


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """A visitor; its pages are closed after the test."""
    visitor = Visitor(browser)
    yield visitor
    for context in browser.contexts:
        context.close()
