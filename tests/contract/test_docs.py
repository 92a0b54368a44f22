"""The documentation agrees with the code."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from inspector.bundle.folder import REQUIRED, SUFFIXES
from inspector.bundle.records import Calibration
from inspector.commands import exits
from inspector.commands.main import app
from inspector.errors import InvalidReason
from inspector.scoring.records import ScoredImage
from inspector.settings import Settings
from tests.benchmarks.page import report

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
DECISIONS = sorted((DOCS / "adr").glob("0*.md"))
PACKAGES = ("inspector", "models", "calibration")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _blocks(text: str, language: str) -> list[str]:
    """Return the fenced code blocks of one language; the empty language is a terminal."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _commands() -> dict[str, Any]:
    found = _generator().commands(get_command(app), "inspector")
    return {name: command for name, command in found if not hasattr(command, "list_commands")}


@pytest.mark.parametrize("page", DECISIONS, ids=_name)
def test_decisions_are_short_and_complete(page: Path) -> None:
    """A decision has at most 45 lines: number and title, status, context, decision, consequences."""
    text = _read(page)
    assert len(text.splitlines()) <= 45
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert re.search(r"^Status: (accepted|replaced by .+) \(\d{4}-\d\d-\d\d\)$", text, flags=re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_every_decision_is_listed() -> None:
    """docs/adr/README.md lists every decision, and their numbers have no gap."""
    listed = re.findall(r"\((0\d+-[a-z0-9-]+\.md)\)", _read(DOCS / "adr" / "README.md"))
    assert listed == [page.name for page in DECISIONS]
    assert [int(name[:4]) for name in listed] == list(range(1, len(listed) + 1))


def test_command_reference_is_up_to_date() -> None:
    """`make docs` would write docs/reference/cli.md as it is."""
    assert _read(DOCS / "reference" / "cli.md") == _generator().reference()


def test_benchmarks_are_up_to_date() -> None:
    """`make bench-report` would write docs/benchmarks.md and its charts as they are, and no further chart."""
    made = report(DOCS / "results")
    assert _read(DOCS / "benchmarks.md") == made.page
    charts = {path.relative_to(DOCS).as_posix(): _read(path) for path in DOCS.glob("images/benchmarks-*.svg")}
    assert charts == made.charts


def _invocations() -> Iterator[tuple[str, str]]:
    """Yield page and command line, without a prompt, for each call of inspector in a terminal block."""
    for page in PAGES:
        if page == DOCS / "reference" / "cli.md":
            continue
        for block in _blocks(_read(page), "(?:console|sh|shell)?"):
            for line in block.splitlines():
                command = line.removeprefix("$ ")
                if command.startswith("inspector "):
                    yield _name(page), command


@pytest.mark.parametrize(("page", "line"), sorted(set(_invocations())))
def test_commands_in_the_text_exist(page: str, line: str) -> None:
    """Every command line that a page shows names a command and options that exist."""
    words = shlex.split(line, comments=True)
    known = _commands()
    name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in known), None)
    assert name is not None or words[1].startswith("--"), f"{page}: no such command: {line}"
    if name is not None:
        accepted = {o for p in known[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= accepted, page


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_python_in_the_text_uses_what_exists(page: Path) -> None:
    """Every Python example of every page compiles, and imports names that exist."""
    for block in _blocks(_read(page), "python"):
        compile(block, _name(page), "exec")
        for line in block.splitlines():
            if line.startswith(("import ", "from ")):
                exec(line, {})  # noqa: S102  # a line of our own documentation


def test_json_reference_shows_every_field() -> None:
    """The example of a scored picture is a valid record with exactly the fields of the record."""
    example = json.loads(_blocks(_read(DOCS / "reference" / "json.md"), "json")[0])
    assert list(example) == list(ScoredImage.model_fields)
    assert ScoredImage.model_validate(example).verdict == "fail"


def test_json_reference_lists_every_reason() -> None:
    """Each reason of an invalid picture is listed, in the order of the enumeration."""
    text = _read(DOCS / "reference" / "json.md")
    table = text[text.index("| reason |") : text.index("## One line of a watch")]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == list(InvalidReason)


def test_json_reference_lists_every_variable() -> None:
    """The table of variables lists each setting, and the default of each number."""
    text = _read(DOCS / "reference" / "json.md")
    listed = dict(re.findall(r"^\| `INSPECTOR_(\w+)` \| ([^|]+) \|", text, flags=re.MULTILINE))
    assert set(listed) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int):
            assert int(listed[name.upper()]) == field.default


def test_json_reference_lists_every_exit_code() -> None:
    """The table of exit codes lists exactly the codes of the command line."""
    text = _read(DOCS / "reference" / "json.md")
    table = text[text.index("## Exit codes") : text.index("## Environment")]
    constants = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)]
    assert listed == sorted({*constants, *exits.BRANCHES.values()})


def test_bundle_reference_is_complete() -> None:
    """The page on bundles names every file, every suffix, and every field of a calibration."""
    text = _read(DOCS / "reference" / "bundle.md")
    expected = {*REQUIRED, *SUFFIXES, *Calibration.model_fields} - {"golden/golden.json"}
    assert [name for name in sorted(expected) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("package", ["inspector", "models"])
def test_the_root_of_a_package_stays_small(package: str) -> None:
    """A newcomer finds at most ten modules beside the rooms of a package."""
    assert 1 < len(list((ROOT / package).glob("*.py"))) <= 10


def test_architecture_names_every_file() -> None:
    """docs/architecture.md lists exactly the Python files of the three packages."""
    text = _read(DOCS / "architecture.md")
    listed = set(re.findall(r"^\| `((?:inspector|models|calibration)/[\w/.]+)` \|", text, flags=re.MULTILINE))
    present = {_name(path) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert listed == present
