"""The documentation builds as a site that needs no network."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Browser, expect

ROOT = Path(__file__).parents[2]
# Attributes with which a page makes a browser load something; links that a person clicks are not among them.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|object|embed|link)\b[^>]*?\b(?:src|href|data)=[\"']?(?:https?:)?//[^>]*>"
)
IN_A_STYLE = re.compile(r"(?:@import\s*|url\()\s*[\"']?(?:https?:)?//[^;)]*")


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """docs/build_site.py as a module."""
    spec = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "build_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole documentation, built as `make docs` builds it."""
    output = tmp_path_factory.mktemp("docs") / "site"
    assert builder.build(output) == 0
    return output


def test_every_page_becomes_a_page_of_the_site(site: Path) -> None:
    """The strict build finds no broken link, and makes a page of each Markdown file."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "deploy" / "README.md"]
    expected = {
        page.relative_to(ROOT).with_suffix(".html").as_posix().replace("README", "index") for page in pages
    }
    built = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    assert built - {"404.html"} == expected


def test_the_site_loads_nothing_from_the_network(site: Path) -> None:
    """No page and no style sheet loads a script, font or picture from another computer."""
    found = [tag for page in site.rglob("*.html") for tag in LOADED.findall(page.read_text(encoding="utf-8"))]
    found += [
        url for sheet in site.rglob("*.css") for url in IN_A_STYLE.findall(sheet.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_broken_links_fail_the_build(
    builder: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A link to a missing page and one to a missing heading are named, and the build ends with an error."""
    copy = tmp_path / "copy"
    for source in [*builder.sources(), ROOT / "docs" / "mkdocs.yml"]:
        target = copy / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    with (copy / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\n[a page](docs/nowhere.md), [a heading](docs/concepts/promise.md#no-such-heading)\n")
    monkeypatch.setattr(builder, "ROOT", copy)
    monkeypatch.setattr(builder, "DOCS", copy / "docs")
    assert builder.build(tmp_path / "site") != 0
    said = capfd.readouterr().err
    assert "docs/nowhere.md" in said
    assert "#no-such-heading" in said


@pytest.mark.system
def test_search_works_from_a_folder(site: Path, browser: Browser) -> None:
    """In a browser without a network, the search of a page that was opened from the folder finds a page."""
    asked: list[str] = []
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "docs" / "guides" / "tutorial.html").as_uri())
        page.get_by_placeholder("Search").click()
        page.get_by_placeholder("Search").press_sequentially("exchangeable")
        result = page.locator(".md-search-result__link", has_text="The promise").first
        expect(result).to_be_visible(timeout=20_000)
        result.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("The promise", timeout=20_000)
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob", "about"}
