"""The project says each thing in one word, the word of the field."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

FOLDERS = ("inspector", "models", "calibration", "tests", "deploy", "docs")
SUFFIXES = (".py", ".md", ".html", ".js", ".css", ".j2", ".yml", ".yaml", ".sh", ".json", ".service")
# Results of earlier measurements name what was measured then.
RECORDS = "docs/results"
RETIRED = {
    "landmarks?": "memory bank",
    "look-?alikes?": "duplicate group",
    "workshop": "extras",
    "fleet": "registry of opened models",
    "mosaics?": "montage",
    "vouch(es|ed)?": "held out, cross-fitting",
    "trays?": "sorter",
    "penalt(y|ies)": "regularizer",
}
# Readers of bundles that were fitted before the words changed, and the page that describes them.
COMPATIBLE = (
    "inspector/bundle/reference.py",
    "tests/inspector/bundle/test_reference.py",
    "docs/reference/bundle.md",
    "tests/contract/test_words.py",
)


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_stay_retired(word: str, project: Path) -> None:
    """No text of the project uses a word that another word has replaced."""
    pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in _texts(project)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, f"say '{RETIRED[word]}'"


@cache
def _texts(project: Path) -> list[tuple[str, str]]:
    files = [path for folder in FOLDERS for path in (project / folder).rglob("*") if path.suffix in SUFFIXES]
    files.append(project / "README.md")
    named = [(path.relative_to(project).as_posix(), path) for path in files]
    return [
        (name, path.read_text(encoding="utf-8"))
        for name, path in named
        if name not in COMPATIBLE and not name.startswith(RECORDS)
    ]
