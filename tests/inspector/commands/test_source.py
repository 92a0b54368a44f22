"""Arguments of `inspector score`: literal paths, globs, links to folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.commands.source import find_sources
from inspector.errors import UsageError

FILES = ("lot[3]/a.png", "lot3/b.png", "lots/x/part[1].png", "a[1].png", "deep/er/c.JPG", "deep/notes.txt")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a working folder with empty files, some with brackets in their paths."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a[1].png", ["a[1].png"]),
        ("lot[3]", ["lot[3]/a.png"]),
        ("lot[3]/*.png", ["lot[3]/a.png"]),
        ("lot[3]/**/*.png", ["lot[3]/a.png"]),
        ("lot[0-9]/*.png", ["lot3/b.png"]),
        ("lot*/*.png", ["lot3/b.png", "lot[3]/a.png"]),
        ("lots/*/part[1].png", ["lots/x/part[1].png"]),
        ("lots/*/part[[]1].png", ["lots/x/part[1].png"]),
        ("deep/**", ["deep/er/c.JPG"]),
        ("**/er/*", ["deep/er/c.JPG"]),
        ("**/*.png", ["a[1].png", "lot3/b.png", "lot[3]/a.png", "lots/x/part[1].png"]),
    ],
)
def test_what_a_path_names(path: str, found: list[str], here: Path) -> None:
    """A path that exists is taken literally, any other as a glob; the same with an absolute path."""
    assert [source.name for source in find_sources([path])] == found
    assert [source.name for source in find_sources([str(here / path)])] == [
        str(here / name) for name in found
    ]


@pytest.mark.parametrize("path", ["lot[5]/*.png", "none/*", "none/**/*.png", "b[1].png"])
def test_a_glob_that_matches_nothing(path: str, here: Path) -> None:
    """The error names the pattern."""
    with pytest.raises(UsageError, match="matches nothing"):
        find_sources([str(here / path)])


def test_links_in_circles(here: Path) -> None:
    """A recursive glob ends, and lists each picture once."""
    for name in ("one", "two"):
        (here / "deep" / name).symlink_to(here / "deep")
        (here / "lots" / name).symlink_to("../deep")
    assert [source.name for source in find_sources(["lots/**/*.JPG"])] == ["lots/one/er/c.JPG"]
    assert [source.name for source in find_sources(["deep"])] == ["deep/er/c.JPG"]
